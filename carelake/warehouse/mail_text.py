"""What a mail says, as plain text: charsets decoded, HTML without its tags."""

from __future__ import annotations

import html
import re

from carelake.encodings import is_encoding

WIDER = {
    "ascii": "cp1252", "us-ascii": "cp1252", "iso-8859-1": "cp1252", "latin1": "cp1252",
    "gb2312": "gb18030", "gbk": "gb18030", "hz-gb-2312": "hz", "big5": "big5hkscs",
    "shift_jis": "cp932", "shift-jis": "cp932", "x-sjis": "cp932",
    "euc-kr": "cp949", "ks_c_5601-1987": "cp949", "iso-8859-9": "cp1254", "x-gbk": "gb18030",
}  # fmt: skip
"""What mail programs write under a charset's name: its larger relative, which reads both."""
GUESSED = 20_000
"""Bytes that are enough to guess a charset by; guessing takes its time."""
SHORTEST_GUESS = 20
HIGH = bytes(range(128, 256))
SKIPPED = {"script", "style", "title"}
"""Tags whose content is not shown."""
_BLOCKS = [
    "p",
    "div",
    "li",
    "tr",
    "table",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "pre",
    "blockquote",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "body",
    "section",
]
ENDS = frozenset(["br", *(f"/{name}" for name in _BLOCKS)])
BLOCKS = frozenset([*_BLOCKS, *ENDS])
"""Tags that begin or end a line."""
INLINE = frozenset(
    [
        "b",
        "/b",
        "i",
        "/i",
        "u",
        "/u",
        "em",
        "/em",
        "strong",
        "/strong",
        "span",
        "/span",
        "font",
        "/font",
    ]
)
"""Tags that may stand in the middle of a word."""
FORMS = {
    **dict.fromkeys(INLINE, "inline"),
    **dict.fromkeys(SKIPPED, "skipped"),
    **dict.fromkeys(BLOCKS, "block"),
    **dict.fromkeys(("blockquote", "/blockquote"), "quoting"),
}
"""What a tag does to the text around it; another one parts two words."""
_BLANK = r"\t\v\f\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
BLANKS = re.compile(rf" [ {_BLANK}]+|[{_BLANK}][ {_BLANK}]*")
"""Blanks within a line that are not a single space already."""
TAG = re.compile(r"<(?:(/?[A-Za-z][^\s<>/]*)([^<>]*)>|(!--)|[!?][^<>]*>)")
"""A tag with its name and what follows it, or the beginning of a comment."""
META = re.compile(rb"charset\s*=\s*[\"']?\s*([\w.:\-]{2,40})", re.IGNORECASE)
QUOTING = re.compile(r"\bcite\b|quote|isreplycontent", re.IGNORECASE)
"""In a `blockquote` tag: it holds what the writer answers. Others are layout."""
LONGEST_TAG = 4_000
"""Characters of a tag in which a `>` between quotation marks does not end it."""


def decode(raw: bytes, charset: str | None) -> str:
    """A text whatever its charset is called; bytes that are none cost themselves only."""
    name = (charset or "").strip().strip("'\"").lower()
    name = WIDER.get(name, name)
    if name and is_encoding(name) and (text := _decoded(raw, name)) is not None:
        return text
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return _guessed(raw)


def _decoded(raw: bytes, name: str) -> str | None:
    """The text, None when too much of it is none in this encoding."""
    try:
        if name == "cp1252" and not raw.isascii():
            # plain ASCII is what many programs say of everything
            return _utf8_or(raw, name)
        return raw.decode(name)
    except ValueError:
        pass
    try:
        text = raw.decode(name, "replace")
    except ValueError:
        return None
    return text if text.count("\ufffd") * 50 <= len(text) else None


