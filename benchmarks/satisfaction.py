"""How well our models tell satisfaction and sentiment on real, labelled files.

    python -m benchmarks.satisfaction TRAIN TEST --mapping FILE.yml --json -
    python -m benchmarks.satisfaction TRAIN --folds 5 --mapping FILE.yml --json -

It trains exactly as the product would: the same inputs, candidates, choice and calibration of `ml/`.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from benchmarks.labelled import SHOWN as NAMED
from benchmarks.labelled import Labelled, Mapping, labelled
from benchmarks.reading import Unreadable
from carelake.settings import Settings
from ml.competition import Learned, Rows, Search, learn
from ml.evaluation import macro_f1, measure
from ml.results import SATISFACTION
from ml.tasks import TASKS

SHOWN = {"auc": "roc_auc", "macro_f1": "macro_f1", "accuracy": "accuracy", "brier": "brier"}
DRAWS = 500
EXAMPLES = """examples:
  python -m benchmarks.satisfaction train.csv.gz test.csv.gz --mapping benchmarks/mappings/waimai.yml --json -
  python -m benchmarks.satisfaction train.csv --folds 5 --mapping benchmarks/mappings/text_label.yml --json a.json

The mapping names the columns: see benchmarks/mappings. Files are CSV, delimited by comma, semicolon, tab or bar
and packed with gzip or not, or Parquet. UTF-8, UTF-16 with a mark, GB18030 and Windows-1252 are found, any other
encoding is named in the mapping. A label that no row of TRAIN has, or only one, is missed wherever TEST has it:
wrong for accuracy and macro_f1, and left out of auc and brier.

auc of more than two classes is the mean of each against the rest; accuracy is that of the likeliest class;
macro_f1 that of answers whose thresholds were chosen for it, on rows of TRAIN that candidates had not seen;
brier is summed over classes, of two classes half of that. What the rows do not allow is null."""

Array = np.ndarray[Any, np.dtype[Any]]


def main(arguments: list[str] | None = None) -> int:
    """Train, test, print one JSON object; 2 and one line on stderr where a file cannot be used."""
    given = _parser().parse_args(arguments)
    try:
        if (given.test is None) == (given.folds is None):
            raise Unreadable("give either TEST or --folds N")
        if given.folds is not None and given.folds < 2:
            raise Unreadable("--folds: at least 2")
        if given.seed and given.folds is None:
            raise Unreadable("--seed: goes with --folds")
        mapping = Mapping.load(given.mapping)
        found = _run(given.train, given.test, given.folds, mapping, given.model, given.seed)
        text = json.dumps(found, ensure_ascii=False)
        if given.json == "-":
            print(text)
        else:
            Path(given.json).write_text(text + "\n", encoding="utf-8")
    except (Unreadable, ValueError, OSError) as error:
        print(f"benchmarks.satisfaction: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.satisfaction",
        description=(__doc__ or "").split("\n", 1)[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("train", type=Path, metavar="TRAIN", help="file to learn from")
    parser.add_argument("test", type=Path, metavar="TEST", nargs="?", help="file to be judged on")
    parser.add_argument("--mapping", type=Path, required=True, metavar="FILE.yml")
    parser.add_argument("--folds", type=int, metavar="N", help="instead of TEST: N folds of TRAIN")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the draw of folds, and of nothing that is trained; another one shows what the draw is worth",
    )
    parser.add_argument(
        "--model",
        choices=sorted(TASKS),
        default=SATISFACTION,
        help="whose candidates compete; sentiment's are the linear ones",
    )
    parser.add_argument("--json", default="-", metavar="FILE", help="where to; - is the screen")
    return parser


def _run(
    train: Path,
    test: Path | None,
    count: int | None,
    mapping: Mapping,
    model: str,
    seed: int,
) -> dict[str, Any]:
    search = TASKS[model].search
    began = time.perf_counter()
    ours, notes = labelled(train, mapping)
    names = ", ".join(ours.classes[:NAMED])
    _tell(*notes, f"{train.name}: {len(ours.rows.labels):,} rows, classes {names}")
    theirs, notes = labelled(test, mapping, ours.classes) if test else (None, [])
    _tell(*notes)
    try:
        with threadpool_limits(limits=1):
            if test is not None and theirs is not None:
                _tell(f"{test.name}: {len(theirs.rows.labels):,} rows")
                found = _once(ours, theirs, search)
            else:
                found = _folded(ours, count or 2, search, seed)
    except ValueError as error:
        raise Unreadable(f"{train}: {error}") from error
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found["seconds"] = round(time.perf_counter() - began, 1)
    found["peak_mb"] = round(peak)
    return found


def _once(ours: Labelled, theirs: Labelled, search: Search) -> dict[str, Any]:
    learned = _learn(ours.rows, search)
    chances = learned.model.predict_proba(theirs.rows.inputs)
    answers = _answers(chances, learned)
    labels = theirs.rows.labels
    # Of a class that no row trained on had there is no chance to rank or to measure, only a wrong answer.
    known = labels < len(ours.classes)
    right = np.argmax(chances, axis=1) == labels
    whole = {"macro_f1": macro_f1(labels, answers), "accuracy": float(np.mean(right))}
    return {
        **_figures(labels[known], chances[known], answers[known]),
        **{name: _rounded(value) for name, value in whole.items()},
        "chosen": learned.chosen.name,
        "n_train": len(ours.rows.labels),
        "n_test": len(labels),
    }


def _folded(ours: Labelled, count: int, search: Search, seed: int) -> dict[str, Any]:
    """Means over folds; intervals from a bootstrap over all rows, each told by its own fold's model."""
    labels = ours.rows.labels
    if np.bincount(labels).min() < 2 * count:
        raise Unreadable(f"--folds {count}: a class has too few rows for so many")
    chances = np.zeros((len(labels), len(ours.classes)))
    answers = np.zeros(len(labels), dtype=int)
    each, chosen = [], []
    made = StratifiedKFold(count, shuffle=True, random_state=seed).split(labels, labels)
    for fold, (fit, check) in enumerate(made, start=1):
        learned = _learn(ours.rows.take(fit), search)
        chances[check] = learned.model.predict_proba(ours.rows.inputs.iloc[check])
        answers[check] = _answers(chances[check], learned)
        each.append(_figures(labels[check], chances[check], answers[check]))
        chosen.append(learned.chosen.name)
        _tell(f"fold {fold} of {count}: {json.dumps(each[-1])}, {chosen[-1]}")
    means = pd.DataFrame(each).astype("float64").mean()
    found: dict[str, Any] = {name: _rounded(float(means[name])) for name in SHOWN}
    found["intervals"] = _intervals(labels, chances, answers)
    if ours.apart is not None:
        for name, part in ((("with", ours.apart)), ("without", ~ours.apart)):
            told = labels[part], chances[part], answers[part]
            found[name] = {**_figures(*told), "intervals": _intervals(*told), "n": int(part.sum())}
    return {**found, "folds": count, "seed": seed, "chosen": chosen, "n": len(labels)}


