"""Kind `imap` against a real Dovecot: increments, renumbering, moves, cuts, refusals, a kill."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carelake.landing import manifests
from carelake.source import Source
from carelake.sources.batches import ExtractResult
from carelake.sources.counting import Counted
from carelake.sources.imap import count
from carelake.sources.imap import extract as extract_imap
from carelake.sources.renewed_secrets import kept_in
from carelake.window import Window
from tests.carelake.sources.faulty_api import Listing, serving
from tests.commands import carelake, holding, rows
from tests.mail_server import PASSWORD, USER, CuttingProxy, Mailserver, dovecot

MANY = 3_000


@pytest.fixture(scope="module")
def started() -> Iterator[Mailserver]:
    with dovecot() as server:
        yield server


@pytest.fixture
def server(started: Mailserver, monkeypatch: pytest.MonkeyPatch) -> Mailserver:
    """The server with empty folders."""
    for folder in ("INBOX", "Archive", "Gesendet"):
        with started.client(folder) as client:
            client.delete_messages("1:*", silent=True)
            client.expunge()
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", started.connection())
    return started


def mails(n: int, first: int = 0, size: int = 40) -> list[bytes]:
    """So many small mails that differ in every byte that counts."""
    chance = random.Random(first)
    return [
        b"From: c%d@x.example\r\nMessage-ID: <m%d@x.example>\r\nDate: Mon, 6 May 2024 10:00:00 +0000\r\n"
        b"\r\n%s\xe9\r\nFrom me\r\n" % (i, i, chance.randbytes(size).hex().encode())
        for i in range(first, first + n)
    ]


def a_source(**imap: Any) -> Source:
    mode = imap.pop("mode", "append")
    return Source.model_validate(
        {"name": "inbox", "kind": "imap", "connection": "mail", "mode": mode,
         "imap": {"security": "none", "timeout_seconds": 5, "attempts": 3, **imap}}
    )  # fmt: skip


def extract(source: Source, landing: Path, window: Window = Window()) -> ExtractResult:
    return extract_imap(source, landing, landing, window, sleep=lambda seconds: None)


def landed(landing: Path) -> list[tuple[str, bytes]]:
    """Name and bytes of every landed mail, in order."""
    found = []
    for manifest in manifests(landing):
        for file in manifest.files:
            with tarfile.open(manifest.folder(landing) / file.landed) as tar:
                for member in tar:
                    content = tar.extractfile(member)
                    assert content is not None
                    found.append((member.name, content.read()))
    return found


def test_thousands_of_mails_land_once_byte_for_byte_in_few_files_and_stay_unread(
    server: Mailserver, tmp_path: Path
) -> None:
    sent = mails(MANY)
    server.put(sent[:-10])
    source = a_source(batch_messages=1000)
    first = extract(source, tmp_path)
    assert (first.outcome, first.n_files, len(first.batches)) == ("extracted", MANY - 10, 3)
    assert extract(source, tmp_path).outcome == "nothing_new"
    server.put(sent[-10:])
    again = extract(source, tmp_path)
    assert (again.outcome, again.n_files) == ("extracted", 10)
    assert [content for _, content in landed(tmp_path)] == sent
    with server.client() as client:
        assert client.search("SEEN") == []
    details = manifests(tmp_path)[0].details
    assert details["messages"] == 1000 and details["requests"] >= 5


def test_a_folder_that_is_numbered_anew_is_read_again(server: Mailserver, tmp_path: Path) -> None:
    server.put(mails(5))
    source = a_source(folders=["New"])
    with server.client() as client:
        client.create_folder("New")
        client.copy(client.search("ALL"), "New")
        assert extract(source, tmp_path).n_files == 5
        client.delete_folder("New")
        time.sleep(1.1)  # Dovecot numbers by the second
        client.create_folder("New")
        client.copy(client.search("ALL"), "New")
        assert extract(source, tmp_path).n_files == 5
        client.delete_folder("New")
    validities = {name.split("/")[1].split(".")[0] for name, _ in landed(tmp_path)}
    assert len(validities) == 2


def test_moved_deleted_flagged_and_draft_mails(server: Mailserver, tmp_path: Path) -> None:
    server.put(mails(4))
    server.put(mails(1, first=10), flags=(b"\\Draft",))
    server.put(mails(1, first=20), flags=(b"\\Seen", b"\\Answered"))
    source = a_source(folders=["INBOX", "Archive"])
    assert extract(source, tmp_path).n_files == 5
    names = [name for name, _ in landed(tmp_path)]
    assert names[-1].endswith(",RS.eml") and not any("D" in n.split(",")[-1] for n in names[:-1])
    with server.client() as client:
        first, second, *_ = client.search("UNDRAFT")
        client.move([first], "Archive")
        client.delete_messages([second])
        client.expunge()
    moved = extract(source, tmp_path)
    assert moved.n_files == 1, "the moved mail comes again, and is told by its Message-ID"
    contents = [content for _, content in landed(tmp_path)]
    assert contents[0] == contents[-1] and len(set(contents)) == 5
    assert extract(source, tmp_path).outcome == "nothing_new"


def test_a_mail_that_appears_late_below_the_newest_is_found(
    server: Mailserver, tmp_path: Path
) -> None:
    server.put(mails(3))
    server.put(mails(1, first=5), flags=(b"\\Draft",))
    server.put(mails(3, first=10))
    source = a_source(look_back=5)
    assert extract(source, tmp_path).n_files == 6
    with server.client() as client:
        client.remove_flags(client.search("DRAFT"), [b"\\Draft"])
    assert extract(source, tmp_path).n_files == 1
    assert landed(tmp_path)[-1][1] == mails(1, first=5)[0]
    assert extract(source, tmp_path).outcome == "nothing_new"


def test_a_window_takes_what_came_in_it_and_leaves_the_cursor(
    server: Mailserver, tmp_path: Path
) -> None:
    days = [dt.datetime(2024, 5, day, 12, tzinfo=dt.UTC) for day in range(1, 8)]
    with server.client() as client:
        for mail, day in zip(mails(7), days, strict=True):
            client.append("INBOX", mail, msg_time=day)
    window = Window(days[2], days[5])
    found = extract(a_source(), tmp_path, window)
    assert (found.outcome, found.n_files) == ("extracted", 3)
    assert [content for _, content in landed(tmp_path)] == mails(7)[2:5]
    assert manifests(tmp_path)[0].cursor_after == {}
    assert extract(a_source(), tmp_path).n_files == 7


def test_snapshot_lands_the_whole_mailbox_when_anything_changed(
    server: Mailserver, tmp_path: Path
) -> None:
    server.put(mails(4))
    source = a_source(mode="snapshot", batch_messages=2)
    assert extract(source, tmp_path).batches == ["inbox-000001"]
    assert extract(source, tmp_path).outcome == "nothing_new"
    with server.client() as client:
        client.delete_messages(client.search("ALL")[:1])
        client.expunge()
    assert extract(source, tmp_path).n_files == 3


@pytest.mark.parametrize("after", [[], [30_000], [40_000, 9_000, 45_000], [200, 20_000]])
def test_a_connection_that_is_cut_in_the_middle_loses_and_doubles_nothing(
    server: Mailserver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: list[int]
) -> None:
    sent = mails(300, size=200)
    server.put(sent)
    proxy = CuttingProxy(server.plain, after)
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", server.connection(proxy.port))
    found = extract(a_source(attempts=5), tmp_path)
    proxy.close()
    assert (found.outcome, found.n_files) == ("extracted", 300)
    assert proxy.n_connections == len(after) + 1
    assert [content for _, content in landed(tmp_path)] == sent


def test_what_was_read_before_a_line_stays_dead_lands_and_the_next_run_goes_on(
    server: Mailserver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = mails(600, size=200)
    server.put(sent)
    proxy = CuttingProxy(server.plain, [250_000, *[100] * 20])
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", server.connection(proxy.port))
    broken = extract(a_source(), tmp_path)
    proxy.close()
    assert broken.outcome == "failed" and 0 < broken.n_files < 600
    assert "the connection was cut (3 tries); the next run goes on" in broken.message
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", server.connection())
    assert extract(a_source(), tmp_path).outcome == "extracted"
    assert [content for _, content in landed(tmp_path)] == sent


def test_refusals_end_at_once_name_connection_and_mend_and_no_secret(
    server: Mailserver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(mails(2))
    proxy = CuttingProxy(server.plain, [])
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", server.connection(proxy.port, "wr0ng"))
    refused = extract(a_source(), tmp_path)
    assert proxy.n_connections == 1, "a wrong password is not tried again: accounts get locked"
    proxy.close()
    assert refused.message == (
        f"connection 'mail': localhost:{proxy.port}: refused the login (AUTHENTICATIONFAILED); "
        "correct login and password, or let the mailbox be read by IMAP"
    )
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", server.connection())
    missing = extract(a_source(folders=["INBOX", "Suport"]), tmp_path)
    assert missing.outcome == "failed" and missing.n_files == 2, "the other folder is read"
    assert (
        "no folder 'Suport'; correct imap.folders, there are Archive, Gesendet" in missing.message
    )
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", server.connection(1))
    assert "cannot be reached (3 tries)" in extract(a_source(), tmp_path).message
    monkeypatch.delenv("AIRFLOW_CONN_MAIL")
    assert "there is no connection 'mail'" in extract(a_source(), tmp_path).message
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes()


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_tls_is_checked_and_a_trusted_certificate_is_enough(
    server: Mailserver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    server.put(mails(2))
    port = server.tls if security == "tls" else server.plain
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", server.connection(port))
    assert (
        "its certificate is not trusted" in extract(a_source(security=security), tmp_path).message
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    assert extract(a_source(security=security), tmp_path).n_files == 2
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", server.connection(server.plain))
    assert "correct imap.security" in extract(a_source(security="tls"), tmp_path / "x").message


def test_folders_by_pattern_and_the_sent_one_whatever_it_is_called(
    server: Mailserver, tmp_path: Path
) -> None:
    server.put(mails(1), folder="Gesendet")
    server.put(mails(1, first=1), folder="Archive")
    assert extract(a_source(folders=["\\Sent", "Arch*"]), tmp_path).n_files == 2
    assert [name.split("/")[0] for name, _ in landed(tmp_path)] == ["Gesendet", "Archive"]


def test_no_password_is_logged_at_any_level(
    server: Mailserver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    extract(a_source(), tmp_path)
    assert PASSWORD not in caplog.text and "AUTHENTICATE" not in caplog.text


def test_the_mails_of_one_folder_are_counted_without_drafts(
    server: Mailserver, tmp_path: Path
) -> None:
    server.put(mails(7))
    server.put(mails(1, first=7), flags=(b"\\Draft",))
    assert count(a_source(), tmp_path) == Counted(7, "mails in INBOX")
    assert count(a_source(folders=["INBOX", "Archive"]), tmp_path) is None


def test_a_probe_reads_a_few(server: Mailserver, tmp_path: Path) -> None:
    server.put(mails(50))
    assert extract_imap(a_source(), tmp_path, tmp_path, is_probe=True).n_files == 5


# -- the command line ----------------------------------------------------------------------------
PAGE = Path(__file__).parents[3] / "docs" / "sources-email.md"


def example() -> str:
    """The first YAML block of the documentation, complete as it stands there."""
    return re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)[0]


@pytest.fixture
def company(server: Mailserver, tmp_path: Path) -> dict[str, str]:
    """The environment of a company whose one source is the example of the page."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
    (tmp_path / "sources.yml").write_text(f"sources:\n{example()}", encoding="utf-8")
    (tmp_path / "carelake.yml").write_text("own_identities: {domains: [shop.example]}\n")
    return {
        **kept,
        "CARELAKE_HOME": str(tmp_path / "home"),
        "CARELAKE_SOURCES": str(tmp_path / "sources.yml"),
        "CARELAKE_PEPPER": "p",
        "AIRFLOW_CONN_SUPPORT_MAIL": server.connection(server.tls),
        "SSL_CERT_FILE": str(server.certificate),
    }


