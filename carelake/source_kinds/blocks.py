"""The block of keys that each kind of source has of its own."""

from __future__ import annotations

from pydantic import Field

from carelake.setting_groups.base import Strict
from carelake.source_kinds.calls import CallSettings
from carelake.source_kinds.chatwoot import ChatwootSettings
from carelake.source_kinds.database import DatabaseSettings
from carelake.source_kinds.dynamics import DynamicsSettings
from carelake.source_kinds.facebook import FacebookSettings
from carelake.source_kinds.imap import ImapSettings
from carelake.source_kinds.intercom import IntercomSettings
from carelake.source_kinds.mongodb import MongoSettings
from carelake.source_kinds.rest import RestSettings
from carelake.source_kinds.salesforce import SalesforceSettings
from carelake.source_kinds.transcripts import TranscriptSettings
from carelake.source_kinds.twilio import TwilioSettings
from carelake.source_kinds.webhook import WebhookSettings
from carelake.source_kinds.wechat_oa import WechatSettings
from carelake.source_kinds.wecom_kf import WecomSettings
from carelake.source_kinds.x import XSettings
from carelake.source_kinds.zendesk import ZendeskSettings
from carelake.source_kinds.zoho import ZohoSettings


class KindBlocks(Strict):
    """What a source says of its own kind, under the kind's name."""

    rest: RestSettings | None = Field(default=None, description="kind rest: how it is asked")
    imap: ImapSettings | None = Field(default=None, description="kind imap: how it is read")
    database: DatabaseSettings | None = Field(
        default=None, description="kinds postgres, mysql: what is read of it"
    )
    mongodb: MongoSettings | None = Field(
        default=None, description="kind mongodb: what is read of it"
    )
    salesforce: SalesforceSettings | None = Field(
        default=None, description="kind salesforce: what is read of it"
    )
    dynamics: DynamicsSettings | None = Field(
        default=None, description="kind dynamics: what is read of it"
    )
    zendesk: ZendeskSettings | None = Field(
        default=None, description="kind zendesk: what is read of it"
    )
    intercom: IntercomSettings | None = Field(
        default=None, description="kind intercom: what is read of it"
    )
    chatwoot: ChatwootSettings | None = Field(
        default=None, description="kind chatwoot: what is read of it"
    )
    wecom_kf: WecomSettings | None = Field(
        default=None, description="kind wecom_kf: what is read of it"
    )
    wechat_oa: WechatSettings | None = Field(
        default=None, description="kind wechat_oa: what is read of it"
    )
    twilio: TwilioSettings | None = Field(
        default=None, description="kind twilio: which account, and who of it is ours"
    )
    facebook: FacebookSettings | None = Field(
        default=None, description="kind facebook: which page is ours"
    )
    x: XSettings | None = Field(default=None, description="kind x: which account is ours")
    zoho: ZohoSettings | None = Field(default=None, description="kind zoho: what is read of it")
    calls: CallSettings | None = Field(
        default=None, description="kinds asterisk_cdr, freeswitch_cdr: how records are understood"
    )
    transcripts: TranscriptSettings | None = Field(
        default=None, description="kind transcripts: who spoke, and which call it was"
    )
    webhook: WebhookSettings | None = Field(
        default=None, description="kinds whatsapp, chatwoot_webhook: what may be pushed"
    )
