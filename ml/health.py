"""Watch the champions: have rows moved away from those they were made on, do chances still hold.

Compared are the newest conversations with those the model was made on (`ml.reference`), and the chances
given with the answers that came after its hold-out. Everything is as of the data, not of the clock.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from carelake.setting_groups.health import ModelHealth
from carelake.settings import Home, Settings
from ml import features as data
from ml import plots
from ml.drift import Bins, psi
from ml.evaluation import Array
from ml.reference import FILE, LEAST_ROWS, Reference, sample, text_shape
from ml.registry import Champion, Registry
from ml.resampling import mean_interval, resampled_auc, resampled_f1
from ml.results import FROM_COMMENT, SATISFACTION, SENTIMENT, HealthRow, ScoreResult
from ml.tasks import MEASURES, TASKS, Told
from ml.terms import NAMES

WATCHED = (SATISFACTION, FROM_COMMENT, SENTIMENT)
LEAST_ANSWERS = 50
LEAST_IN_GROUP = 30
RANK = {"too_few": 0, "ok": 1, "warn": 2, "act": 3}


@dataclass(frozen=True)
class _Subject:
    """A champion, and the rows it was made on."""

    name: str
    version: int
    run_id: str
    reference: Reference
    as_of: pd.Timestamp
    since: pd.Timestamp


@dataclass(frozen=True)
class _Seen:
    """What came since.

    Args:
        inputs: of the newest rows, in the columns of the reference.
        scores: chances given to these.
        about: channel and language of the rows whose answer came after the hold-out.
        labels: their answers.
        told: what the champion says of them.
        place: of the class whose chance is held against its share.
    """

    inputs: pd.DataFrame
    scores: pd.Series[Any]
    about: pd.DataFrame
    labels: Array
    told: Told
    place: int


def watch(
    home: Home,
    settings: Settings,
    folder: Path,
    scored: ScoreResult,
    report: Callable[[str], None],
) -> list[HealthRow]:
    """See `ml.watch`."""
    registry = Registry(home)
    rows: list[HealthRow] = []
    files = {SATISFACTION: scored.satisfaction_scores, FROM_COMMENT: scored.comment_scores}
    for name in WATCHED:
        version = registry.champion(name)
        if version is None:
            continue
        target = home.health / f"{name}-{version.version}-{folder.name}-{_limits(settings)}.json"
        if target.exists():
            rows += [HealthRow(**each) for each in json.loads(target.read_text(encoding="utf-8"))]
            continue
        subject = _subject(registry, version, folder, settings.model_health, report)
        if subject is None:
            continue
        if name == SENTIMENT:
            seen = _seen_texts(subject, registry.load(version), folder)
        else:
            seen = _seen_conversations(subject, folder, files[name])
        found = [
            *_shifts(subject, seen, settings.model_health),
            *_answers(subject, seen, settings.model_health, settings.random_seed),
        ]
        _tell(registry, subject, found, report)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        partial.write_text(json.dumps([asdict(each) for each in found]), encoding="utf-8")
        partial.replace(target)
        rows += found
    return rows


def _limits(settings: Settings) -> str:
    text = f"{settings.random_seed}{settings.model_health.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _subject(
    registry: Registry,
    version: ModelVersion,
    folder: Path,
    limits: ModelHealth,
    report: Callable[[str], None],
) -> _Subject | None:
    try:
        with tempfile.TemporaryDirectory() as place:
            path = registry.client.download_artifacts(str(version.run_id), FILE, place)
            reference = Reference.read(Path(path))
    except (MlflowException, OSError):
        report(f"{version.name}: not watched, its run does not say what rows it was made on")
        return None
    times = data.conversation_times(folder)["occurred_at"]
    as_of = times.max()
    since = max(pd.Timestamp(reference.until), as_of - pd.Timedelta(days=limits.window_days))
    return _Subject(
        str(version.name), int(version.version), str(version.run_id), reference, as_of, since
    )


def _seen_conversations(subject: _Subject, folder: Path, scores: Path) -> _Seen:
    table = pq.read_table(scores, columns=["conversation_key", "p_satisfied"])
    given = pd.Series(
        table["p_satisfied"].cast("double").to_numpy(), index=table["conversation_key"].to_pandas()
    )
    newest = sample(folder, subject.name, subject.since, None)
    inputs = data.conversation_inputs(newest) if len(newest) else newest
    frame = data.answers_since(folder, pd.Timestamp(subject.reference.until))
    frame = frame.assign(chance=frame["conversation_key"].map(given))
    frame = frame[frame["chance"].notna()]
    chances = frame["chance"].to_numpy(dtype="float64")
    return _Seen(
        inputs=data.conform(inputs, _kinds(subject.reference)) if len(newest) else newest,
        scores=newest["conversation_key"].map(given).dropna(),
        about=frame,
        labels=frame["label"].to_numpy().astype(int),
        told=Told(np.column_stack([1 - chances, chances])),
        place=1,
    )


def _seen_texts(subject: _Subject, champion: Champion, folder: Path) -> _Seen:
    """Texts whose sentiment was told since, the champion's hold-out apart."""
    frame = data.read_sentiment(folder)
    frame = frame[frame["told_at"] > pd.Timestamp(subject.reference.until)]
    frame = frame[frame["sentiment"].isin(champion.classes)].reset_index(drop=True)
    chances = np.zeros((0, len(champion.classes)))
    if len(frame):
        given = data.conform(data.text_inputs(frame[data.TEXT]), champion.columns)
        chances = champion.model.predict_proba(given)
    is_new = (frame["told_at"] > subject.since).to_numpy()
    places = {name: place for place, name in enumerate(champion.classes)}
    return _Seen(
        inputs=text_shape(frame[is_new]),
        scores=pd.Series(chances[is_new, 0]),
        about=frame,
        labels=frame["sentiment"].map(places).to_numpy().astype(int),
        told=Told(chances, champion.model.weights),
        place=0,
    )


