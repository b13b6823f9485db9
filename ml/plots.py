"""Charts logged with a run. No pyplot: figures are objects, nothing global is touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Array = np.ndarray[Any, np.dtype[Any]]

# Below this (log scale) segments are alike in a column, and its colours stay pale.
LEAST_SPREAD = 0.2
BLUE, GREY, RED, INK, PALE = "#1f6fb2", "#9aa5b1", "#c8553d", "#27313b", "#e4e8ec"
LINES = (BLUE, "#b07d12", RED)


@dataclass(frozen=True)
class HoldOut:
    """What is drawn of a hold-out.

    Args:
        classes: names, in the order of the columns of chances.
        labels: places in them.
        chances: rows x classes.
        baseline: the owner's recipe's.
        weights: what each chance is multiplied by before the largest is the answer.
    """

    classes: tuple[str, ...]
    labels: Array
    chances: Array
    baseline: Array
    weights: Array

    @property
    def watched(self) -> list[int]:
        """Classes with a line of their own: of two the second, of more each against the rest."""
        return [1] if len(self.classes) == 2 else list(range(len(self.classes)))

    def is_one(self, place: int) -> Array:
        """Whether each row is of a class."""
        found: Array = (self.labels == place).astype(int)
        return found


def hold_out(shown: HoldOut, title: str) -> Figure:
    """ROC, precision-recall of the first class, calibration and confusion on the hold-out rows."""
    figure = _figure(10.5, 9.2)
    axes = figure.subplots(2, 2)
    _roc(axes[0, 0], shown)
    _precision_recall(axes[0, 1], shown)
    _calibration(axes[1, 0], shown)
    _confusion(axes[1, 1], shown)
    figure.suptitle(title, x=0.02, ha="left", fontsize=14, color=INK, fontweight="bold")
    return figure


def learning(sizes: list[int], learned: list[float], unseen: list[float]) -> Figure:
    """ROC AUC by rows learned from: on those rows, and on later ones."""
    figure = _figure(6.4, 4.4)
    axis: Axes = figure.subplots()
    axis.plot(sizes, learned, color=GREY, marker="o", label="rows it learned from")
    axis.plot(sizes, unseen, color=BLUE, marker="o", lw=2.2, label="later rows")
    axis.legend(frameon=False)
    axis.margins(y=0.2)
    _label(axis, "Would more rows help? (best linear candidate)", "rows learned from", "ROC AUC")
    return figure


def importance(names: list[str], values: list[float]) -> Figure:
    """ROC AUC lost when an input says nothing any more, the largest on top."""
    figure = _figure(8, 1.2 + 0.32 * len(names))
    axis: Axes = figure.subplots()
    order = np.argsort(values, kind="stable")
    colours = [BLUE if values[place] > 0 else GREY for place in order]
    axis.barh(range(len(names)), [values[place] for place in order], color=colours, height=0.62)
    axis.set_yticks(range(len(names)), [names[place] for place in order])
    _label(axis, "Importance: ROC AUC lost when an input is dealt out anew", "ROC AUC lost", "")
    return figure


def single(shown: HoldOut) -> dict[str, Figure]:
    """ROC, precision-recall, calibration and confusion, each on a page of its own, by name."""
    drawn = {
        "roc": _roc,
        "precision_recall": _precision_recall,
        "calibration": _calibration,
        "confusion": _confusion,
    }
    made = {name: _figure(6.4, 5.2) for name in drawn}
    for name, draw in drawn.items():
        draw(made[name].subplots(), shown)
    return made


def candidates(names: list[str], values: list[float], chosen: str) -> Figure:
    """ROC AUC of every candidate on the inner validation rows, the chosen one in colour."""
    figure = _figure(8, 0.9 + 0.42 * len(names))
    axis: Axes = figure.subplots()
    order = np.argsort(values, kind="stable")
    for row, place in enumerate(order):
        colour = BLUE if names[place] == chosen else GREY
        axis.scatter(values[place], row, color=colour, s=70, zorder=3)
        axis.annotate(
            f"{values[place]:.3f}",
            (values[place], row),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            color=INK,
        )
    axis.set_yticks(range(len(names)), [names[place] for place in order])
    axis.margins(x=0.2, y=0.1)
    _label(axis, "Candidates on the inner validation rows", "ROC AUC", "")
    return figure


def shifts(names: list[str], values: list[float], noise: list[float]) -> Figure:
    """Population stability index of scores and inputs, with what chance alone gives."""
    figure = _figure(8.5, 1.4 + 0.32 * len(names))
    axis: Axes = figure.subplots()
    order = np.argsort(values, kind="stable")
    for row, place in enumerate(order):
        is_real = values[place] > noise[place]
        axis.barh(row, values[place], color=BLUE if is_real else GREY, height=0.62)
        axis.plot([noise[place]] * 2, [row - 0.4, row + 0.4], color=INK, lw=1.2)
    for edge, colour in ((0.1, GREY), (0.25, RED)):
        axis.axvline(edge, color=colour, ls=":", lw=1.2)
    axis.set_yticks(range(len(names)), [names[place] for place in order])
    _label(axis, "Shift since training; the bar's mark is what chance gives", "index", "")
    return figure


def silhouette_by_k(
    silhouettes: dict[int, float], inertias: dict[int, float], chosen: int
) -> Figure:
    """Mean silhouette and inertia by number of segments, the chosen number marked."""
    figure = _figure(10, 4)
    left, right = figure.subplots(1, 2)
    ks = list(silhouettes)
    for axis, values, title, unit in (
        (left, silhouettes, "Silhouette: higher is better apart", "mean silhouette"),
        (right, inertias, "Elbow: where more segments stop helping", "inertia"),
    ):
        axis.plot(ks, list(values.values()), color=GREY, marker="o", zorder=1)
        axis.scatter([chosen], [values[chosen]], color=BLUE, s=110, zorder=2)
        axis.annotate(
            f"chosen: {chosen}",
            (chosen, values[chosen]),
            xytext=(10, 8),
            textcoords="offset points",
            color=BLUE,
            fontweight="bold",
        )
        axis.set_xticks(ks)
        axis.margins(x=0.12, y=0.18)
        _label(axis, title, "number of segments", unit)
    return figure


def segment_profile(profile: pd.DataFrame, names: list[str], sizes: list[int]) -> Figure:
    """Heat map: each segment's mean, coloured by its distance from the mean of segments."""
    shown = profile.dropna(axis=1, how="all")
    values = shown.to_numpy(dtype=float)
    # Heavy-tailed columns would leave all colour to one segment: compare on the log scale.
    logs = np.arcsinh(np.nan_to_num(values))
    spread = logs.std(axis=0)
    colours = (logs - logs.mean(axis=0)) / np.maximum(spread, LEAST_SPREAD)
    figure = _figure(2.6 + 1.02 * shown.shape[1], 2.3 + 0.6 * len(names))
    axis: Axes = figure.subplots()
    axis.imshow(colours, cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto", alpha=0.75)
    axis.set_xticks(range(shown.shape[1]), [_readable(str(name)) for name in shown.columns])
    axis.set_yticks(
        range(len(names)),
        [
            f"{place + 1}  {name}\n{size:,}"
            for place, (name, size) in enumerate(zip(names, sizes, strict=True))
        ],
    )
    for (row, column), value in np.ndenumerate(values):
        text = "" if np.isnan(value) else f"{value:,.2f}" if abs(value) < 10 else f"{value:,.0f}"
        axis.text(column, row, text, ha="center", va="center", color=INK, fontsize=9)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0, labelsize=9, colors=INK)
    axis.set_title(
        "Segments: mean per customer, median of days; red is above the others, blue below",
        loc="left",
        fontsize=11,
        color=INK,
        pad=12,
    )
    return figure


