"""`python -m tests.mutations.units FOLDER`: run all unit tests on the tables in a folder, print those that fail."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from unittest.mock import patch

from tests.dbt_project.conftest import PROJECT, Dbt


def main() -> None:
    """The names of those that failed, in order, as JSON on the last line.

    Raises:
        RuntimeError: no unit test ran.
    """
    from dbt.cli.main import dbtRunner

    runner = Dbt(Path(sys.argv[1]))
    place = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    with patch.dict(os.environ, runner.environment):
        # not to its first failure: what runs beside it is then cut, and its connection may be closed already
        outcome = dbtRunner().invoke(["--quiet", "test", "--select", "test_type:unit", *place])
    results = list(getattr(outcome.result, "results", []) or [])
    if not results:
        raise RuntimeError(str(outcome.exception))
    failed = [r.node.name for r in results if str(r.status) in ("fail", "error")]
    gc.collect()
    print(json.dumps(sorted(failed)))


if __name__ == "__main__":
    main()
