"""The survey tool: a Chinese CSV in GB18030 with Chinese headings and comments."""

from __future__ import annotations

from datetime import datetime

from carelake.sample import dirt, untidy
from carelake.sample.calendar import at, chinese
from carelake.sample.chance import stream
from carelake.sample.company import Company, conversation_id
from carelake.sample.delivery import Delivery, Identifier, Record, as_csv
from carelake.sample.people import Person
from carelake.sample.systems.crm_cases import survey_is_inline

SOURCE = """\
  - name: csat_surveys
    kind: files
    path: inbox/surveys/surveys-*.csv
    format: csv
    encoding: gb18030
    mode: append
    entity: survey_responses
    columns:
      survey_id: 编号
      survey_kind: 类型
      survey_score: 分数
      survey_remark: 评语
      conversation_id: 会话号
      order_id: 订单号
      email: 邮箱
      phone: 手机
      responded_at: 填写时间
    values: {survey_kind: {满意度: csat, 推荐度: nps, 费力度: ces}}
    timestamps: "%Y年%m月%d日 %H:%M"
    timezone: Asia/Shanghai
    region: CN
    owner: care-team
    schedule: "@daily"
    tags: [survey]
"""


def deliver(company: Company, delivery: Delivery) -> None:
    """Write the answers: satisfaction after conversations, and a few of the other kinds."""
    dated = [*_after_conversations(company), *_relationship(company)]
    dated.sort(key=lambda row: (row[0], row[1].key))
    records = dirt.repeat(
        stream(company.seed, "dirt", "surveys"), [record for _, record in dated], 0.01
    )
    records = dirt.plant(
        records,
        [
            dirt.field("编号", "分数", 9, "survey_score 9 is impossible"),
            dirt.no_key("编号", "survey_id"),
            dirt.line("too many fields", "gb18030"),
            dirt.field("编号", "填写时间", "2024年02月31日 10:00", "responded_at is not a time"),
            dirt.line("too few fields", "gb18030"),
            dirt.field("编号", "分数", "很好", "survey_score is not a number"),
        ],
    )
    delivery.write(
        "csat_surveys", f"inbox/surveys/surveys-{company.end:%Y%m%d}.csv", records,
        as_csv("gb18030"),
    )  # fmt: skip


def _after_conversations(company: Company) -> list[tuple[datetime, Record]]:
    dated = []
    for spoken in company.spoken:
        talk, survey = spoken.talk, spoken.talk.survey
        if not survey or survey.answered_at > company.end or survey_is_inline(spoken, company.seed):
            continue
        rng = stream(company.seed, "surveys", talk.number)
        linked = rng.random() < 0.85
        effort = rng.random() < 0.04
        score = min(7, max(1, 1 + round((5 - survey.score) * 1.5))) if effort else survey.score
        email, phone, who = _address(talk.person, talk.channel)
        key = f"Q{talk.number:06d}"
        values = {
            "编号": key,
            "类型": "费力度" if effort else "满意度",
            "分数": score,
            "评语": spoken.remark,
            "会话号": conversation_id(talk) if linked else "",
            "订单号": talk.order.order_id if talk.order and rng.random() < 0.5 else "",
            "邮箱": email,
            "手机": untidy.phone(rng, phone) if phone else "",
            "填写时间": chinese(survey.answered_at),
        }
        dated.append((survey.answered_at, Record(values=values, key=key, who=who)))
    return dated


def _relationship(company: Company) -> list[tuple[datetime, Record]]:
    """Return answers to "would you recommend us", asked of customers out of the blue."""
    dated = []
    for person in company.people:
        rng = stream(company.seed, "nps", person.number)
        if rng.random() > 0.22:
            continue
        moment = at(rng.uniform(0.3, 1.0) * company.days)
        email, phone, who = _address(person, "email")
        key = f"N{person.number:06d}"
        values = {
            "编号": key,
            "类型": "推荐度",
            "分数": min(10, max(0, round(7.2 + 2.2 * person.temper + rng.gauss(0, 1.6)))),
            "评语": "",
            "会话号": "",
            "订单号": "",
            "邮箱": email,
            "手机": untidy.phone(rng, phone) if phone else "",
            "填写时间": chinese(moment),
        }
        dated.append((moment, Record(values=values, key=key, who=who)))
    return dated


def _address(person: Person, channel: str) -> tuple[str, str, tuple[Identifier, ...]]:
    """Return where the survey was sent: by text message after calls, else by mail if possible."""
    if person.emails and (channel != "phone" or not person.phones):
        return person.emails[0], "", (("email", person.emails[0]),)
    return "", person.phones[0], (("phone", person.phones[0]),)
