"""Free ports, kept per home, so that bookmarks survive a restart and two homes never meet."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

from carelake.services.files import write_private

if TYPE_CHECKING:
    from carelake.settings import Home

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # servers set it too: a port in TIME_WAIT is free for them
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def kept_port(home: Home, name: str) -> int | None:
    """The port this home last gave to a service, None before the first start."""
    return _read(home).get(name)


def free_port(home: Home, name: str) -> int:
    """The service's port of last time if nobody took it, else a new one; remembered in the home."""
    ports = _read(home)
    kept = ports.get(name)
    if kept is not None and is_free(kept):
        return kept
    others = set(ports.values())
    ports[name] = next(port for port in iter(_any_free_port, None) if port not in others)
    write_private(home.state / "ports.json", json.dumps(ports, indent=2, sort_keys=True))
    return ports[name]


def _any_free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _read(home: Home) -> dict[str, int]:
    try:
        return dict(json.loads((home.state / "ports.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {}
