"""What a table says, printed and ours, in sentences: who leads each column, a ranking, the gap between two rows.

Each function gives a reading for `ltlib.sections.tables.table`: from a frame of `ltlib.tables.compare` and the
profile's name to sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltlib import profiles
from ltlib.labels import label
from ltlib.sections.study import Study, caution, named
from ltlib.statistics import FEWEST_RUNS
from ltlib.tables.scores import CLOSE, points, sign, told_apart

if TYPE_CHECKING:
    import pandas as pd

Reading = Callable[["pd.DataFrame", str], str]


def _nothing(profile: str) -> str:
    return f"Ours: nothing was run for this table in {profile}."


# --- who leads -------------------------------------------------------------------------------------------------------


def leaders(
    study: Study, by: str, metrics: Sequence[str] = ("accuracy",), where: Mapping[str, Any] | None = None
) -> Reading:
    """Who leads each column, printed and ours, and whom single runs do not tell apart from the first of ours.

    Args:
        study: The document.
        by: What parts the columns: ``imbalance``, ``split`` or ``model``.
        metrics: The scores of a column.
        where: What the rows to read have, as ``{"dataset": "mushroom"}``; None reads all.
    """

    def reading(frame: pd.DataFrame, profile: str) -> str:
        for name, value in (where or {}).items():
            frame = frame[frame[name] == value]
        text = f"Printed, the best: {_leaders(study, frame, 'published', by, metrics)}."
        ran = frame.loc[frame["n"] > 0, "method"].nunique()
        if not ran:
            return f"{text} {_nothing(profile)}"
        ours = _leaders(study, frame, "reproduced", by, metrics)
        return f"{text} Ours ({ran} methods run), the best: {ours}.{caution(profile)}"

    return reading


def _leaders(study: Study, frame: pd.DataFrame, side: str, by: str, metrics: Sequence[str]) -> str:
    parts = []
    for column in dict.fromkeys(frame[by]):
        said = []
        for metric in metrics:
            rows = frame[(frame[by] == column) & (frame["metric"] == metric) & frame[side].notna()].to_dict("records")
            if rows:
                rows.sort(key=lambda row: -sign(metric) * row[side])
                word = f"{label(metric)} " if len(metrics) > 1 else ""
                said.append(f"{word}{_first(study, rows, side, metric)}")
        if said:
            name = f"factor {column:g}," if by == "imbalance" else label(str(column))
            parts.append(f"{name} {', '.join(said)}")
    return ("; " if len(metrics) > 1 else ", ").join(parts)


def _first(study: Study, order: Sequence[Mapping[Any, Any]], side: str, metric: str) -> str:
    """The best of rows in order, and of ours those that single runs do not tell apart from it."""
    best = order[0]
    near = [
        study.short(row["method"])
        for row in order[1:]
        if side == "reproduced" and not told_apart(best[side], row[side], min(best["n"], row["n"]), metric)
    ]
    said = f"{study.short(best['method'])} {100 * best[side]:.2f}"
    return said + (f" (too close to {', '.join(near)} to tell)" if near else "")


# --- a ranking -------------------------------------------------------------------------------------------------------


def ranking(study: Study) -> Reading:
    """The order by accuracy, in how many scores the first leads, and whether ours is the printed order.

    For a table of one network on one set.
    """

    def reading(frame: pd.DataFrame, profile: str) -> str:
        printed = _ranking(frame, "published")
        text = f"Printed: {_ranked(study, printed)}; {_leads(study, frame, printed[0][0])}."
        ours = _ranking(frame, "reproduced")
        if not ours:
            return f"{text} {_nothing(profile)}"
        data, network = named(profile, frame["dataset"].iloc[0], frame["model"].iloc[0])
        runs = {int(n) for n in frame.loc[frame["n"] > 0, "n"]}
        often = f"{'-'.join(str(n) for n in sorted(runs))} run{'s' * (max(runs) > 1)} each"
        if len(ours) == 1:
            only = f"{study.name(ours[0][0])} {ours[0][1]:.3f}"
            return f"{text} Ours ({data}, {network}, {often}): {only}; the other methods were not run."
        text += f" Ours ({data}, {network}, {often}): {_ranked(study, ours)}."
        if profiles.get(profile).stand_ins:
            return text + caution(profile)
        gap = ours[0][1] - ours[1][1]
        if min(runs) < FEWEST_RUNS and gap < CLOSE["accuracy"]:
            return f"{text} The first two differ by {points(gap)}, too little for {often} to put them in order."
        same = [name for name, _ in ours] == [name for name, _ in printed if name in dict(ours)]
        return f"{text} The order is {'the printed one' if same else 'not the printed one'}."

    return reading


def _ranking(frame: pd.DataFrame, side: str) -> list[tuple[str, float]]:
    rows = frame[(frame["metric"] == "accuracy") & frame[side].notna()]
    return sorted(zip(rows["method"], rows[side].astype(float), strict=True), key=lambda item: -item[1])


def _ranked(study: Study, order: Sequence[tuple[str, float]]) -> str:
    first, value = order[0]
    parts = [f"{study.name(name)} {other:.3f} ({points(value - other)} behind)" for name, other in order[1:]]
    return f"{study.name(first)} has the best accuracy, {value:.3f}" + (f", before {' and '.join(parts)}" * bool(parts))


def _leads(study: Study, frame: pd.DataFrame, method: str) -> str:
    best = frame.loc[frame.groupby("metric", sort=False)["published"].idxmax()]
    led = list(best.loc[best["method"] == method, "metric"])
    pairs = zip(best["method"], best["metric"], strict=True)
    others = [f"{study.name(name)} in {label(metric)}" for name, metric in pairs if name != method]
    return f"it leads in {len(led)} of {len(best)} scores" + (f" ({', '.join(others)})" if others else "")


# --- the gap between two rows ----------------------------------------------------------------------------------------


def gap(study: Study, first: str, second: str, metrics: Sequence[str] = ("accuracy", "ece")) -> Reading:
    """One row minus another in points, by imbalance factor, printed and ours."""

    def reading(frame: pd.DataFrame, profile: str) -> str:
        text = []
        for side, column in (("Printed", "published"), ("Ours", "reproduced")):
            said = [_gaps(frame, first, second, metric, column) for metric in metrics]
            if all(said):
                of = f"{study.short(first)} minus {study.short(second)}"
                text.append(f"{side}, {of}, in points: {'; '.join(said)}.")
        if not any(part.startswith("Ours") for part in text):
            return " ".join([*text, f"Ours: not enough was run for this table in {profile}."])
        return " ".join(text) + caution(profile, "A difference")

    return reading


def _gaps(frame: pd.DataFrame, first: str, second: str, metric: str, column: str) -> str:
    rows = frame[(frame["metric"] == metric) & frame[column].notna()]
    parts = []
    for factor in dict.fromkeys(rows["imbalance"]):
        value = rows[rows["imbalance"] == factor].set_index("method")[column]
        if {first, second} <= set(value.index):
            parts.append(f"{100 * (value[first] - value[second]):+.1f} (factor {factor:g})")
    return f"{label(metric)} {', '.join(parts)}" if parts else ""