def _figure(width: float, height: float) -> Figure:
    figure = Figure(
        figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12), dpi=110
    )
    FigureCanvasAgg(figure)

    return figure


def _label(axis: Axes, title: str, x: str, y: str) -> None:
    axis.set_title(title, loc="left", fontsize=11, color=INK)
    axis.set_xlabel(x, color=INK)
    axis.set_ylabel(y, color=INK)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(GREY)
    axis.tick_params(colors=INK, labelsize=9)
    axis.grid(color=PALE, linewidth=0.8)
    axis.set_axisbelow(True)


def _roc(axis: Axes, shown: HoldOut) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    for place, colour in zip(shown.watched, LINES, strict=False):
        truth = shown.is_one(place)
        one = "" if len(shown.watched) == 1 else f"{shown.classes[place]}, "
        for values, name, ink, width in (
            (shown.baseline[:, place], "owner's recipe", GREY, 1.2),
            (shown.chances[:, place], "model", colour, 2.4),
        ):
            x, y, _ = roc_curve(truth, values)
            told = f"{one}{name}  AUC {roc_auc_score(truth, values):.3f}"
            axis.plot(x, y, color=ink, lw=width, label=told)
    axis.plot([0, 1], [0, 1], color=PALE, ls="--", zorder=0)
    axis.legend(frameon=False, loc="lower right", fontsize=8 if len(shown.watched) > 1 else None)
    if len(shown.classes) == 2:
        first, second = shown.classes
        _label(axis, "ROC", f"{first}, taken for {second}", f"{second}, found")
    else:
        _label(axis, "ROC, each against the rest", "others, taken for it", "found")


