"""JSON lines, JSON documents and mail files, built record by record."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import strategies as st

from tests.hostile.bench import Case
from tests.hostile.texts import CHARACTERS, TEXT, arriving

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
HALVES = st.sampled_from(["\\ud83d", "\\udc00", "\\uD800\\ud800", "\\udfff\\ud83d"])
KEYS = st.one_of(
    st.sampled_from(["", "ID", "Text", "rowid", "__json", "__record", "__row", 'a"b', "a\\b", "a.b", "a/b", "~", "*", "$", "x' --", "\0"]),
    st.text(CHARACTERS, min_size=1, max_size=6),
)  # fmt: skip
BROKEN = ("cut", "two", "scalar", "list", "bytes", "nul", "control", "long", "word", "quote")


@st.composite
def record(draw: st.DrawFn, name: str) -> tuple[str, tuple[str | None, str | None]]:
    """JSON of a sound record, and what must arrive of it."""
    body = draw(st.one_of(TEXT, st.none()))
    extra = draw(st.dictionaries(KEYS, VALUES, max_size=4))
    members: dict[str, Any] = {
        **{k: v for k, v in extra.items() if k not in ("id", "text")},
        "id": name,
        "text": body,
    }
    if draw(st.booleans()):
        members = dict(reversed(members.items()))
    shown = json.dumps(members, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 7)) == 0:
        half = draw(HALVES)
        shown = shown.replace(json.dumps(body), f'"<{half}>"') if body == "" else shown
        if f"<{half}>" in shown and '"text": "<' in shown:
            body = "<" + "\ufffd" * half.count("\\u") + ">"
    return shown, (name, arriving(body))


def _broken_line(kind: str, i: int) -> bytes:
    sound = f'{{"id": "b{i}", "text": "x"}}'
    return {
        "cut": sound[:-2].encode(),
        "two": (sound + sound).encode(),
        "scalar": b'"x"',
        "list": b"[1]",
        "bytes": sound.encode().replace(b"x", b"\xff\xfe"),
        "nul": sound.encode().replace(b"x", b"\0"),
        "control": sound.encode().replace(b"x", b"\x1f"),
        "long": sound.replace("x", "y" * 4000).encode(),
        "word": b"nonsense",
        "quote": sound.replace("x", 'x"y').encode(),
    }[kind]


@st.composite
def jsonl_case(draw: st.DrawFn) -> Case:
    """One file of JSON lines: sound ones, broken ones, blank ones."""
    kinds = draw(
        st.lists(st.sampled_from(["good"] * 12 + ["blank"] * 2 + list(BROKEN)), max_size=12)
    )
    end = draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]))
    case = Case(b"", good=[])
    lines: list[bytes] = []
    for i, kind in enumerate(kinds, start=1):
        if kind == "good":
            shown, expected = draw(record(f"r{i}"))
            lines.append(shown.encode())
            assert case.good is not None
            case.good.append(expected)
            case.places.append(i)
        elif kind == "blank":
            lines.append(draw(st.sampled_from([b"", b"  "])))
        else:
            lines.append(_broken_line(kind, i))
            case.n_broken += 1
    bom = b"\xef\xbb\xbf" if draw(st.booleans()) else b""
    case.content = bom + end.join(lines) + (end if draw(st.booleans()) else b"")
    return case


@st.composite
def json_case(draw: st.DrawFn) -> Case:
    """One document with a list of records below `data.items`, some of them no objects."""
    kinds = draw(
        st.lists(
            st.sampled_from(["good"] * 10 + ["scalar", "list", "bytes", "control"]), max_size=12
        )
    )
    case = Case(b"", good=[])
    items: list[bytes] = []
    for i, kind in enumerate(kinds, start=1):
        if kind == "good":
            shown, expected = draw(record(f"r{i}"))
            items.append(shown.encode())
            assert case.good is not None
            case.good.append(expected)
            case.places.append(i)
        else:
            items.append(_broken_line(kind, i))
            case.n_broken += 1
    frame = draw(
        st.sampled_from(
            [
                b'{"data": {"items": [%s]}}',
                b'\xef\xbb\xbf{"page": 1,\r\n "data": {"items":\n[%s]\n}}\n',
            ]
        )
    )
    case.content = frame % b",\n".join(items)
    return case


LINE = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Zs"]), max_size=20
)


@st.composite
def mbox_case(draw: st.DrawFn) -> Case:
    """One mail file: messages, and some that are none."""
    kinds = draw(st.lists(st.sampled_from(["good"] * 8 + ["odd", "nobody", "long"]), max_size=8))
    case = Case(b"", good=[])
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    content = b""
    for i, kind in enumerate(kinds, start=1):
        head = [b"From x Mon Jan  1 00:00:00 2024", f"Message-ID: <m{i}@x>".encode()]
        lines = [f"body {i}".encode()]
        if kind == "nobody":
            head, lines = head[:1], [b""]
        elif kind == "long":
            head, lines = [*head, b"From: a@b.c"], [b"x" * 4000]
        else:
            if kind == "odd":
                head.append(draw(st.sampled_from(ODD_HEADERS)))
            head += [b"From: a@b.c", b"Content-Type: text/plain; charset=utf-8"]
            texts = draw(
                st.lists(
                    st.one_of(
                        LINE, st.sampled_from(["From me", ">From you", ">>From us", ".", "--b"])
                    ),
                    max_size=5,
                )
            )
            lines += [text.encode() for text in texts]
            assert case.good is not None
            said = sorted((line for line in [f"body {i}", *texts] if line), key=str.encode)
            case.good.append((f"m{i}@x", "\n".join(said)))
            case.places.append(i)
        case.n_broken += kind in ("nobody", "long")
        quoted = [b">" + line if re.match(rb">*From ", line) else line for line in lines]
        content += end.join([*head, b"", *quoted, b"", b""])
    case.content = content
    return case


ODD_HEADERS = [
    b"Subject: =?utf-8?b?!!!?=", b"Subject: =?nonsense?q?x?=", b"To: " + b"(" * 2500, b"Cc: " + b"<" * 2500, b"Date: never",
    b"Date: Mon, 99 Xxx 99999 99:99:99 +9999", b"Subject: \xff\xfe\xed\xa0\x80", b"Subject: a\0b", b"References: <" + b"<" * 2500,
    b"X-Attachment: attachment; filename*=utf-8''..%2f..%2fetc%2fpasswd", b"MIME-Version: \x1b[31m",
    b"Subject: =?utf-8?q?=F0=9F?= =?utf-8?q?=92=96?=", b"X: " + b";" * 2500,
]  # fmt: skip