def test_source_test_shows_mails_and_says_in_one_line_what_is_wrong(
    company: dict[str, str], server: Mailserver, tmp_path: Path
) -> None:
    server.put(mails(3))
    said = carelake("source", "test", "support_mail", env=company).stdout
    assert "3 mails" in said and "3 rows, 0 rejects" in said and "c0@x.example" in said
    assert not (tmp_path / "home").exists()
    wrong = {**company, "AIRFLOW_CONN_SUPPORT_MAIL": server.connection(server.tls, "wr0ng")}
    failed = carelake("source", "test", "support_mail", env=wrong, exit_code=1)
    assert "refused the login" in failed.stderr and "wr0ng" not in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_mailbox_is_read_into_the_marts_by_the_yaml_of_the_page_alone(
    company: dict[str, str], server: Mailserver
) -> None:
    server.put(mails(20))
    server.put(
        [b"From: care@shop.example\r\nTo: c1@x.example\r\nMessage-ID: <r1@shop.example>\r\n"
         b"In-Reply-To: <m1@x.example>\r\nDate: Mon, 6 May 2024 11:00:00 +0000\r\n\r\nOn its way\r\n"],
        folder="Gesendet",
    )  # fmt: skip
    carelake("run", env=company, timeout=600)
    found = rows(
        "select direction, count(*) as n, count(distinct conversation_key) as threads "
        "from fct_communications group by all order by all", company,
    )  # fmt: skip
    assert found == [
        {"direction": "inbound", "n": 20, "threads": 20},
        {"direction": "outbound", "n": 1, "threads": 1},
    ]
    with server.client() as client:
        client.move(client.search("ALL")[:5], "Gesendet")
    carelake("run", env=company, timeout=600)
    account = rows(
        "select sum(n_physical) as seen, sum(n_staged) as staged from source_runs", company
    )
    assert account == [{"seen": 26, "staged": 21}]
    count = rows("select count(*) as n from fct_communications", company)
    assert count == [{"n": 21}], "moved mails are told by their id"
    assert holding(Path(company["CARELAKE_HOME"]), PASSWORD) == []


