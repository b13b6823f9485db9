"""Charts logged with a run. No pyplot: figures are objects, nothing global is touched."""

from __future__ import annotations

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


def hold_out(
    labels: Array, chances: Array, baseline: Array, threshold: float, title: str
) -> Figure:
    """ROC, precision-recall of the unsatisfied, calibration and confusion on the hold-out rows."""
    figure = _figure(10.5, 9.2)
    axes = figure.subplots(2, 2)
    _roc(axes[0, 0], labels, chances, baseline)
    _precision_recall(axes[0, 1], labels, chances, baseline)
    _calibration(axes[1, 0], labels, chances)
    _confusion(axes[1, 1], labels, chances, threshold)
    figure.suptitle(title, x=0.02, ha="left", fontsize=14, color=INK, fontweight="bold")
    return figure


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


def _roc(axis: Axes, labels: Array, chances: Array, baseline: Array) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    for values, name, colour, width in (
        (baseline, "owner's recipe", GREY, 1.5),
        (chances, "model", BLUE, 2.4),
    ):
        x, y, _ = roc_curve(labels, values)
        axis.plot(
            x, y, color=colour, lw=width, label=f"{name}  AUC {roc_auc_score(labels, values):.3f}"
        )
    axis.plot([0, 1], [0, 1], color=PALE, ls="--", zorder=0)
    axis.legend(frameon=False, loc="lower right")
    _label(axis, "ROC", "not satisfied, taken for satisfied", "satisfied, found")


def _precision_recall(axis: Axes, labels: Array, chances: Array, baseline: Array) -> None:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    unhappy = 1 - labels
    for values, name, colour, width in (
        (1 - baseline, "owner's recipe", GREY, 1.5),
        (1 - chances, "model", BLUE, 2.4),
    ):
        precision, recall, _ = precision_recall_curve(unhappy, values)
        area = average_precision_score(unhappy, values)
        axis.plot(recall, precision, color=colour, lw=width, label=f"{name}  AP {area:.3f}")
    axis.axhline(
        unhappy.mean(), color=RED, ls=":", lw=1.2, label=f"by chance  {unhappy.mean():.3f}"
    )
    axis.set_ylim(0, 1.02)
    axis.legend(frameon=False, loc="upper right")
    _label(axis, "Finding the unsatisfied: precision and recall", "recall", "precision")


def _calibration(axis: Axes, labels: Array, chances: Array) -> None:
    edges = np.unique(np.quantile(chances, np.linspace(0, 1, 11)))
    bins = np.clip(np.searchsorted(edges, chances, side="right") - 1, 0, max(len(edges) - 2, 0))
    used = np.unique(bins)
    said = [float(chances[bins == each].mean()) for each in used]
    came = [float(labels[bins == each].mean()) for each in used]
    counts = np.array([int((bins == each).sum()) for each in used])
    error = 1.96 * np.sqrt(np.array(came) * (1 - np.array(came)) / counts)
    axis.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1.2)
    axis.errorbar(said, came, yerr=error, color=BLUE, marker="o", lw=1.8, capsize=3)
    low = max(0.0, min([*said, *(np.array(came) - error)]) - 0.05)
    axis.set_xlim(low, 1.0)
    axis.set_ylim(low, 1.03)
    _label(
        axis,
        "Calibration (tenths of rows, 95 % intervals)",
        "chance the model gave",
        "share satisfied",
    )


def _confusion(axis: Axes, labels: Array, chances: Array, threshold: float) -> None:
    said = (chances >= threshold).astype(int)
    counts = np.array([[int(((labels == a) & (said == p)).sum()) for p in (0, 1)] for a in (0, 1)])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1.25)
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        colour = "white" if share > 0.7 else INK
        axis.text(
            column,
            row,
            f"{count:,}\n{share:.0%}",
            ha="center",
            va="center",
            color=colour,
            fontsize=13,
        )
    axis.set_xticks([0, 1], ["not satisfied", "satisfied"])
    axis.set_yticks([0, 1], ["not satisfied", "satisfied"])
    _label(
        axis, f"Confusion at {threshold:.2f} (share of the actual)", "model said", "customer said"
    )
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)


def _readable(name: str) -> str:
    words = name.removeprefix("n_").replace("_90d", " 90 days").replace("avg", "mean").split("_")
    text = " ".join(words)
    half = text.find(" ", len(text) // 2 - 2)
    return text if half < 0 else f"{text[:half]}\n{text[half + 1 :]}"