def _kinds(reference: Reference) -> dict[str, str]:
    return {
        name: "text" if bins.edges is None else "number" for name, bins in reference.inputs.items()
    }


def _shifts(subject: _Subject, seen: _Seen, limits: ModelHealth) -> Iterator[HealthRow]:
    """Of the newest rows' scores and inputs."""
    n = len(seen.inputs)
    if n < LEAST_ROWS:
        yield _row(subject, "shift_of_scores", "all", "", n=n, state="too_few")
        return
    reference = subject.reference
    yield _shift(subject, limits, "shift_of_scores", "all", "", reference.scores, seen.scores)
    for name, bins in reference.inputs.items():
        yield _shift(subject, limits, "shift_of_input", "input", name, bins, seen.inputs[name])


def _shift(
    subject: _Subject,
    limits: ModelHealth,
    measure: str,
    part: str,
    value: str,
    bins: Bins,
    column: pd.Series[Any],
) -> HealthRow:
    found, noise = psi(bins.counts, bins.count(column))
    state = "ok"
    if found > noise and found > limits.shift_warn:
        state = "act" if found > limits.shift_act else "warn"
    return _row(subject, measure, part, value, found, reference=noise, n=len(column), state=state)


def _answers(subject: _Subject, seen: _Seen, limits: ModelHealth, seed: int) -> Iterator[HealthRow]:
    """Of the answers that came after the hold-out: all, by channel, by language."""
    parts: list[tuple[str, str, Array]] = [("all", "", np.ones(len(seen.about), dtype=bool))]
    for column in ("channel", "language"):
        values = seen.about[column]
        parts += [
            (column, str(value), (values == value).to_numpy())
            for value in sorted(values.dropna().unique())
        ]
    since = pd.Timestamp(subject.reference.until)
    metric = TASKS[subject.name].metric
    for part, value, chosen in parts:
        labels, told = seen.labels[chosen], Told(seen.told.chances[chosen], seen.told.weights)
        least = LEAST_ANSWERS if part == "all" else LEAST_IN_GROUP
        n = len(labels)
        if n < least or len(np.unique(labels)) < 2:
            yield _row(subject, metric, part, value, n=n, state="too_few", since=since)
            continue
        is_all = part == "all"
        hit, reference = _quality(metric, labels, told, seed), subject.reference.value
        # only all rows were measured on the hold-out: a group may be harder, and gets no verdict
        state = _state_of_quality(hit, reference, limits) if is_all else "ok"
        yield _row(subject, metric, part, value, *hit, reference, n, state, since)
        chances, truth = told.chances[:, seen.place], labels == seen.place
        gap = mean_interval(chances - truth, seed)
        state = _state_of_gap(gap, limits, is_all)
        yield _row(subject, "calibration_gap", part, value, *gap, 0.0, n, state, since)


