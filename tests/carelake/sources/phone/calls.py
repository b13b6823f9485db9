"""Hand-made call records: what telephone systems write about a few calls that can be worked out."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Leg:
    """One record of Asterisk; times are within 2026-03-02, as hours:minutes:seconds."""

    uniqueid: str
    linkedid: str
    sequence: int
    src: str
    dst: str
    start: str
    end: str
    answer: str = ""
    channel: str = "PJSIP/trunk-00000001"
    dstchannel: str = ""
    lastapp: str = "Dial"
    lastdata: str = ""
    clid: str = ""
    userfield: str = ""

    def columns(self) -> dict[str, str]:
        """All columns there are, by name."""
        moments = {name: _moment(getattr(self, name)) for name in ("start", "answer", "end")}
        given = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        return {
            **given,
            **moments,
            "clid": self.clid or f'"" <{self.src}>',
            "accountcode": "",
            "peeraccount": "",
            "dcontext": "default",
            "duration": str(_seconds(self.end) - _seconds(self.start)),
            "billsec": str(_seconds(self.end) - _seconds(self.answer)) if self.answer else "0",
            "disposition": "ANSWERED" if self.answer else "NO ANSWER",
            "amaflags": "DOCUMENTATION",
        }


def _moment(clock: str) -> str:
    return f"2026-03-02 {clock}" if clock else ""


def _seconds(clock: str) -> int:
    hours, minutes, seconds = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


LEGS = [
    # answered after 15 seconds, talked for 2 minutes; the caller's name comes with the number
    Leg("1.1", "1.1", 1, "13800138000", "1001", "09:00:00", "09:02:15", "09:00:15",
        dstchannel="PJSIP/1001-00000002", clid='"李 Na" <13800138000>'),
    # hung up after 40 seconds in the queue, which had answered with music
    Leg("1.10", "1.10", 10, "13900139000", "400", "09:10:00", "09:10:45", "09:10:05",
        lastapp="Queue", lastdata="support,t"),
    # waited in the queue until 09:20:50; 1001 did not take it, 1002 did; handed on to 1003 at 09:23:00
    Leg("1.20", "1.20", 20, "13700137000", "400", "09:20:00", "09:25:00", "09:20:05",
        lastapp="Queue", lastdata="support,t", dstchannel="Local/1002@from-queue-00000003;1"),
    Leg("1.21", "1.20", 21, "13700137000", "1001", "09:20:10", "09:20:30",
        channel="Local/1001@from-queue-00000002;2", dstchannel="PJSIP/1001-00000011"),
    Leg("1.23", "1.20", 23, "13700137000", "1002", "09:20:30", "09:23:00", "09:20:50",
        channel="Local/1002@from-queue-00000003;2", dstchannel="PJSIP/1002-00000012"),
    Leg("1.25", "1.20", 25, "13700137000", "1003", "09:22:40", "09:25:00", "09:23:00",
        dstchannel="PJSIP/1003-00000013"),
    # nobody took it: the mailbox did
    Leg("1.30", "1.30", 30, "13600136000", "1001", "09:30:00", "09:31:00", "09:30:20",
        lastapp="VoiceMail", lastdata="1001@default,u"),
    # we called; and we called and nobody answered
    Leg("1.40", "1.40", 40, "1002", "02155512345", "09:40:00", "09:41:30", "09:40:10",
        channel="PJSIP/1002-00000020", dstchannel="PJSIP/trunk-00000021"),
    Leg("1.50", "1.50", 50, "1002", "13800138000", "09:50:00", "09:50:30",
        channel="PJSIP/1002-00000022", dstchannel="PJSIP/trunk-00000023"),
    # two of us, and a caller with an address instead of a number
    Leg("1.60", "1.60", 60, "1001", "1002", "10:00:00", "10:01:00", "10:00:05",
        channel="PJSIP/1001-00000030", dstchannel="PJSIP/1002-00000031"),
    Leg("1.70", "1.70", 70, "sip:Anna@voip.example", "1001", "10:10:00", "10:12:00", "10:10:30",
        dstchannel="PJSIP/1001-00000032"),
]  # fmt: skip


def as_csv(layout: tuple[str, ...], legs: list[Leg] = LEGS) -> str:
    """Records as Asterisk writes them: every field in quotes, no header."""
    lines = []
    for leg in legs:
        values = leg.columns()
        lines.append(",".join('"' + values[name].replace('"', '""') + '"' for name in layout))
    return "\n".join(lines) + "\n"
