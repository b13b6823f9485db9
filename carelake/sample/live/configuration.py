"""The `sources.yml` of the served company, and the connections it names."""

from __future__ import annotations

from urllib.parse import quote

from carelake.sample.live import chatwoot_api, salesforce_api, x, zendesk_api
from carelake.sample.live.chatwoot import ACCOUNT

SOURCES = f"""\
# The made-up company's systems, read through the services they are kept in. A block stands for
# several sources: `carelake source test sf_cases` tries one of them.
sources:
  - name: sf
    kind: salesforce
    connection: sample_salesforce
    timezone: Asia/Shanghai # of the days deals close on
    region: CN
    schedule: "@hourly"
    owner: crm-team
    tags: [crm, phone]
    constants: {{currency: CNY}}
    values:
      category: {{Delivery: delivery, Refund: refund, Quality: quality, Billing: billing, Usage: usage,
                 Installation: installation, Service: service, Presale: presale}}
    salesforce:
      objects: [contacts, cases, tasks, opportunities, users]
      fields:
        contacts: [DoNotCall, HasOptedOutOfEmail]
        cases: [CaseNumber, Priority]
        tasks: [CallDisposition]
        opportunities: [Name]

  - name: support
    kind: zendesk
    connection: sample_zendesk
    channel: email
    region: CN
    schedule: "*/15 * * * *"
    owner: mail-team
    tags: [email]
    zendesk:
      objects: [tickets, comments, audits, ratings, users, agents]
      fields: {{tickets: [priority, tags]}}

  - name: desk
    kind: chatwoot
    connection: sample_chatwoot
    channel: chat
    region: CN
    schedule: "*/15 * * * *"
    owner: chat-team
    tags: [chat]
    chatwoot:
      account: {ACCOUNT}
      objects: [conversations, messages, ratings, contacts, agents]
      fields: {{conversations: [labels]}}

  - name: brand
    kind: x
    connection: sample_x
    region: CN
    schedule: "@hourly"
    owner: social-team
    tags: [social]
    x:
      account: "{x.ACCOUNT}"
      objects: [mentions, posts]
"""


def connections(address: str) -> str:
    """Return shell lines that set the connections; their secrets open nothing but this company."""
    logins = {
        "salesforce": (salesforce_api.KEY, salesforce_api.SECRET),
        "zendesk": (zendesk_api.LOGIN, zendesk_api.TOKEN),
        "chatwoot": ("unused", chatwoot_api.TOKEN),
        "x": ("unused", x.TOKEN),
    }
    lines = ["# Where the made-up company is served, and how to log in:  . live/connections.sh"]
    for name, (login, password) in logins.items():
        secret = f"{quote(login, safe='')}:{quote(password, safe='')}"
        url = address.replace("://", f"://{secret}@")
        lines.append(f"export AIRFLOW_CONN_SAMPLE_{name.upper()}='{url}'")
    return "\n".join(lines) + "\n"