def _learn(rows: Rows, search: Search) -> Learned:
    settings = Settings()
    budget = settings.ml.time_budget_seconds
    learned = learn(rows.sorted_by_time(), settings.random_seed, budget, search=search)
    for one in learned.candidates:
        figures = {
            name: round(one.metrics[name], 4) for name in ("log_loss", "roc_auc", "macro_f1")
        }
        _tell(f"  {one.name}: {figures}, {one.seconds:.1f} s")
    _tell(f"{learned.how}; chosen: {learned.chosen.name} {learned.chosen.params}")
    return learned


def _answers(chances: Array, learned: Learned) -> Array:
    answers: Array = np.argmax(chances * np.asarray(learned.model.weights), axis=1)
    return answers


def _figures(labels: Array, chances: Array, answers: Array) -> dict[str, float | None]:
    """The four figures; None where the rows do not allow one.

    `answers` are those for macro-F1; accuracy is of the likeliest class, which is what it asks for.
    """
    whole = measure(labels, chances) | {"macro_f1": macro_f1(labels, answers)}
    return {ours: _rounded(whole[theirs]) for ours, theirs in SHOWN.items()}


def _intervals(labels: Array, chances: Array, answers: Array) -> dict[str, list[float | None]]:
    """95 % intervals of the four figures, rows drawn with replacement."""
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(DRAWS):
        rows = rng.integers(0, len(labels), len(labels))
        draws.append(_figures(labels[rows], chances[rows], answers[rows]))
    table = pd.DataFrame(draws).astype("float64")
    return {
        name: [_rounded(float(table[name].quantile(at))) for at in (0.025, 0.975)] for name in SHOWN
    }


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _tell(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
