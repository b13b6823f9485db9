"""The staff list: a workbook kept by hand, with Chinese headings."""

from __future__ import annotations

from carelake.sample.company import Company
from carelake.sample.delivery import Delivery, Record, as_xlsx

SOURCE = """\
  - name: agents
    kind: files
    path: inbox/staff/agents.xlsx
    format: xlsx
    mode: snapshot
    entity: agents
    columns:
      agent_id: 工号
      agent_name: 姓名
      email: 邮箱
      phone: 分机
      team: 小组
      manager: 主管
    owner: people-team
    schedule: "@daily"
    tags: [staff]
"""


def deliver(company: Company, delivery: Delivery) -> None:
    """Write the staff list."""
    records = [
        Record(
            key=agent.agent_id,
            values={
                "工号": agent.agent_id,
                "姓名": agent.name,
                "邮箱": agent.email,
                "分机": agent.extension,
                "小组": agent.team,
                "主管": agent.manager,
                "班次": agent.shift,
            },
        )
        for agent in company.agents
    ]
    delivery.write("agents", "inbox/staff/agents.xlsx", records, as_xlsx)