def _precision_recall(axis: Axes, shown: HoldOut) -> None:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    first = shown.is_one(0)
    for values, name, colour, width in (
        (shown.baseline[:, 0], "owner's recipe", GREY, 1.5),
        (shown.chances[:, 0], "model", BLUE, 2.4),
    ):
        precision, recall, _ = precision_recall_curve(first, values)
        area = average_precision_score(first, values)
        axis.plot(recall, precision, color=colour, lw=width, label=f"{name}  AP {area:.3f}")
    axis.axhline(first.mean(), color=RED, ls=":", lw=1.2, label=f"by chance  {first.mean():.3f}")
    axis.set_ylim(0, 1.02)
    axis.legend(frameon=False, loc="upper right")
    _label(axis, f"Finding the {shown.classes[0]}: precision and recall", "recall", "precision")


def _calibration(axis: Axes, shown: HoldOut) -> None:
    least = 1.0
    axis.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1.2)
    for place, colour in zip(shown.watched, LINES, strict=False):
        said, came, error = _tenths(shown.is_one(place), shown.chances[:, place])
        told = shown.classes[place]
        axis.errorbar(
            said, came, yerr=error, color=colour, marker="o", lw=1.8, capsize=3, label=told
        )
        least = min(least, *said, *(came - error))
    low = max(0.0, least - 0.05)
    axis.set_xlim(low, 1.0)
    axis.set_ylim(low, 1.03)
    if len(shown.watched) > 1:
        axis.legend(frameon=False, loc="upper left")
    _label(
        axis,
        "Calibration (tenths of rows, 95 % intervals)",
        "chance the model gave",
        f"share {shown.classes[1]}" if len(shown.classes) == 2 else "share that was so",
    )


def _tenths(truth: Array, chances: Array) -> tuple[Array, Array, Array]:
    """Mean chance, share that came true and its error, per tenth of rows."""
    edges = np.unique(np.quantile(chances, np.linspace(0, 1, 11)))
    bins = np.clip(np.searchsorted(edges, chances, side="right") - 1, 0, max(len(edges) - 2, 0))
    used = np.unique(bins)
    said = np.array([float(chances[bins == each].mean()) for each in used])
    came = np.array([float(truth[bins == each].mean()) for each in used])
    counts = np.array([int((bins == each).sum()) for each in used])
    return said, came, 1.96 * np.sqrt(came * (1 - came) / counts)


def _confusion(axis: Axes, shown: HoldOut) -> None:
    said = np.argmax(shown.chances * shown.weights, axis=1)
    places = range(len(shown.classes))
    counts = np.array(
        [[int(((shown.labels == a) & (said == p)).sum()) for p in places] for a in places]
    )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1.25)
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        axis.text(
            column,
            row,
            f"{count:,}\n{share:.0%}",
            ha="center",
            va="center",
            color="white" if share > 0.7 else INK,
            fontsize=13,
        )
    axis.set_xticks(list(places), list(shown.classes))
    axis.set_yticks(list(places), list(shown.classes))
    at = ""
    if len(shown.classes) == 2:
        at = f" at {shown.weights[0] / shown.weights.sum():.2f}"
    _label(axis, f"Confusion{at} (share of the actual)", "model said", "customer said")
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)


def _readable(name: str) -> str:
    words = name.removeprefix("n_").replace("_90d", " 90 days").replace("avg", "mean").split("_")
    text = " ".join(words)
    half = text.find(" ", len(text) // 2 - 2)
    return text if half < 0 else f"{text[:half]}\n{text[half + 1 :]}"
