"""Dictionaries of moods: what they say of words that no training row held."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pandas as pd
import pytest
from vaderSentiment import vaderSentiment as vader

from ml import moods
from ml.estimators import linear_inputs, tree_inputs
from ml.features import InputSpec
from ml.linear import Linear
from ml.moods import _CHINESE, COLUMNS, MOST_CHARACTERS, Moods, _dictionaries, _Plain, _polarity

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


def composed(pool: list[str], count: int, between: str, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [between.join(rng.choice(pool, rng.integers(1, 20))) for _ in range(count)]


def test_the_quick_reading_is_what_vader_says_to_the_last_digit() -> None:
    known = sorted(vader.BOOSTER_DICT) + vader.NEGATE + sorted(vader.SPECIAL_CASES)
    small = [
        "but",
        "kind",
        "of",
        "no",
        "or",
        "nor",
        "so",
        "this",
        "doubt",
        "without",
        "least",
        "at",
        "very",
        "flight",
        "x",
    ]
    odd = [
        "!",
        "!!!",
        "??",
        "NOT",
        "GOOD",
        "Bad",
        "VERY",
        "😀",
        "❤",
        "(good)",
        "bad.",
        ":)",
        "\n",
        "so-so",
        "İ",
    ]
    analyzer = vader.SentimentIntensityAnalyzer()
    lexicon = sorted(analyzer.lexicon)[::40]
    said = composed([*known, *small, *odd, *lexicon], 3000, " ", 1)
    said += composed([*lexicon, *small, "flight", "order", "GREAT", "we're"], 3000, " ", 2)
    said += ["", " ", "kind of", "this is kind of nice", "not bad but good", *lexicon[:50]]
    for text in said:
        told = analyzer.polarity_scores(text)
        assert _polarity(text) == (told["neg"], told["pos"], told["compound"]), text


def test_chinese_words_are_those_of_a_plain_reading_of_the_dictionaries() -> None:
    def plain(text: str, words: dict[str, int]) -> list[int]:
        counts, place = [0, 0, 0, 0], 0
        while place < len(text):
            size = next((n for n in (4, 3, 2, 1) if text[place : place + n] in words), 0)
            if size:
                denied = any(sign in text[max(0, place - 3) : place] for sign in "不没未无别非")
                counts[(0 if words[text[place : place + size]] > 0 else 2) + denied] += 1
            place += size or 1
        return counts

    pool = [word for words, _ in _dictionaries() for word in sorted(words)[::50]]
    said = [
        "".join(_CHINESE.findall(text))
        for text in composed([*pool, *"不没的了我你这那服务"], 2000, "", 3)
    ]
    found = Moods().transform(said).toarray()
    for kind, (words, _) in enumerate(_dictionaries()):
        counts = np.array([plain(text, words) for text in said])
        columns = found[:, 10 + 9 * kind : 14 + 9 * kind]
        assert np.array_equal(columns, np.log1p(counts).astype(np.float32))
    assert (found[:, 10:14] > 0).any(axis=0).all(), "each of the four was met"


def test_a_text_is_read_once_whoever_asks_and_no_more_are_remembered_than_is_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    plain = moods._english

    def english(text: str) -> list[float]:
        read.append(text)
        return plain(text)

    monkeypatch.setattr(moods, "_known", {})
    monkeypatch.setattr(moods, "_english", english)
    said = ["so good", "难吃", "so good", "bad"]
    found = Moods().transform(said).toarray()
    assert read == ["so good", "难吃", "bad"] and (found[0] == found[2]).all()
    again = Moods().transform(said[::-1]).toarray()
    assert len(read) == 3 and np.array_equal(again, found[::-1])
    monkeypatch.setattr(moods, "MOST_KNOWN", 2)
    assert np.array_equal(Moods().transform([*said, "new", "newer"]).toarray()[:4], found)
    assert len(moods._known) <= 2
