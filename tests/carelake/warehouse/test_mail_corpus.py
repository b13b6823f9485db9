"""Real mails: each a row or a reject with its reason, by one process and by several alike."""

from __future__ import annotations

import email
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from carelake.sources.mail_pack import MailPack
from carelake.warehouse import mail_files
from carelake.warehouse.emails import ENVELOPE, POLICY, _is_read, _parsed, parse_message
from carelake.warehouse.mail_files import read_mbox, read_tar

CORPUS = Path(__file__).parents[4] / "shared" / "data" / "emails"


@pytest.fixture(scope="module")
def mails() -> list[tuple[str, bytes]]:
    found = sorted(CORPUS.rglob("*.eml"))
    if not found:
        pytest.skip("no real mails here")
    return [(str(path.relative_to(CORPUS)), path.read_bytes()) for path in found]


def packed(folder: Path, mails: list[tuple[str, bytes]]) -> Path:
    pack = MailPack(folder)
    for name, content in mails:
        pack.add(name, content, None)
    ((_, path),) = pack.close()
    return path


def test_every_real_mail_is_a_row_or_a_reject_that_names_it(
    mails: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    parsed = read_tar(packed(tmp_path, mails))
    assert len(parsed.rows) + len(parsed.rejects) == parsed.n_messages == len(mails)
    assert len(parsed.rejects) <= 3
    names = [name for name, _ in mails]
    assert all(r.reason.startswith(names[(r.row_number or 0) - 1] + ": ") for r in parsed.rejects)
    assert all(
        row["message_id"] and (row["from_address"] or row["body_text"]) for row in parsed.rows
    )
    garbled = [r for r in parsed.rows if "\ufffd" in (r["subject"] or "") + (r["body_text"] or "")]
    assert len(garbled) < 0.005 * len(mails)
    kinds = Counter(row["mail_kind"] for row in parsed.rows)
    assert set(kinds) == {"person", "bulk", "bounce", "auto_reply"}


def test_our_splitting_gives_what_the_standard_parser_gives(mails: list[tuple[str, bytes]]) -> None:
    for name, raw in mails:
        envelope = ENVELOPE.match(raw)
        content = raw[envelope.end() if envelope else 0 :]
        ours, theirs = _parsed(content), email.message_from_bytes(content, policy=POLICY)
        assert _told(ours) == _told(theirs), name


def _told(message: email.message.Message) -> list[object]:
    return [
        (
            [(k, str(v)) for k, v in part.raw_items() if _is_read(k.lower())],
            part.get_filename(),
            None if part.is_multipart() else (part.get_payload(decode=True) or b"").rstrip(),  # type: ignore[union-attr]
        )
        for part in message.walk()
    ]


def made_up(count: int, size: int) -> list[tuple[str, bytes]]:
    return [
        (f"{i}.eml", b"From: a@b.c\nMessage-ID: <%d@x>\n\n%s\n" % (i, b"word " * size) if i % 7 else b"\n")
        for i in range(count)
    ]  # fmt: skip


def test_several_processes_give_what_one_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_files, "WORTH_A_PROCESS", 20_000)
    mails = made_up(100, 200)
    path = packed(tmp_path, mails)
    assert mail_files._tar_cuts(path, 3)
    one, three = read_tar(path), read_tar(path, processes=3)
    assert one == three and one.n_messages == 100 and len(one.rejects) == 15
    box = tmp_path / "in.mbox"
    box.write_bytes(b"".join(b"From x\n" + content + b"\n" for _, content in mails))
    assert mail_files._mbox_cuts(box, 3)
    assert read_mbox(box) == read_mbox(box, processes=3)
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    assert read_tar(path, processes=3) == one, "where no process can be had, it is done here"


def test_helpers_can_be_made_in_a_daemon_like_a_task(tmp_path: Path) -> None:
    path = packed(tmp_path, made_up(100, 200))
    code = f"""
import multiprocessing, pathlib
from carelake.warehouse import mail_files
mail_files.WORTH_A_PROCESS = 20_000
place = mail_files.STRETCHES
def work(queue):
    begun = []
    run = mail_files.subprocess.run
    mail_files.subprocess.run = lambda *a, **k: (begun.append(1), run(*a, **k))[1]
    found = mail_files.read_tar(pathlib.Path({str(path)!r}), processes=2)
    queue.put((found.n_messages, len(begun), multiprocessing.current_process().daemon))
queue = multiprocessing.get_context("fork").Queue()
task = multiprocessing.get_context("fork").Process(target=work, args=(queue,), daemon=True)
task.start(); print(queue.get(timeout=50)); task.join()
"""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.stdout.strip() == "(100, 1, True)"


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ("X: y", "person"),
        ("Auto-Submitted: no", "person"),
        ("Auto-Submitted: auto-replied (vacation)", "auto_reply"),
        ("X-Auto-Response-Suppress: All", "auto_reply"),
        ("Subject: Automatic reply: Where is it?", "auto_reply"),
        ("Return-Path: <>\nSubject: Undeliverable: hello", "bounce"),
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=x", "bounce"),
        (
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=x",
            "auto_reply",
        ),
        ("List-Id: News <news.shop.example>", "bulk"),
        ("Precedence: bulk", "bulk"),
    ],
)
def test_machines_are_told_from_people(headers: str, kind: str) -> None:
    row = parse_message(f"From: a@b.c\n{headers}\n\nbody".encode())
    assert row["mail_kind"] == kind and row["is_auto_reply"] == str(kind != "person").lower()


def test_a_mail_without_an_id_has_one_of_its_content() -> None:
    first = parse_message(b"From: a@b.c\n\nbody\n")["message_id"]
    assert first == parse_message(b"From: a@b.c\r\n\r\nbody")["message_id"]
    assert first != parse_message(b"From: a@b.c\n\nother")["message_id"]


@pytest.mark.parametrize(
    ("charset", "octets", "text"),
    [
        ("DEFAULT", "Grüße".encode("cp1252"), "Grüße"),
        ("fakescii", "Grüße".encode(), "Grüße"),
        ("us-ascii", "Grüße".encode("cp1252"), "Grüße"),
        ("gb2312", "退款，谢谢朋友".encode("gb18030"), "退款，谢谢朋友"),
        ("ks_c_5601-1987", "안녕하세요".encode("cp949"), "안녕하세요"),
        ("iso-2022-jp", "こんにちは".encode("iso-2022-jp"), "こんにちは"),
        ("unknown-8bit", ("我的订单还没有收到，请尽快处理，谢谢。" * 5).encode("gb18030"), "我的订单还没有收到"),
    ],
)  # fmt: skip
def test_charsets_are_read_as_programs_mean_them(charset: str, octets: bytes, text: str) -> None:
    raw = b"From: a@b.c\nContent-Type: text/plain; charset=%s\n\n" % charset.encode() + octets
    assert (parse_message(raw)["body_text"] or "").startswith(text)