def _quality(metric: str, labels: Array, told: Told, seed: int) -> tuple[float, float, float]:
    if metric == "macro_f1":
        return resampled_f1(labels, told.answers, seed)
    return resampled_auc(labels, told.chances[:, 1], seed)


def _state_of_quality(
    found: tuple[float, float, float], reference: float, limits: ModelHealth
) -> str:
    value, _, high = found
    if high >= reference:
        return "ok"
    return "act" if reference - value > limits.auc_drop_act else "warn"


def _state_of_gap(found: tuple[float, float, float], limits: ModelHealth, is_all: bool) -> str:
    value, low, high = found
    if low <= 0 <= high or abs(value) <= limits.gap_warn:
        return "ok"
    # a group alone is no reason to train all anew
    return "act" if abs(value) > limits.gap_act and is_all else "warn"


def _row(
    subject: _Subject,
    measure: str,
    part: str,
    value: str,
    found: float | None = None,
    low: float | None = None,
    high: float | None = None,
    reference: float | None = None,
    n: int = 0,
    state: str = "ok",
    since: pd.Timestamp | None = None,
) -> HealthRow:
    as_of = subject.as_of.isoformat()
    key = "|".join((subject.name, str(subject.version), as_of, measure, part, value))
    value_of, lower, upper, against = (
        None if each is None else round(each, 6) for each in (found, low, high, reference)
    )
    return HealthRow(
        health_id=hashlib.sha256(key.encode()).hexdigest()[:32],
        as_of=as_of,
        model_name=subject.name,
        model_version=subject.version,
        measure=measure,
        part=part,
        part_value=value,
        value=value_of,
        lower_value=lower,
        upper_value=upper,
        reference=against,
        n=n,
        window_start=(subject.since if since is None else since).isoformat(),
        state=state,
    )


def sentence(row: HealthRow) -> str:
    """A row in words."""
    where = {"all": "", "input": f" {NAMES.get(row.part_value, row.part_value)}"}.get(
        row.part, f" of {row.part} {row.part_value}"
    )
    if row.value is None:
        return f"{row.measure}{where}: too few rows ({row.n:,})"
    value = f"{row.measure}{where} {row.value:.3f} on {row.n:,} rows"
    if row.measure in MEASURES:
        return f"{value} (hold-out {row.reference:.3f})"
    return value


def _tell(
    registry: Registry, subject: _Subject, rows: list[HealthRow], report: Callable[[str], None]
) -> None:
    """A report and a chart in the champion's run, and a line about what is not as it should be."""
    day = subject.as_of.date().isoformat()
    shifts = [row for row in rows if row.value is not None and row.measure.startswith("shift")]
    registry.client.log_text(subject.run_id, _page(subject, rows), f"health/{day}.md")
    if shifts:
        names = [row.part_value or "scores" for row in shifts]
        figure = plots.shifts(
            [NAMES.get(name, name) for name in names],
            [row.value or 0.0 for row in shifts],
            [row.reference or 0.0 for row in shifts],
        )
        registry.client.log_figure(subject.run_id, figure, f"health/{day}.png")
    for row in rows:
        if row.state in ("warn", "act"):
            report(f"{subject.name}: {row.state}: {sentence(row)}")


def _page(subject: _Subject, rows: list[HealthRow]) -> str:
    what = "texts" if subject.name == SENTIMENT else "conversations"
    lines = [
        f"# {subject.name} version {subject.version}, as of {subject.as_of.isoformat()}",
        "",
        f"Inputs and scores: {what} after {subject.since.isoformat()}, beside those until "
        f"{subject.reference.until}. Answers: those that came after that. Index: {psi.__doc__}".strip(),
        "",
        "| measure | part | | value | 95 % interval | held against | rows | state |",
        "| --- | --- | --- | --: | --- | --: | --: | --- |",
    ]
    for row in sorted(rows, key=lambda row: -RANK[row.state]):
        interval = (
            ""
            if row.lower_value is None or row.upper_value is None
            else f"{row.lower_value:.3f} to {row.upper_value:.3f}"
        )
        cells = [
            row.measure, row.part, row.part_value.replace("|", "\\|"),
            "" if row.value is None else f"{row.value:.3f}", interval,
            "" if row.reference is None else f"{row.reference:.3f}", f"{row.n:,}", row.state,
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