def _utf8_or(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return _guessed(raw)


def _share_of_high_bytes(raw: bytes) -> float:
    sample = raw[:GUESSED]
    return 1 - len(sample.translate(None, HIGH)) / max(len(sample), 1)


def _guessed(raw: bytes) -> str:
    # a text of many 8-bit letters is no western one; of a short one nobody can tell
    if len(raw) >= SHORTEST_GUESS and _share_of_high_bytes(raw) > 0.3:
        from charset_normalizer import from_bytes

        best = from_bytes(raw[:GUESSED], steps=3).best()
        if best is not None:
            return raw.decode(best.encoding, "replace")
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def charset_of_markup(raw: bytes) -> str | None:
    """The charset an HTML document names itself."""
    found = META.search(raw[:2_000])
    return found[1].decode("ascii") if found else None


def clean(text: str | None) -> str | None:
    """Text that can be stored, without blanks at the ends of its lines; None when nothing is left."""
    if text is None:
        return None
    # lone surrogates cannot be stored as UTF-8
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    return "\n".join([line.rstrip() for line in text.splitlines()]).strip() or None


def plain_text(markup: str) -> str:
    """The text of an HTML document; what it quotes of an earlier mail begins with `> `."""
    lines = "".join(_shown(markup))
    text = BLANKS.sub(" ", html.unescape(lines))
    text = re.sub(r" \n ?|\n ", "\n", text)
    # layout tables leave a screenful of empty lines between two sentences
    text = re.sub(r"\n{3,}", "\n\n", text)
    return _with_marks(text) if OPEN in text else text


OPEN, CLOSE = "\ue000", "\ue001"
"""Where a quotation begins and ends, until lines are made: characters nobody writes."""


def _with_marks(text: str) -> str:
    """Quotations told by `> ` at the beginning of their lines, as in plain mail."""
    depth, lines = 0, []
    for line in text.split("\n"):
        depth += line.count(OPEN)
        words = line.replace(OPEN, "").replace(CLOSE, "")
        lines.append(f"> {words}" if depth and words else words)
        depth = max(0, depth - line.count(CLOSE))
    return "\n".join(lines)


def _shown(markup: str) -> list[str]:
    """The text between the tags; every character is looked at a few times, whatever stands there."""
    shown: list[str] = []
    at, quotes, is_fresh, may_comment = 0, 0, True, True
    for match in TAG.finditer(markup):
        start, end = match.span()
        if start < at:
            continue  # within a comment, or a script
        if start > at:
            words = markup[at:start]
            shown.append(words)
            is_fresh = is_fresh and words.isspace()
        at = end
        name, more, comment = match.groups()
        if comment:
            if may_comment:
                stop = markup.find("-->", at)
                may_comment = stop >= 0
                at = stop + 3 if may_comment else at
            continue
        if more and more.count('"') % 2:
            at = _end_of_tag(markup, at)
        name = (name or "").lower()
        form = FORMS.get(name)
        if form == "inline":
            continue
        if form is None:
            shown.append(" ")
        elif form == "skipped":
            at = _after_content(markup, name, at)
        elif form == "quoting":
            if name == "/blockquote" and quotes:
                quotes -= 1
                shown.append(CLOSE + "\n")
            elif name == "blockquote" and (quotes or QUOTING.search(more)):
                quotes += 1
                shown.append("\n" + OPEN)
            elif not is_fresh or name in ENDS:
                shown.append("\n")
            is_fresh = True
        else:
            if not is_fresh or name in ENDS:
                shown.append("\n")
            is_fresh = True
    shown.append(markup[at:])
    return shown


def _end_of_tag(markup: str, at: int) -> int:
    """The end of a tag whose first `>` stands between quotation marks."""
    quote = markup.find('"', at, at + LONGEST_TAG)
    if quote < 0 or markup.find("<", at, quote) >= 0:
        return at  # the quotation mark itself is the fault
    stop = markup.find(">", quote)
    return at if stop < 0 else stop + 1


def _after_content(markup: str, name: str, at: int) -> int:
    end = re.compile(rf"</{name}", re.IGNORECASE).search(markup, at)
    close = markup.find(">", end.start()) if end else -1
    return close + 1 if close >= 0 else len(markup)
