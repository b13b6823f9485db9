"""How a message becomes terms, in Chinese and English alike, without a dictionary.

A run of Chinese characters gives every single one, and each two and three in a row; Latin words stay
whole. What follows a negation, in either language, is counted apart as well, so that "not helpful" is
another thing than "helpful". Emoji, emoticons, hashtags and exclamation marks are terms of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from itertools import pairwise
from typing import Any, Self

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

Array = np.ndarray[Any, np.dtype[Any]]

WORD_TERMS = 60_000
CHARACTER_TERMS = 60_000
NEGATED_WORDS = 3
NEGATED_CHARACTERS = 4

_CHINESE = r"\u3400-\u9fff\uf900-\ufaff"
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_REPEATED = re.compile(r"(.)\1{3,}", re.DOTALL)
_MENTION = re.compile(r"@\w+", re.ASCII)
_TERM = re.compile(
    rf"[{_CHINESE}]+"
    rf"|[@#]?[^\W{_CHINESE}]+(?:'[a-z]+)?"
    r"|[:;=]-?[()dp/\\|]|[!?！？]+|[^\w\s]"
)
_NEGATION = re.compile(
    r"(?:not|no|never|cannot|nor|without|nothing|none|nobody|hardly|dont|cant|wont|didnt|isnt|"
    r"doesnt|wasnt|[a-z]+n't)"
)
_CHINESE_NEGATION = re.compile("[不没未无别非]")
_STOPS = frozenset(".,;:!?")
# Of Unicode's private use, so that no text has it; often enough for every least count of ours.
_NOTHING = ["\ue000\ue000"] * 3


def normalised(text: str) -> str:
    """Lower case, one kind of apostrophe, links as one word, and no character four times in a row."""
    plain = unescape(text).replace("’", "'").lower()
    return _REPEATED.sub(r"\1\1\1", _LINK.sub("_link_", plain))


def terms(text: str) -> list[str]:
    """Words, pairs of words and Chinese characters by one, two and three, in the order of the text."""
    words: list[str] = []
    found: list[str] = []
    negated = 0
    for word in _TERM.findall(normalised(text)):
        if "\u3400" <= word[0] <= "\ufaff":
            found += _characters(word)
            words.append(word[-1])
            continue
        if word[0].isdigit():
            word = "_number_"
        elif word[0] == "#" and len(word) > 1:
            found.append(word)
            word = word[1:]
        if negated and word.isalpha():
            found.append(f"not:{word}")
        if _NEGATION.fullmatch(word):
            negated = NEGATED_WORDS
        elif word[0] in _STOPS:
            negated = 0
        else:
            negated = max(0, negated - 1)
        words.append(word)
        found.append(word)
    found += [f"{one} {other}" for one, other in pairwise(words)]
    return found


def _characters(run: str) -> list[str]:
    found = _grams(run, 3)
    for denial in _CHINESE_NEGATION.finditer(run):
        denied = run[denial.end() : denial.end() + NEGATED_CHARACTERS]
        found += [f"not:{part}" for part in _grams(denied, 2)]
    return found


def _grams(run: str, longest: int) -> list[str]:
    return [
        run[at : at + size] for size in range(1, longest + 1) for at in range(len(run) - size + 1)
    ]


class Terms(TfidfVectorizer):  # type: ignore[misc]
    """TF-IDF that is quick to store: its vocabulary as one text instead of a dictionary.

    A dictionary of numpy integers becomes a file per word in the model's archive: forty seconds
    and many megabytes for an ordinary vocabulary.

    Rows without any text, or none that two of them share, give one term that nobody writes: a company's
    texts may begin late, and rows before that are learned from by their other inputs.
    """

    def fit(self, texts: Any, labels: Any = None) -> Self:
        """Learn terms and their weights."""
        self.fit_transform(texts, labels)
        return self

    def fit_transform(self, texts: Any, labels: Any = None) -> Any:
        """Learn terms and their weights; give those of the texts."""
        texts = list(texts)
        try:
            return super().fit_transform(texts, labels)
        except ValueError:
            # scikit-learn's word for no term; any other fault comes again
            return super().fit_transform([*texts, *_NOTHING], labels)[: len(texts)]

    def __getstate__(self) -> dict[str, Any]:
        """State with the vocabulary as one text, a term per line in the order of columns."""
        state = dict(super().__getstate__())
        if "vocabulary_" in state:
            places = state.pop("vocabulary_")
            state["_words"] = "\n".join(sorted(places, key=places.__getitem__))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The vocabulary is a dictionary again."""
        state = dict(state)
        if "_words" in state:
            words = state.pop("_words").split("\n")
            state["vocabulary_"] = {word: place for place, word in enumerate(words)}
        super().__setstate__(state)


class Words(Terms):
    """TF-IDF of `terms`."""

    def build_analyzer(self) -> Callable[[str], list[str]]:
        """The terms of one text."""
        return terms


class Characters(Terms):
    """TF-IDF of runs of characters within words; names that are mentioned count as one."""

    def build_preprocessor(self) -> Callable[[str], str]:
        """What is done to a text first. No line break stays, as the vocabulary is kept by lines."""
        return lambda text: " ".join(_MENTION.sub("@you", normalised(text)).split())


def words() -> Words:
    """Whole words and Chinese characters, for linear models and for reasons."""
    return Words(min_df=2, max_features=WORD_TERMS, sublinear_tf=True, dtype=np.float32)


def characters() -> Characters:
    """Parts of words: typing errors, endings, languages without spaces."""
    return Characters(
        analyzer="char_wb",
        ngram_range=(2, 5),
        min_df=3,
        max_features=CHARACTER_TERMS,
        sublinear_tf=True,
        dtype=np.float32,
    )
