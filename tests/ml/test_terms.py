"""Reasons in both languages; what customers and sources wrote stays as it is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ml.features import CATEGORIES, DERIVED, NUMBERS
from ml.terms import TERMS, sentence


@pytest.mark.parametrize(
    ("name", "value", "effect", "english", "chinese"),
    [
        ("first_reply_minutes", 240.0, -1.2, "minutes to first reply 240 lowers it", "首次回复分钟数 240，拉低"),
        ("text", "退款", -0.4, "what they wrote ('退款') lowers it", "客户写的“退款”，拉低"),
        ("text", "thanks", 0.4, "what they wrote ('thanks') raises it", "客户写的“thanks”，拉高"),
        ("text", None, 0.2, "no message from them raises it", "客户没有留言，拉高"),
        ("text", "", 0.2, "what they wrote raises it", "客户写的内容，拉高"),
        ("channel", "email", 0.2, "channel email raises it", "渠道 邮件，拉高"),
        ("category", "Returns", -0.2, "category Returns lowers it", "类别 Returns，拉低"),
        ("day_of_week", 7.0, -0.2, "weekday Sunday lowers it", "星期 周日，拉低"),
        ("is_reopened", 1.0, -2.0, "reopened lowers it", "重新打开过，拉低"),
        ("customer_age", float("nan"), 0.1, "age unknown raises it", "年龄未知，拉高"),
        ("attribute: 班次", "夜班", -0.3, "班次 夜班 lowers it", "班次 夜班，拉低"),
    ],
)  # fmt: skip
def test_a_reason_is_told_in_both_languages(
    name: str, value: Any, effect: float, english: str, chinese: str
) -> None:
    assert sentence(name, value, effect, "en") == english
    assert sentence(name, value, effect, "zh") == chinese


def test_every_input_of_ours_has_a_name_in_both_languages() -> None:
    ours = {*CATEGORIES, *NUMBERS, *DERIVED}
    assert set(TERMS) == ours
    assert all(re.search("[\u4e00-\u9fff]", chinese) for _, chinese in TERMS.values())
