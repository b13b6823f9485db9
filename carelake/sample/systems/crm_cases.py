"""The CRM's cases: one for each matter by phone or in a shop, handed over as pages of JSON."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from carelake.sample import dirt, untidy
from carelake.sample.calendar import after, iso_offset
from carelake.sample.chance import stream
from carelake.sample.company import Company, conversation_id
from carelake.sample.conversations import Survey
from carelake.sample.delivery import Delivery, Identifier, Record, as_json_page
from carelake.sample.texts import Spoken

PAGE = 250

SOURCE = """\
  - name: crm_cases
    kind: files
    path: inbox/crm/cases-*.json
    format: json
    records_path: data.items
    mode: append
    entity: conversations
    columns:
      conversation_id: case_no
      channel: origin
      status: stage
      category: topic
      subject: title
      customer_id: contact_id
      email: contact_email
      phone: contact_phone
      agent: owner
      opened_at: created
      first_reply_at: first_response
      closed_at: resolved
      order_id: order_no
      handle_seconds: handle_time
      survey_score: csat
      survey_remark: csat_comment
      survey_at: csat_at
      updated_at: modified
      is_deleted: deleted
    values:
      channel: {电话: phone, 热线: phone, 门店: in_person}
      status: {新建: open, 处理中: open, 重新打开: reopened, 已解决: closed, 已关闭: closed}
      category:
        物流: delivery
        退款: refund
        质量: quality
        发票: billing
        使用: usage
        安装: installation
        服务: service
        售前: presale
    constants: {survey_kind: csat}
    attributes: [priority, product_line, shift]
    timestamps: "%Y-%m-%dT%H:%M:%S%z"
    timezone: Asia/Shanghai
    region: CN
    owner: crm-team
    schedule: "@hourly"
    tags: [crm, phone]
