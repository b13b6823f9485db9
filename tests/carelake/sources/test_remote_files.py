"""Kind `files` where the files are elsewhere: what is new, faults, secrets, against real servers."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from carelake.landing import manifests
from carelake.source import Source
from carelake.sources.batches import ExtractResult
from carelake.sources.remote import pattern
from carelake.sources.remote_files import extract as extract_remote
from carelake.window import Window
from tests import file_servers
from tests.commands import carelake
from tests.file_servers import SECRET, cutting

LARGE = b"id,body\n" + b"".join(b"%d,%s\n" % (n, "退款太慢了".encode()) for n in range(120_000))
"""About 2.6 MB, so that a way that breaks off after 1 MB breaks off within it."""


@dataclass
class Place:
    """A real server of files, with a folder `inbox/`."""

    kind: str
    port: int
    put: Callable[[str, bytes], None]
    connection: Callable[[int], dict[str, Any]]
    folder: str = "inbox"

    def path(self, glob: str, port: int) -> str:
        if self.kind == "s3":
            return f"s3://inbox/{glob}"
        return f"sftp://127.0.0.1:{port}{self.folder}/{glob}"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with file_servers.s3(tmp_path_factory.mktemp("s3")) as bucket:
        yield Place(
            "s3", bucket.port, bucket.put,
            lambda port: {"login": "reader", "password": SECRET,
                          "extra": {"endpoint_url": f"http://127.0.0.1:{port}"}},
        )  # fmt: skip


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("sftp")
    with file_servers.sftp(folder) as shell:

        def put(name: str, content: bytes) -> None:
            path = folder / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

        yield Place(
            "sftp", shell.port, put,
            lambda port: {"login": shell.login,
                          "extra": {"private_key": shell.private_key, "host_key": shell.host_key}},
            str(folder / "files"),
        )  # fmt: skip


@pytest.fixture(params=["s3", "sftp"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


def a_source(path: str, **more: Any) -> Source:
    return Source.model_validate(
        {"name": "exports", "kind": "files", "path": path, "connection": "store", "format": "csv",
         "entity": "communications", "columns": {"communication_id": "id", "body": "body"}, **more}
    )  # fmt: skip


def extract(source: Source, landing: Path, window: Window | None = None) -> ExtractResult:
    return extract_remote(source, landing, window or Window(), sleep=lambda seconds: None)


def landed(landing: Path) -> list[dict[str, bytes]]:
    """Names and bytes of every batch, in order."""
    found = []
    for manifest in manifests(landing):
        assert not manifest.damage(landing)
        folder = manifest.folder(landing)
        found.append({Path(f.name).name: (folder / f.landed).read_bytes() for f in manifest.files})
    return found


def know(monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any]) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))


@pytest.mark.slow
def test_new_and_changed_files_are_landed_once_and_only_those_the_path_finds(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, place.connection(place.port))
    source = a_source(place.path("new/*.csv", place.port))
    assert "no file matches" in extract(source, tmp_path).message
    place.put("new/a 中文.csv", b"id\n1\n")
    place.put("new/b.csv", b"id\n2\n")
    place.put("new/deep/c.csv", b"id\n3\n")
    place.put("new/d.txt", b"id\n4\n")
    assert extract(source, tmp_path).outcome == "extracted"
    assert extract(source, tmp_path).outcome == "nothing_new"
    place.put("new/b.csv", b"id\n2\n22\n")
    assert extract(source, tmp_path).outcome == "extracted"
    assert landed(tmp_path) == [
        {"a 中文.csv": b"id\n1\n", "b.csv": b"id\n2\n"}, {"b.csv": b"id\n2\n22\n"},
    ]  # fmt: skip
    deep = a_source(place.path("new/**/*.csv", place.port), name="deep")
    assert extract(deep, tmp_path).n_files == 3


@pytest.mark.slow
def test_a_download_that_breaks_off_is_fetched_again_and_is_whole(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("large/a.csv", LARGE)
    # every second connection breaks off in the middle of the file
    with cutting(place.port, [1_000_000, 500_000, 1_500_000, 40]) as port:
        know(monkeypatch, place.connection(port))
        result = extract(a_source(place.path("large/*.csv", port)), tmp_path)
    assert result.outcome == "extracted", result.message
    assert landed(tmp_path) == [{"a.csv": LARGE}]


@pytest.mark.slow
def test_a_snapshot_replaces_by_its_name_and_an_older_one_is_passed_over(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, place.connection(place.port))
    source = a_source(place.path("daily/*.csv", place.port), mode="snapshot")
    place.put("daily/2024-05-02-page-1.csv", b"id\n1\n")
    place.put("daily/2024-05-02-page-2.csv", b"id\n2\n")
    extract(source, tmp_path)
    place.put("daily/2024-05-01.csv", b"id\n0\n")
    assert extract(source, tmp_path).outcome == "nothing_new"
    place.put("daily/2024-05-03.csv", b"id\n3\n")
    extract(source, tmp_path)
    assert [sorted(batch) for batch in landed(tmp_path)] == [
        ["2024-05-02-page-1.csv", "2024-05-02-page-2.csv"], ["2024-05-03.csv"],
    ]  # fmt: skip


@pytest.mark.slow
def test_a_window_takes_files_by_their_time_and_leaves_the_others_for_later(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, place.connection(place.port))
    source = a_source(place.path("window/*.csv", place.port))
    place.put("window/a.csv", b"id\n1\n")
    ahead = Window(dt.datetime.now(dt.UTC) + dt.timedelta(days=1), None)
    assert extract(source, tmp_path, ahead).outcome == "nothing_new"
    assert extract(source, tmp_path).outcome == "extracted"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("s3", {"login": "nobody"}, "correct the login (access key id)"),
        ("s3", {"password": "wr0ng"}, "correct the password (secret access key)"),
        ("s3", {"bucket": "other"}, "grant s3:ListBucket"),
        ("sftp", {"private_key": "none"}, "private_key in its extra cannot be read"),
        ("sftp", {"login": "nobody"}, "correct login and password or private_key"),
        ("sftp", {"host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdXqrAyVOHhBJGYpVK6NIuCBlMOkoTwdVSTAzB7jMTn"},
         "another host key"),
    ],
)  # fmt: skip
def test_what_does_not_pass_fails_at_once_naming_connection_and_mend(
    kind: str,
    change: dict[str, str],
    said: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place: Place = request.getfixturevalue(kind)
    connection = place.connection(place.port)
    path = place.path("*.csv", place.port).replace(
        "s3://inbox", f"s3://{change.get('bucket', 'inbox')}"
    )
    for key, value in change.items():
        (connection["extra"] if key in connection["extra"] else connection)[key] = value
    know(monkeypatch, connection)
    waits: list[float] = []
    result = extract_remote(a_source(path), tmp_path, sleep=waits.append)
    assert (result.outcome, waits) == ("failed", []), result.message
    assert said in result.message and "connection 'store'" in result.message
    assert "\n" not in result.message and "wr0ng" not in result.message
    assert manifests(tmp_path) == []


@pytest.mark.slow
def test_a_link_out_of_the_folder_of_an_sftp_server_is_refused_and_the_others_are_taken(
    sftp: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, sftp.connection(sftp.port))
    sftp.put("links/a.csv", b"id\n1\n")
    secret = tmp_path / "secret.csv"
    secret.write_bytes(b"id\n77\n")
    (Path(sftp.folder) / "links" / "b.csv").symlink_to(secret)
    (Path(sftp.folder) / "links" / "c.csv").symlink_to("a.csv")
    landing = tmp_path / "landing"
    result = extract(a_source(sftp.path("links/*.csv", sftp.port)), landing)
    assert result.outcome == "failed" and "b.csv: is a link out of" in result.message
    assert landed(landing) == [{"a.csv": b"id\n1\n", "c.csv": b"id\n1\n"}]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[file_servers.Web]:
    opened: AbstractContextManager[file_servers.Web] = file_servers.https(
        tmp_path_factory.mktemp("web")
    )
    with opened as server:
        yield server


def test_a_file_of_a_web_server_is_read_by_its_own_ca_and_again_when_it_changed(
    web: file_servers.Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, {"login": "reader", "password": SECRET, "extra": {"ca_file": str(web.ca)}})
    web.files["/out/all.csv"] = LARGE
    web.cuts = [0, 1_000_000, 10]
    source = a_source(f"https://127.0.0.1:{web.port}/out/all.csv")
    result = extract(source, tmp_path)
    assert result.outcome == "extracted", result.message
    assert extract(source, tmp_path).outcome == "nothing_new"
    web.files["/out/all.csv"] = b"id\n1\n"
    extract(source, tmp_path)
    assert landed(tmp_path) == [{"all.csv": LARGE}, {"all.csv": b"id\n1\n"}]


@pytest.mark.parametrize(
    ("connection", "file", "said"),
    [
        ({"login": "reader", "password": "wr0ng"}, "all.csv", "answered 401"),
        ({"login": "reader", "password": SECRET}, "none.csv", "answered 404"),
        ({"login": "reader", "password": SECRET, "extra": {}}, "all.csv", "its certificate is not trusted"),
    ],
)  # fmt: skip
def test_a_web_server_that_refuses_is_told_in_one_line(
    connection: dict[str, Any],
    file: str,
    said: str,
    web: file_servers.Web,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web.files["/out/all.csv"] = b"id\n1\n"
    know(monkeypatch, {"extra": {"ca_file": str(web.ca)}, **connection})
    result = extract(a_source(f"https://127.0.0.1:{web.port}/out/{file}"), tmp_path)
    assert result.outcome == "failed" and said in result.message
    assert "wr0ng" not in result.message and SECRET not in result.message


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("ftp://host/a.csv", "write a folder, or s3://"),
        ("https://me:pass@host/a.csv", "put it into the connection"),
        ("https://host/*.csv", "a web server lists no files"),
        ("http://host/a.csv", "in the clear"),
        ("sftp://me@host/a.csv", "put it into the connection"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_with_its_mend(path: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        a_source(path)


@pytest.mark.parametrize(
    ("glob", "names", "strangers"),
    [
        ("in/*.csv", ["in/a.csv", "in/中 文.csv"], ["in/b/a.csv", "in/a.csv.gz", "x/in/a.csv"]),
        ("in/**/*.csv", ["in/a.csv", "in/b/c/a.csv"], ["a.csv", "in/a.txt"]),
        ("in/20??-[01]?.csv", ["in/2024-05.csv"], ["in/2024-25.csv", "in/2024-5.csv"]),
        ("in/a+(1).csv", ["in/a+(1).csv"], ["in/aa1.csv"]),
    ],
)
def test_a_glob_finds_what_it_finds_in_a_folder(
    glob: str, names: list[str], strangers: list[str]
) -> None:
    assert all(pattern(glob).fullmatch(name) for name in names)
    assert not any(pattern(glob).fullmatch(name) for name in strangers)


@pytest.mark.slow
def test_no_secret_stands_in_what_is_landed(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = place.connection(place.port)
    know(monkeypatch, connection)
    place.put("secrets/a.csv", b"id\n1\n")
    extract(a_source(place.path("secrets/*.csv", place.port)), tmp_path)
    secrets = [connection.get("password"), connection["extra"].get("private_key")]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret and secret.encode() in content for secret in secrets)
    assert len(landed(tmp_path)) == 1


# -- the command line ----------------------------------------------------------------------------
PAGE = Path(__file__).parents[3] / "docs" / "sources-files.md"
CONTENT = "id,message,email,created_at\n1,退款太慢了 😀,ann@example.org,2024-05-01T10:00:00Z\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_each_example_of_the_page_shows_its_record_as_it_would_land(
    number: int,
    s3: Place,
    sftp: Place,
    web: file_servers.Web,
    tmp_path: Path,
) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    s3.put("desk/a.csv", CONTENT.encode())
    sftp.put("out/2024/a.csv", CONTENT.encode())
    web.files["/export/answers.csv"] = CONTENT.encode()
    secrets = {"login": "reader", "password": SECRET, "extra": {"ca_file": str(web.ca)}}
    text = blocks[number].replace("survey.example", f"127.0.0.1:{web.port}")
    text = text.replace("files.example:22", f"127.0.0.1:{sftp.port}{sftp.folder}")
    (tmp_path / "sources.yml").write_text(f"sources:\n{text}", encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
    connection = [s3.connection(s3.port), sftp.connection(sftp.port), secrets][number]
    env = {
        **kept,
        "CARELAKE_HOME": str(tmp_path / "home"),
        "CARELAKE_SOURCES": str(tmp_path / "sources.yml"),
        "AIRFLOW_CONN_EXPORTS": json.dumps(connection),
    }
    name = ["desk_exports", "call_center", "survey_tool"][number]
    said = carelake("source", "test", name, env=env).stdout
    assert "1 rows, 0 rejects" in said and "退款太慢了 😀" in said and "ann@example.org" in said
