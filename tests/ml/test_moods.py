"""Dictionaries of moods: what they say of words that no training row held."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pandas as pd
import pytest

from ml.estimators import linear_inputs, tree_inputs
from ml.features import InputSpec
from ml.linear import Linear
from ml.moods import COLUMNS, MOST_CHARACTERS, Moods, _Plain

LEARNED = {
    1: ["great help, thanks", "wonderful and kind", "服务热情，味道好", "满意，很快"],
    0: ["terrible and rude", "awful, I hate waiting", "服务恶劣，难吃", "失望，很差"],
}
NEW = {1: ["a delightful surprise", "美味可口"], 0: ["a disgusting mess", "恶心反胃"]}


def rows(texts: dict[int, list[str]], times: int = 1) -> tuple[pd.DataFrame, np.ndarray]:
    said = [(text, label) for label, each in texts.items() for text in each] * times
    return pd.DataFrame({"text": [text for text, _ in said]}), np.array([one for _, one in said])


@pytest.mark.parametrize("prepare", ["linear", "trees"])
def test_a_word_that_no_training_row_held_is_still_heard(prepare: str) -> None:
    spec = InputSpec(True, (), ())
    inputs = linear_inputs(spec) if prepare == "linear" else tree_inputs(spec, 0)
    (learned, labels), (new, truth) = rows(LEARNED, 20), rows(NEW)
    model = Linear(1.0).fit(inputs.fit_transform(learned, labels), labels)
    told = model.predict_proba(inputs.transform(new))[:, 1]
    assert told[truth == 1].min() > 0.5 > told[truth == 0].max()


def test_a_denied_word_leans_the_other_way_in_both_languages() -> None:
    leans = (
        Moods().transform(["服务热情", "服务不太热情", "I like it", "I do not like it"]).toarray()
    )
    chinese, english = [10 + 8, 10 + 17], 2
    assert leans[0, chinese].sum() > 0 > leans[1, chinese].sum()
    assert leans[2, english] > 0 > leans[3, english]


def test_texts_without_words_and_very_long_ones_are_rows_like_others() -> None:
    long = "not bad but good " * MOST_CHARACTERS
    found = Moods().transform(["", "12345", long, long + " awful 难吃"]).toarray()
    assert found.shape == (4, COLUMNS) and np.isfinite(found).all()
    assert not found[:2].any()
    assert (found[2] == found[3]).all(), "only the beginning counts, whatever follows"


def test_a_dictionary_that_names_something_to_run_is_not_opened() -> None:
    assert _Plain(io.BytesIO(pickle.dumps({"好"}, protocol=3))).load() == {"好"}
    with pytest.raises(pickle.UnpicklingError, match=r"names builtins\.print"):
        _Plain(io.BytesIO(pickle.dumps(print))).load()
