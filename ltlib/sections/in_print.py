"""Numbers as a document prints them: totals against groups, runs under a printed cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltlib.labels import label
from ltlib.tables import cells
from ltlib.tables.scores import percent, side_by_side

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run
    from ltlib.sections.study import Study

Sizes = Mapping[str, Mapping[str, int]]
"""Classes in each group, by data set."""
FITS = 0.006
"""Percentage points that rounding to the printed digits can part a group mean from its total."""


def totals(study: Study, numbers: Iterable[str], sizes: Mapping[str, Sizes]) -> pd.DataFrame:
    """Printed accuracy of all images (after the last stage) beside the mean of its group columns, in percent.

    Args:
        study: The document.
        numbers: Its tables.
        sizes: Readings of the groups' sizes, by what to call each in the frame's columns.
    """
    import pandas as pd

    values: dict[tuple[str, str, float, str], dict[str, float]] = {}
    for number in numbers:
        for printed in cells.rows(study.id, number, {"metric": "accuracy"}):
            place = (number, printed["dataset"], printed["imbalance"], printed["method"])
            values.setdefault(place, {})[printed["split"]] = printed["value"]
    found = []
    for (number, dataset, factor, method), value in values.items():
        row: dict[str, Any] = {"table": number, "set": f"{label(dataset)}, {factor:g}", "method": study.short(method)}
        row["printed"] = value["all"]
        for title, reading in sizes.items():
            classes = reading[dataset]
            average = sum(n * value[group] for group, n in classes.items()) / sum(classes.values())
            row |= {f"mean ({title})": round(average, 2), f"off ({title})": round(value["all"] - average, 3) + 0.0}
        found.append(row)
    return pd.DataFrame(found)


def totals_sentence(frame: pd.DataFrame) -> str:
    """How often the group columns of `totals` average to the total, by each reading of the sizes."""
    off = {name[5:-1]: frame[name].abs() for name in frame.columns if name.startswith("off (")}
    first, *others = [f"in {(gap <= FITS).sum()} {{}}with groups of {title}" for title, gap in off.items()]
    text = "The mean of the group columns is the printed total "
    text += "; ".join([first.format(f"of {len(frame)} rows "), *(other.format("") for other in others)]) + "."
    gaps = [float(gap) for gap in next(iter(off.values()))]
    if max(gaps) > FITS:
        worst = frame.iloc[gaps.index(max(gaps))]
        text += f" The largest difference by the first reading is {max(gaps):.1f} points "
        text += f"(Table {worst['table']}, {worst['set']})."
    return f"{text} A balanced test set makes them equal by definition."


def totals_line(frame: pd.DataFrame) -> str:
    """How far each row's total is from the mean of its groups, by the first reading of the sizes."""
    name = next(name for name in frame.columns if name.startswith("off ("))
    said = ", ".join(f"{m} {round(gap, 2) + 0.0:+.2f}" for m, gap in zip(frame["method"], frame[name], strict=True))
    return f"Printed total minus the mean of the groups, {name[5:-1]} classes, in points: {said}."


def beside(own: Mapping[str, Sequence[Run]], printed: Mapping[str, float], name: str) -> pd.DataFrame:
    """Rows of runs under a printed cell, in percent.

    Args:
        own: What a row stands for, to its runs.
        printed: Of `ltlib.tables.cells.cell`; its class groups are the columns.
        name: What to call the printed row.
    """
    import pandas as pd

    frame = side_by_side(own, str)
    words = {"accuracy": "accuracy (%)", "ece": "ECE (%)"}
    first = {"method": name} | {words.get(key, f"{key} (%)"): percent(value) for key, value in printed.items()}
    return pd.concat([pd.DataFrame([first]), frame], ignore_index=True)[list(frame.columns)]
