"""Run the cells of docs/notebook.ipynb in order and keep what they print, as Jupyter would.

    carelake features --as-of 2024-03-31 --out march
    carelake features --as-of 2024-04-28 --out newest
    python docs/run_notebook.py

The cells are plain Python, so that neither this nor the test of it needs Jupyter.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).with_name("notebook.ipynb")


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """Execute the code cells in one namespace, in the working directory; gives that namespace.

    What a cell prints becomes its output. A cell that fails raises.
    """
    space: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] != "code":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), space)
        lines = printed.getvalue().splitlines(keepends=True)
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": lines}]
    return space


def main() -> None:
    """Run it here and write what it printed into the notebook."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    run(notebook)
    text = json.dumps(notebook, ensure_ascii=False, indent=1)
    NOTEBOOK.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