@pytest.mark.slow
def test_a_killed_extract_loses_and_doubles_nothing(server: Mailserver, tmp_path: Path) -> None:
    sent = mails(MANY, size=400)
    server.put(sent)
    code = (
        "import sys; from pathlib import Path; from tests.carelake.sources.test_imap import *\n"
        f"extract(a_source(batch_messages=400), Path({str(tmp_path)!r}))"
    )
    chance = random.Random(1)
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3])
        before = len(manifests(tmp_path))
        end = time.monotonic() + 60
        while len(manifests(tmp_path)) == before and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.005)
        time.sleep(chance.random() * 0.15)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(manifests(tmp_path)) >= 3
    extract(a_source(batch_messages=400), tmp_path)
    assert [content for _, content in landed(tmp_path)] == sent


def test_a_mailbox_is_opened_with_a_token_that_is_fetched_and_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = Listing(token="none yet", refresh="r0")
    with serving(listing) as service, dovecot(f"{service.url}/introspect") as server:
        server.put(mails(3))
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        monkeypatch.setenv(
            "AIRFLOW_CONN_MAIL",
            json.dumps(
                {"host": "localhost", "port": server.tls, "login": "carelake", "password": "s3cret",
                 "extra": {"refresh_token": "r0"}}
            ),
        )  # fmt: skip
        auth = {"type": "oauth2", "token_url": f"{service.url}/token", "grant": "refresh_token"}
        source = a_source(security="tls", auth=auth, mailbox=USER)
        with kept_in(tmp_path / "renewed"):
            assert extract(source, tmp_path / "landing").n_files == 3
            server.put(mails(2, first=3))
            again = extract(source, tmp_path / "landing")
            assert (again.outcome, again.n_files, listing.refresh) == ("extracted", 2, "refresh-2")
            listing.owner = "somebody@shop.example"
            refused = extract(source, tmp_path / "landing")
        assert refused.outcome == "failed" and "refused the login" in refused.message
        assert "token-" not in refused.message
        assert holding(tmp_path / "landing", "refresh-") == []
