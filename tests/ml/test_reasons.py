"""Reasons are put together from parts, and read as if each had been written whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml import reasons
from ml.terms import LANGUAGES, NAMES, sentence


@given(
    name=st.sampled_from([*NAMES, "attribute_how_hot", "attribute_温度"]),
    value=st.one_of(st.floats(), st.integers(-5, 10), st.booleans(), st.none(), st.text(max_size=5)),
    raises=st.booleans(),
)  # fmt: skip
def test_a_reason_put_together_is_the_sentence_in_both_languages(
    name: str, value: object, raises: bool
) -> None:
    assume(name != "day_of_week" or not isinstance(value, str))
    said = json.loads(reasons._told_of(name, value, raises) + "0}")
    effect = 1.0 if raises else -1.0
    whole = [sentence(name, value, effect, language) for language in LANGUAGES]
    assert [said["words"], said["words_zh"]] == whole
    assert (said["input"], said["effect"]) == (name, 0)


@pytest.mark.parametrize("value", [0.0, -0.0, 0.004, 0.005, 1234567.891, -3.1, 1e300])
def test_numbers_are_told_with_two_decimals_at_most(value: float) -> None:
    words = json.loads(reasons._told_of("first_reply_minutes", value, True) + "0}")["words"]
    assert words == sentence("first_reply_minutes", value, 1.0, "en")