"""

TOPICS = {
    "delivery": "物流", "refund": "退款", "quality": "质量", "billing": "发票",
    "usage": "使用", "installation": "安装", "service": "服务", "presale": "售前",
}  # fmt: skip


def survey_is_inline(spoken: Spoken, seed: int) -> bool:
    """Tell whether the answer came on the phone, so that it stands in the case itself."""
    if spoken.talk.channel == "in_person":
        return True
    if spoken.talk.channel != "phone":
        return False
    return stream(seed, "inline survey", spoken.talk.number).random() < 0.5


def deliver(company: Company, delivery: Delivery) -> None:
    """Write every case in pages, oldest change first; open versions come before closed ones."""
    records: list[Record] = []
    for spoken in company.on("phone", "in_person"):
        records.extend(_versions(company, spoken))
    records.sort(key=lambda record: (record.version, record.key))
    records = dirt.repeat(stream(company.seed, "dirt", "cases"), records, 0.008)
    records = dirt.plant(records, _spoilers())
    pages = [records[place : place + PAGE] for place in range(0, len(records), PAGE)]
    for number, page in enumerate(pages, start=1):
        envelope = as_json_page(_envelope(number, len(pages)))
        delivery.write("crm_cases", f"inbox/crm/cases-page-{number:04d}.json", page, envelope)


def _envelope(number: int, pages: int) -> Callable[[list[Any]], Any]:
    return lambda rows: {"data": {"items": rows}, "page": number, "pages": pages}


def _spoilers() -> list[dirt.Spoiler]:
    return [
        dirt.no_key("case_no", "conversation_id"),
        dirt.field("case_no", "created", "2024-02-31T10:00:00+08:00", "opened_at is not a time"),
        dirt.field(
            "case_no", "first_response", "2023-11-05T08:00:00+08:00",
            "first_reply_at lies before opened_at",
        ),
        dirt.field("case_no", "origin", "fax", "channel 'fax' is not known"),
        dirt.field("case_no", "csat", 11, "survey_score 11 is impossible"),
        dirt.field("case_no", "handle_time", -90, "handle_seconds is negative"),
        dirt.field(
            "case_no", "resolved", "2023-10-01T08:00:00+08:00", "closed_at lies before opened_at"
        ),
    ]  # fmt: skip


def _versions(company: Company, spoken: Spoken) -> list[Record]:
    """Return one record for a case, or two when an export caught it while it was open."""
    talk, end = spoken.talk, company.end
    rng = stream(company.seed, "cases", talk.number)
    closed = talk.closed_at if talk.closed_at and talk.closed_at <= end else None
    first = after(talk.opened_at, talk.wait_minutes)
    if first > end:
        return []
    inline = talk.survey if survey_is_inline(spoken, company.seed) else None
    survey = inline if inline and inline.answered_at <= end else None
    came_back = [
        turn.sent_at for turn in talk.turns if turn.role == "return" and turn.sent_at <= end
    ]
    stage = "已解决" if closed else "处理中"
    if came_back:
        # some agents close the case anew, some leave it as it was closed first
        stage = rng.choice(["重新打开", "已关闭", "已关闭"])
        if stage == "已关闭":
            last = max(came_back)
            closed = min(end, after(last, talk.turns[-1].seconds / 60 + 1))
    modified = max(
        [first, *came_back, *([closed] if closed else []),
         *([survey.answered_at] if survey else [])]
    )  # fmt: skip
    values = _values(rng, spoken)
    who = _who(rng, spoken, values)
    final = Record(
        key=conversation_id(talk),
        version=iso_offset(modified),
        who=who,
        deleted=rng.random() < 0.006,
        values={
            **values,
            "stage": stage,
            "first_response": iso_offset(first),
            "resolved": iso_offset(closed) if closed else None,
            **_answers(survey, spoken.remark),
            "modified": iso_offset(modified),
        },
    )
    final = replace(final, values={**final.values, "deleted": final.deleted})
    if closed is None or rng.random() > 0.07:
        return [final]
    early = after(talk.opened_at, 0)
    opening = {
        **final.values, "stage": "新建", "first_response": None, "resolved": None,
        **_answers(None, ""), "modified": iso_offset(early), "deleted": False,
    }  # fmt: skip
    return [
        replace(final, values=opening, version=iso_offset(early), deleted=False),
        final,
    ]


def _answers(survey: Survey | None, remark: str) -> dict[str, object]:
    return {
        "csat": survey.score if survey else None,
        "csat_comment": remark if survey else None,
        "csat_at": iso_offset(survey.answered_at) if survey else None,
    }


def _values(rng: random.Random, spoken: Spoken) -> dict[str, object]:
    talk = spoken.talk
    return {
        "case_no": conversation_id(talk),
        "origin": "门店" if talk.channel == "in_person" else rng.choice(["电话", "热线", "phone"]),
        "stage": "",
        "topic": TOPICS[talk.need] if rng.random() < 0.93 else None,
        "title": spoken.subject,
        "contact_id": talk.person.crm_id,
        "contact_email": None,
        "contact_phone": None,
        "owner": talk.agent.agent_id,
        "created": iso_offset(talk.opened_at),
        "first_response": None,
        "resolved": None,
        "order_no": talk.order.order_id if talk.order else None,
        "handle_time": sum(turn.seconds for turn in talk.turns) or rng.randint(180, 1500),
        "priority": talk.priority,
        "product_line": spoken.product.category,
        "shift": talk.agent.shift,
    }


def _who(rng: random.Random, spoken: Spoken, values: dict[str, object]) -> tuple[Identifier, ...]:
    """Fill in how the customer can be reached; return the identifiers the case then carries."""
    person = spoken.talk.person
    who: list[Identifier] = [("crm", person.crm_id)] if person.crm_id else []
    if person.phones and (not person.crm_id or rng.random() < 0.35):
        number = rng.choice(person.phones)
        values["contact_phone"] = untidy.phone(rng, number)
        who.append(("phone", number))
    if person.emails and rng.random() < 0.25:
        address = rng.choice(person.emails)
        values["contact_email"] = untidy.email(rng, address)
        who.append(("email", address))
    return tuple(who)
