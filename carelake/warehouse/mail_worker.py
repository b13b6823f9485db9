"""The program that parses a stretch of a mail file for `mail_files`; its answer goes to stdout."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

from carelake.warehouse.mail_files import STRETCHES


def main() -> None:
    """Do what the one argument says."""
    form, path, lo, hi, max_line_bytes = json.loads(sys.argv[1])
    parsed = STRETCHES[form](Path(path), lo, hi, max_line_bytes)
    pickle.dump(parsed, sys.stdout.buffer, protocol=5)


if __name__ == "__main__":
    main()
