"""Kinds `maildir` and `eml`: thousands of small files land as a few, each mail once, nothing lost."""

from __future__ import annotations

import os
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from carelake.landing import manifests
from carelake.source import Source
from carelake.sources.batches import ExtractResult
from carelake.sources.mail_files import extract
from carelake.window import Window


def mail(i: int) -> bytes:
    return b"From: a%d@x.example\nMessage-ID: <%d@x>\n\nhello\xe9\r\n" % (i, i)


def run(folder: Path, window: Window = Window(), **more: Any) -> ExtractResult:
    source = Source.model_validate({"name": "mails", **more})
    return extract(source, folder, folder / "landing", window)


def landed(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for manifest in manifests(folder / "landing"):
        for file in manifest.files:
            with tarfile.open(manifest.folder(folder / "landing") / file.landed) as tar:
                for member in tar:
                    content = tar.extractfile(member)
                    assert content is not None and member.name not in found
                    found[member.name] = content.read()
    return found


def test_thousands_of_files_land_as_one_with_their_names_and_bytes_and_come_once(
    tmp_path: Path,
) -> None:
    sent = {f"in/{i // 100}/问题 {i}.eml": mail(i) for i in range(2_000)}
    for name, content in sent.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    eml = {"kind": "eml", "path": "in/**/*.eml"}
    first = run(tmp_path, **eml)
    assert (first.outcome, first.n_files) == ("extracted", 2_000)
    assert len(manifests(tmp_path / "landing")[0].files) == 1
    assert landed(tmp_path) == sent
    assert run(tmp_path, **eml).outcome == "nothing_new"
    (tmp_path / "in/0/new.eml").write_bytes(b"From: x@y.z\n\nnew")
    assert run(tmp_path, **eml).n_files == 1


def test_a_maildir_is_read_in_new_and_cur_and_half_delivered_mail_is_not(tmp_path: Path) -> None:
    for folder in ("Maildir", "Maildir/.Support"):
        for part in ("new", "cur", "tmp"):
            (tmp_path / folder / part).mkdir(parents=True)
            (tmp_path / folder / part / f"17.{part}.host").write_bytes(mail(len(folder)))
    box = {"kind": "maildir", "path": "Maildir"}
    assert run(tmp_path, **box).n_files == 2
    both = {"kind": "maildir", "path": "Maildir/.S*"}
    assert run(tmp_path / "other", **{**both, "path": str(tmp_path / "Maildir/.S*")}).n_files == 2
    (tmp_path / "Maildir/new/17.new.host").rename(tmp_path / "Maildir/cur/17.new.host:2,S")
    assert run(tmp_path, **box).n_files == 1, "it comes again, and its Message-ID tells"
    assert run(tmp_path, **box).outcome == "nothing_new"


def test_a_mail_that_cannot_be_read_is_named_and_taken_when_it_can(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.eml").write_bytes(mail(9))
    (tmp_path / "in/1.eml").write_bytes(mail(1))
    (tmp_path / "in/2.eml").symlink_to(tmp_path / "secret.eml")
    (tmp_path / "in/3.eml").mkdir()
    found = run(tmp_path, kind="eml", path="in/*.eml")
    assert (found.outcome, found.n_files) == ("failed", 1)
    assert "2.eml: is a link out of" in found.message


def test_a_window_goes_by_modification_and_leaves_the_cursor(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(5):
        path = tmp_path / f"in/{i}.eml"
        path.write_bytes(mail(i))
        os.utime(path, (1_700_000_000 + 86_400 * i,) * 2)
    window = Window.parse("2023-11-15T23:00:00", "2023-11-17T23:00:00")
    assert run(tmp_path, window, kind="eml", path="in/*.eml").n_files == 2
    assert run(tmp_path, kind="eml", path="in/*.eml").n_files == 5


def test_snapshot_lands_all_when_one_is_gone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(3):
        (tmp_path / f"in/{i}.eml").write_bytes(mail(i))
    box = {"kind": "eml", "path": "in/*.eml", "mode": "snapshot"}
    assert run(tmp_path, **box).n_files == 3
    assert run(tmp_path, **box).outcome == "nothing_new"
    (tmp_path / "in/1.eml").unlink()
    assert run(tmp_path, **box).n_files == 2


def test_a_clock_that_was_ahead_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/1.eml").write_bytes(mail(1))
    box = {"kind": "eml", "path": "in/*.eml"}
    run(tmp_path, **box)
    ahead = time.time_ns() - 2 * 3_600 * 10**9
    monkeypatch.setattr("carelake.sources.mail_files.time.time_ns", lambda: ahead)
    (tmp_path / "in/2.eml").write_bytes(mail(2))
    assert run(tmp_path, **box).n_files == 1


def test_a_wrong_path_is_told(tmp_path: Path) -> None:
    assert "no mail matches" in run(tmp_path, kind="eml", path="in/*.eml").message
    assert "no maildir" in run(tmp_path, kind="maildir", path="Maildir").message
