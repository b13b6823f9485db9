"""Files in S3, and in what speaks like it: MinIO, Ceph, SeaweedFS, OSS, COS."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from carelake.sources.connections import Connection
from carelake.sources.patience import Passing, Refused
from carelake.sources.remote import RemoteFile, folder_of, pattern, write_all

CHUNK = 1 << 20
MENDS = {
    "InvalidAccessKeyId": "correct the login (access key id) of the connection",
    "SignatureDoesNotMatch": "correct the password (secret access key) of the connection",
    "NoSuchBucket": "correct the bucket in path, or the endpoint_url of the connection's extra",
    "AccessDenied": "grant s3:ListBucket on the bucket and s3:GetObject on its files",
    "PermanentRedirect": "set region_name in the connection's extra",
    "AuthorizationHeaderMalformed": "set region_name in the connection's extra",
}


class S3:
    """One bucket.

    Args:
        path: key or glob below the bucket.
        connection: login is the access key id, password the secret; without one the environment
            (`AWS_ACCESS_KEY_ID`, a role, ...) decides.
    """

    def __init__(self, bucket: str, path: str, connection: Connection | None) -> None:
        self._path = path
        options: dict[str, Any] = {"client_options": {"timeout": "1h", "connect_timeout": "20s"}}
        if connection is not None:
            extra, given = connection.extra, options
            given["access_key_id"] = connection.need("login")
            given["secret_access_key"] = connection.need("password")
            if extra.get("aws_session_token"):
                given["session_token"] = str(extra["aws_session_token"])
            if endpoint := extra.get("endpoint_url"):
                given["endpoint"] = str(endpoint)
                options["client_options"]["allow_http"] = str(endpoint).startswith("http://")
            given["region"] = str(extra.get("region_name") or "us-east-1")
            given["virtual_hosted_style_request"] = bool(extra.get("virtual_hosted_style"))
        # our own patience tries again: it knows what does not pass
        self._store = S3Store(bucket, retry_config={"max_retries": 0}, **options)

    def close(self) -> None:
        """Nothing is open between two requests."""

    def files(self) -> list[RemoteFile]:
        """What the path finds; objects that stand for folders are none."""
        wanted = pattern(self._path)
        try:
            pages = list(obstore.list(self._store, folder_of(self._path) or None, chunk_size=1000))
        except (BaseError, OSError) as error:
            raise _sorted_out(error) from None
        found = [_file(meta) for page in pages for meta in page if wanted.fullmatch(meta["path"])]
        return sorted((file for file in found if file.name[-1:] != "/"), key=lambda f: f.name)

    def fetch(self, file: RemoteFile, target: Path) -> RemoteFile:
        """Write an object's bytes; gives the version they are of."""
        try:
            answer = obstore.get(self._store, file.name)
            now = _file(answer.meta)
            with target.open("wb") as writer:
                chunks = (bytes(chunk) for chunk in answer.stream(min_chunk_size=CHUNK))
                write_all(chunks, writer, now.size, file.name)
        except FileNotFoundError:
            raise Passing(f"{file.name}: was removed while it was read") from None
        except (BaseError, OSError) as error:
            raise _sorted_out(error) from None
        return now


def _file(meta: Any) -> RemoteFile:
    return RemoteFile(meta["path"], meta["size"], meta["last_modified"], meta.get("e_tag"))


def _sorted_out(error: Exception) -> Passing | Refused:
    text = str(error)
    status = re.search(r"status code: (\d{3})", text)
    code = re.search(r"<Code>(\w+)</Code>", text)
    told = re.search(r"<Message>([^<]*)</Message>", text)
    said = " ".join(filter(None, [status and status[1], code and code[1], told and told[1]]))
    if status is None or int(status[1]) >= 500 or int(status[1]) in (408, 429):
        return Passing(said or text.splitlines()[0])
    mend = MENDS.get(code[1]) if code else None
    return Refused(int(status[1]), f"{said}; {mend or MENDS['AccessDenied']}")
