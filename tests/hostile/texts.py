"""Texts that break programs, and strategies around them."""

from __future__ import annotations

from hypothesis import strategies as st

NASTY = [
    "", " ", "null", "NULL", "NaN", "=1+1", "@SUM(A1)", "-5", "+cmd|' /C calc'!A0", "'; drop table raw.communications; --",
    '"', '""', "\\", "\\N", "a\\\"b", "${HOME}", "{{ 7*7 }}", "{% raw %}", "<script>alert(1)</script>", "%s%n", "../../etc/passwd",
    "\u202eevil", "\u200d", "👩‍👩‍👧‍👦", "e\u0301", "مرحبا بالعالم", "退款退货", "\ufeff", "\u2028", "\x85", "\x1b[31m", "\x1f", "\t", "0000-00-00",
    "9999-12-31", "10000-01-01", "1e400", "9" * 400, "𝕬", "\ufffd", "\x7f", "\ud7ff", "\ue000", "\U0010ffff", "\x0b\x0c\x1c", "\r", "a\rb",
]  # fmt: skip

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
TEXT = st.one_of(
    st.sampled_from(NASTY),
    st.text(CHARACTERS, max_size=20),
    st.text("ab,;\"' \n\r\t|\\", max_size=12),
)
PLAIN = st.text("abcdefgh \u4e00é🙂'.:-", min_size=1, max_size=12).map(lambda t: "w" + t.strip())


def arriving(text: str | None) -> str | None:
    """What load makes of a text: all of it, and an empty one is none."""
    return text or None


def mutate(content: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    """Flip, cut, double or insert bytes: (what, where, byte) each, positions taken modulo."""
    data = bytearray(content)
    for what, where, byte in changes:
        at = where % (len(data) + 1)
        if what == 0 and at < len(data):
            data[at] = byte
        elif what == 1:
            data[at:at] = bytes([byte])
        elif what == 2:
            del data[at : at + 1 + byte % 8]
        elif what == 3:
            del data[at:]
        else:
            data[at:at] = data[at : at + 1 + byte]
    return bytes(data)


CHANGES = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 1, 1, 2, 2, 3, 4]), st.integers(0, 1 << 20), st.one_of(st.integers(0, 255), st.sampled_from(list(b'"\n\r,\0{}[]\\<>:')))),
    min_size=1,
    max_size=6,
)  # fmt: skip
