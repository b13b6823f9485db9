"""What a mail says anew, apart from the mails it quotes and the signature below it.

Lines are looked at once, and by what mail programs write themselves, never by what people do: a
greeting or a name stays where it is. Where in doubt, text is new.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FOLDED = 2
"""Lines an introduction may be broken over before its last one."""
HEADERS_WITHIN = 8
"""Lines in which a block of mail headers shows itself."""
LONGEST = 400
"""Characters of a line that may be an introduction."""

INTRODUCTION = re.compile(
    r"(?:wrote|writes|schrieb.{0,60}|a écrit|escribió|escreveu|ha scritto|schreef.{0,60}|skrev.{0,60}|"
    r"napisał\(?a?\)?|kirjoitti|yazdı|пишет|написал\(?а?\)?|写道|寫道|のメール|さんは書きました)\s*[:：]\s*$",
    re.IGNORECASE,
)
"""`On Monday, Anna wrote:` in the languages of mail programs."""
BEGINNING = re.compile(
    r"(?:On|Am|Le|El|Il|Op|Em|Den|Dnia|W dniu|På)\b|在|于|\d{4}\s?[年/-]", re.IGNORECASE
)
DATED = re.compile(r"@|\d{1,2}[:：h.]\d{2}|\d{4}年")
"""What an introduction holds when no quoted line follows it to prove it."""
SEPARATOR = re.compile(
    r"\s*+(?:-{2,}+\s*+.{0,20}(?:original|forwarded|ursprüngliche|weitergeleitete|d'origine|transféré|"
    r"reenviado|inoltrato|doorgestuurd|原始邮件|原始郵件|原邮件|转发|轉寄|元のメッセージ|転送).{0,40}-{2,}\s*$"
    r"|begin forwarded message:|anfang der weitergeleiteten nachricht:)",
    re.IGNORECASE,
)
SENDER = re.compile(
    r"[\s*]*+(?:From|Von|De|Da|Van|Från|Fra|Od|От|发件人|寄件者|寄件人|差出人|보낸 사람)[\s*]*[:：]",
    re.IGNORECASE,
)
FIELD = re.compile(
    r"[\s*]*+(Sent|Date|To|Cc|Subject|Gesendet|Datum|An|Betreff|Envoyé|À|Objet|Enviado|Fecha|Para|Asunto|"
    r"Inviato|Data|A|Oggetto|Verzonden|Aan|Onderwerp|Skickat|Till|Ämne|发送时间|发送日期|日期|收件人|抄送|"
    r"主题|寄件日期|收件者|主旨|送信日時|宛先|件名)[\s*]*[:：]",
    re.IGNORECASE,
)
RULER = re.compile(r"\s*+[_-]{10,}\s*$")
DEVICE = re.compile(
    r"\s*+(?:Sent from (?:my|Yahoo|Outlook|Mail for)|Get Outlook for|Von meinem .{1,30} gesendet|"
    r"Envoyé de mon|Enviado desde mi|Inviato da|Verzonden vanaf mijn|发自我的|從我的|iPhoneから送信)",
    re.IGNORECASE,
)
"""What a device adds below a text."""
DEVICES = frozenset(" \tSGVEI发從i")
COLONS = (":", "：")
TELLING = frozenset(">\u0020\t*-FVDОOSGEIBA发寄差보從i")
"""What a line begins with that one of these patterns matches."""


@dataclass(frozen=True)
class Parts:
    """A mail's text, taken apart; None where there is nothing."""

    new: str | None
    quoted: str | None
    signature: str | None


def take_apart(text: str) -> Parts:
    """Tell new text, quoted text and signature apart; every line goes to one of them.

    A mail of nothing else keeps what it quotes as its text: a forwarded mail says something.
    """
    lines = text.split("\n")
    new: list[str] = []
    quoted: list[str] = []
    signature: list[str] = []
    within = new
    for at, line in enumerate(lines):
        if line[:1] not in TELLING and line[-1:] not in COLONS:
            within.append(line)  # most lines
        elif line.startswith(">"):
            if _is_open_introduction(new):
                _move_introduction(new, quoted)
            quoted.append(line)
            within = new
        elif (":" in line or "--" in line or "：" in line) and _begins_history(lines, at):
            _move_ruler(new, quoted)
            quoted += lines[at:]
            break
        elif line[-1:] in COLONS and _ends_introduction(line) and _is_proven(new, line, lines, at):
            new.append(line)
            _move_introduction(new, quoted)
            quoted += lines[at + 1 :]
            break
        elif line in ("--", "-- "):
            within = signature
            signature.append(line)
        elif line[:1] in DEVICES and DEVICE.match(line[:LONGEST]):
            signature.append(line)
        else:
            within.append(line)
    found = _joined(new)
    if found is None:
        return Parts(_joined(lines), None, None)
    return Parts(found, _joined(quoted), _joined(signature))


def _begins_history(lines: list[str], at: int) -> bool:
    """Whether all from here on is an earlier mail: a separator, or a block of its headers."""
    line = lines[at][:LONGEST]
    if SEPARATOR.match(line):
        return True
    if not SENDER.match(line):
        return False
    fields = (FIELD.match(other[:LONGEST]) for other in lines[at + 1 : at + HEADERS_WITHIN])
    return len({field[1].lower() for field in fields if field}) >= 2


def _ends_introduction(line: str) -> bool:
    return line[-1:] in COLONS and bool(INTRODUCTION.search(line[-LONGEST:]))


def _is_proven(new: list[str], line: str, lines: list[str], at: int) -> bool:
    """Whether an introduction without quoted lines below it is none of the writer's own words."""
    if any(other.startswith(">") for other in lines[at + 1 : at + 4]):
        return False  # those lines tell where the quotation ends
    whole = " ".join([*new[_start_of_introduction(new) :], line])
    return bool(BEGINNING.match(whole) and DATED.search(whole))


def _start_of_introduction(new: list[str]) -> int:
    """Where in the text so far an introduction begins that ends on the next line."""
    for back in range(1, FOLDED + 1):
        if len(new) < back or not new[-back].strip():
            break
        if BEGINNING.match(new[-back]):
            return len(new) - back
    return len(new)


def _is_open_introduction(new: list[str]) -> bool:
    """Whether the text so far ends in an introduction, blank lines below it or not."""
    last = next((line for line in reversed(new[-3:]) if line.strip()), "")
    return _ends_introduction(last)


def _move_introduction(new: list[str], quoted: list[str]) -> None:
    while new and not new[-1].strip():
        new.pop()
    last = new.pop()
    start = len(new) if BEGINNING.match(last) else _start_of_introduction(new)
    quoted += [*new[start:], last]
    del new[start:]


def _move_ruler(new: list[str], quoted: list[str]) -> None:
    """A line drawn above the headers of an earlier mail belongs to it."""
    above = next(
        (i for i in range(len(new) - 1, max(-1, len(new) - 3), -1) if new[i].strip()), None
    )
    if above is not None and RULER.match(new[above]):
        quoted.append(new[above])
        del new[above:]


def _joined(lines: list[str]) -> str | None:
    return "\n".join(lines).strip() or None
