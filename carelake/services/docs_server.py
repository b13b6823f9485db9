"""dbt docs and Data Docs of a home on one port, behind a password: a service of its own in compose.

dbt's pages are written when the server starts, and once more after the first publication: what
they show changes with the models, which come with a new image.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading

from carelake.services import pages
from carelake.settings import Home

LOOK_SECONDS = 15.0


def keep_dbt_docs(home: Home, ended: threading.Event) -> None:
    """Write dbt's pages until they were written with a publication there."""
    before: bool | None = None
    while not (before and (home.dbt / "site" / "index.html").exists()):
        now = (home.published / "current").exists()
        if now != before:
            # in a process of its own: dbt would keep 300 MB of this one
            done = subprocess.run(
                [sys.executable, "-m", "carelake.services", "dbt-docs"], check=False
            )
            before = now if done.returncode == 0 else None
        if ended.wait(LOOK_SECONDS):
            return


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description="dbt docs and Data Docs behind a password")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    password = os.environ.get(pages.PASSWORD)
    if not password:
        sys.exit(f"{pages.PASSWORD} is not set: no pages without a password")
    home = Home.from_environment()
    ended = threading.Event()
    threading.Thread(target=keep_dbt_docs, args=(home, ended), daemon=True).start()
    sites = {"dbt-docs": home.dbt / "site", "data-docs": home.data_docs}
    pages.serve(arguments.host, arguments.port, sites, password)
    ended.set()


if __name__ == "__main__":
    main()
