"""What inputs are called, in both languages of our readers; what a company named itself stays as it is."""

from __future__ import annotations

from typing import Any, Literal

from ml.features import ATTRIBUTE_PREFIX, TEXT

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

TERMS: dict[str, tuple[str, str]] = {
    "channel": ("channel", "渠道"),
    "category": ("category", "类别"),
    "language": ("language", "语言"),
    "team": ("team", "小组"),
    "hour_of_day": ("hour of day", "几点"),
    "day_of_week": ("weekday", "星期"),
    "n_inbound": ("messages from the customer", "客户消息数"),
    "n_outbound": ("messages from us", "我方消息数"),
    "first_reply_minutes": ("minutes to first reply", "首次回复分钟数"),
    "resolution_minutes": ("minutes to resolution", "解决用时分钟数"),
    "handle_seconds": ("handling seconds", "处理秒数"),
    "is_reopened": ("reopened", "重新打开"),
    "n_prior_conversations": ("earlier conversations", "以往联系次数"),
    "prior_satisfaction": ("earlier satisfaction", "以往满意度"),
    "n_prior_orders": ("earlier orders", "以往订单数"),
    "prior_order_value": ("earlier order value", "以往订单金额"),
    "customer_age": ("age", "年龄"),
    "customer_gender": ("gender", "性别"),
    "reply_hour": ("hour of first reply", "首次回复的钟点"),
    "text_length": ("length of what they wrote", "所写文字的长度"),
}
NAMES = {name: english for name, (english, _) in TERMS.items()}
"""Input -> what it is called in English, for charts and cards."""
VALUES_ZH = {
    "channel": {
        "phone": "电话", "email": "邮件", "chat": "在线聊天", "social": "社交媒体", "in_person": "到店",
    },
    "language": {"zh": "中文", "en": "英文", "other": "其他"},
    "customer_gender": {"female": "女", "male": "男", "other": "其他"},
}  # fmt: skip
"""Values that we name ourselves; all others stay as their source wrote them."""
DAYS: dict[Language, tuple[str, ...]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
}
VERBS: dict[Language, tuple[str, str]] = {
    "en": (" raises it", " lowers it"),
    "zh": ("，拉高", "，拉低"),
}
SILENT, SAID = "silent", "said"
TEXTS: dict[Language, dict[str, str]] = {
    "en": {
        SILENT: "no message from them",
        SAID: "what they wrote",
        "quoted": "what they wrote ('{}')",
        "unknown": "{} unknown",
        "yes": "reopened",
        "no": "not reopened",
    },
    "zh": {
        SILENT: "客户没有留言",
        SAID: "客户写的内容",
        "quoted": "客户写的“{}”",
        "unknown": "{}未知",
        "yes": "重新打开过",
        "no": "没有重新打开",
    },
}


def label(name: str, language: Language) -> str:
    """What an input is called."""
    known = TERMS.get(name)
    if known is not None:
        return known[LANGUAGES.index(language)]
    return name.removeprefix(ATTRIBUTE_PREFIX).replace("_", " ")


def sentence(name: str, value: Any, effect: float, language: Language) -> str:
    """A reason in words.

    Args:
        name: of the input.
        value: of it in the row; of the text, the word in it that weighs most, empty without one, None
            where nothing was written.
        effect: on the chance, up or down.
        language: of the reader.
    """
    verb = VERBS[language][0 if effect > 0 else 1]
    texts = TEXTS[language]
    if name == TEXT:
        said = texts[SILENT] if value is None else texts["quoted"].format(value)
        return (texts[SAID] if value == "" else said) + verb
    called = label(name, language)
    if value is None or value != value:
        return texts["unknown"].format(called) + verb
    if name == "is_reopened":
        return texts["yes" if value else "no"] + verb
    return f"{called} {_shown(name, value, language)}{verb}"


def _shown(name: str, value: Any, language: Language) -> str:
    if name == "day_of_week" and 1 <= value <= 7:
        return DAYS[language][int(value) - 1]
    if isinstance(value, float):
        return shown_number(value)
    if language == "zh":
        return VALUES_ZH.get(name, {}).get(str(value), str(value))
    return str(value)


def shown_number(value: float) -> str:
    """Two decimals at most."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")
