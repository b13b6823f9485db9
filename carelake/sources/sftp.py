"""Files on an SFTP server, whose host key must be known."""

from __future__ import annotations

import datetime as dt
import io
import posixpath
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko

from carelake.errors import ConfigError
from carelake.sources.connections import Connection
from carelake.sources.patience import Passing, Refused
from carelake.sources.remote import RemoteFile, folder_of, pattern, write_all

CHUNK = 1 << 15
SECONDS = 30
KEYS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


class SFTP:
    """One server.

    Args:
        path: file or glob from the root of what the login sees.
        connection: login and password, or `private_key` in its extra; `host_key` there says whose
            server it is, as `ssh-keyscan` prints it; else the user's `known_hosts`.
    """

    def __init__(self, host: str, port: int, path: str, connection: Connection) -> None:
        self._path, self._client = path, paramiko.SSHClient()
        self._client.set_missing_host_key_policy(paramiko.RejectPolicy())
        self._know(host, port, connection.extra.get("host_key"))
        try:
            self._client.connect(
                host,
                port,
                username=connection.need("login"),
                password=connection.password or None,
                pkey=_private_key(connection),
                look_for_keys=False,
                allow_agent=False,
                timeout=SECONDS,
                banner_timeout=SECONDS,
                auth_timeout=SECONDS,
            )
            self._session = self._client.open_sftp()
            channel = self._session.get_channel()
            if channel is not None:
                channel.settimeout(SECONDS)
        except (paramiko.SSHException, OSError, EOFError) as error:
            self._client.close()
            raise _sorted_out(error, host) from None

    def close(self) -> None:
        """End the session."""
        self._client.close()

    def files(self) -> list[RemoteFile]:
        """What the path finds."""
        try:
            root = self._session.normalize(folder_of(self._path) or "/")
            return sorted(self._found(root), key=lambda file: file.name)
        except FileNotFoundError:
            return []
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise _sorted_out(error, self._path) from None

    def fetch(self, file: RemoteFile, target: Path) -> RemoteFile:
        """Write a file's bytes, if it stays as it is meanwhile."""
        try:
            before = _file(file.name, self._session.stat(file.name))
            with self._session.open(file.name, "rb") as reader, target.open("wb") as writer:
                reader.prefetch(before.size)
                write_all(iter(lambda: reader.read(CHUNK), b""), writer, before.size, file.name)
            after = _file(file.name, self._session.stat(file.name))
        except FileNotFoundError:
            raise Passing(f"{file.name}: was removed while it was read") from None
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise _sorted_out(error, file.name) from None
        if after != before:
            raise Passing(f"{file.name}: is still being written")
        return after

    def _found(self, root: str) -> Iterator[RemoteFile]:
        wanted, deep = pattern(self._path), "**/" in self._path
        levels = self._path.count("/") - folder_of(self._path).count("/")
        for name, attributes in self._walk(folder_of(self._path), None if deep else levels):
            if not wanted.fullmatch(name):
                continue
            if stat.S_ISLNK(attributes.st_mode or 0):
                real = self._session.normalize(name)
                if posixpath.commonpath([real, root]) != root:
                    # whoever may drop a file there must not get at what else this login can read
                    yield RemoteFile(name, fault=f"is a link out of {root}; copy the file there")
                    continue
                attributes = self._session.stat(name)
            if stat.S_ISREG(attributes.st_mode or 0):
                yield _file(name, attributes)

    def _walk(self, folder: str, levels: int | None) -> Iterator[tuple[str, Any]]:
        for attributes in self._session.listdir_attr(folder or "/"):
            name = f"{folder}/{attributes.filename}"
            yield name, attributes
            if stat.S_ISDIR(attributes.st_mode or 0) and (levels is None or levels > 1):
                yield from self._walk(name, None if levels is None else levels - 1)

    def _know(self, host: str, port: int, host_key: object) -> None:
        if not host_key:
            self._client.load_system_host_keys()
            return
        named = host if port == 22 else f"[{host}]:{port}"
        kind, _, key = " ".join(str(host_key).split()[-2:]).partition(" ")
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{named} {kind} {key}")
        if entry is None or entry.key is None:
            raise ConfigError("host_key in its extra is none; write `ssh-ed25519 AAAA...`")
        self._client.get_host_keys().add(named, kind, entry.key)


def _private_key(connection: Connection) -> paramiko.PKey | None:
    text = connection.extra.get("private_key")
    if not text:
        return None
    secret = connection.extra.get("private_key_passphrase")
    for kind in KEYS:
        try:
            return kind.from_private_key(io.StringIO(str(text)), password=secret)
        except (paramiko.SSHException, ValueError):
            continue
    raise ConfigError("private_key in its extra cannot be read; check it, and its passphrase")


def _file(name: str, attributes: Any) -> RemoteFile:
    modified = dt.datetime.fromtimestamp(attributes.st_mtime or 0, dt.UTC)
    return RemoteFile(name, attributes.st_size, modified)


def _sorted_out(error: Exception, where: str) -> Passing | Refused:
    said = " ".join(str(error).split()) or "the connection was closed"
    if isinstance(error, paramiko.AuthenticationException):
        return Refused(0, f"{said}; correct login and password or private_key of the connection")
    if isinstance(error, paramiko.BadHostKeyException) or re.search(
        "not found in known_hosts", said
    ):
        return Refused(
            0,
            f"{where} shows another host key than the one known, or none is known; "
            "put the line of `ssh-keyscan` as host_key into the connection's extra",
        )
    if isinstance(error, PermissionError):
        return Refused(0, f"{where}: {error.strerror or said}; let the login read it")
    return Passing(f"{where}: {said}")
