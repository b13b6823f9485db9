"""Files elsewhere: what an address in `path` may look like."""

from __future__ import annotations

from urllib.parse import urlsplit

SCHEMES = ("s3", "sftp", "https", "http")
WILD = frozenset("*?[")


def is_remote(path: str) -> bool:
    """Whether a source's path leads to another machine."""
    return "://" in path


def check_address(path: str, connection: str | None) -> None:
    """Hold an address against what can be read.

    Raises:
        ValueError: it cannot.
    """
    parts = urlsplit(path.replace("?", "%3F") if path.startswith(("s3:", "sftp:")) else path)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError(f"path: write a folder, or {', '.join(s + '://' for s in SCHEMES[:3])}...")
    if parts.username or parts.password:
        raise ValueError("path holds a login; put it into the connection")
    if parts.scheme in ("http", "https") and WILD & set(parts.path):
        raise ValueError("path: a web server lists no files; name one, or use s3 or sftp")
    if parts.scheme == "sftp" and connection is None:
        raise ValueError("connection is missing; sftp takes login and secrets from it")
    if parts.scheme == "http" and connection is not None:
        raise ValueError(
            "path: http would send the secrets of the connection in the clear; use https"
        )
