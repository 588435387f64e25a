"""Crop disease and mushrooms: depth (Figure 10), what Table 5 says of the document's own matrices, minor classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltlib import published
from ltlib.chapters.cefl import CEFL
from ltlib.grids.cefl import FOUR, MINOR
from ltlib.labels import label
from ltlib.sections.words import listed
from ltlib.tables.verdicts import as_fraction

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

TEST_IMAGES = 300
"""Of each class of mushrooms (section IV.A.3)."""


def of(runs: Sequence[Run], grid: str, profile: str) -> list[Run]:
    """The runs of several sets that are on the set of a grid."""
    dataset = CEFL.trained(grid, profile).dataset
    return [run for run in runs if run.experiment.dataset == dataset]


def show_depth(page: Page, number: str, frame: pd.DataFrame, runs: Sequence[Run]) -> None:
    """Accuracy and F1 by network of four losses, printed and ours."""
    from ltlib.plots import bars

    rows = frame[(frame["dataset"] == "crop_disease") & frame["method"].isin(FOUR)]
    own = {run_id for ids in rows["run_ids"] for run_id in ids}
    used = [run for run in runs if run.id in own]
    for name, metric in ((number, "accuracy"), (f"{number} (F1)", "f1")):
        chart = bars.result_bars(rows, value=metric, names=CEFL.document.names)
        caption = f"Table 4, validation set of crop disease: {label(metric)} by network and loss."
        page.figure(name, chart, caption=caption, runs=used)


# --- what Table 5 says of its own matrices ---------------------------------------------------------------------------


def implied() -> pd.DataFrame:
    """Correct images and predictions of each class behind Table 5: recall times 300, and that over precision."""
    import pandas as pd

    rows: dict[str, dict[str, object]] = {}
    table = published.table("cefl", "5")
    for method in FOUR:
        own = table[(table["method"] == method) & (table["split"] != "all")]
        for name, scores in own.groupby("split", sort=False):
            value = {
                m: as_fraction(v, u) for m, v, u in zip(scores["metric"], scores["value"], scores["unit"], strict=True)
            }
            right = round(value["recall"] * TEST_IMAGES)
            row = rows.setdefault(str(name), {"class": CEFL.document.classes.get(str(name), str(name))})
            row |= {
                f"{CEFL.name(method)}, right": right,
                f"{CEFL.name(method)}, said": round(right / value["precision"]),
            }
    return pd.DataFrame(list(rows.values()))


def implied_sentence(frame: pd.DataFrame) -> str:
    """Whether the predictions add up to the test images, the accuracies that follow, and where the minor classes go."""
    said = {method: int(frame[f"{CEFL.name(method)}, said"].sum()) for method in FOUR}
    right = {method: int(frame[f"{CEFL.name(method)}, right"].sum()) for method in FOUR}
    total = TEST_IMAGES * len(frame)
    minor = frame["class"].isin([CEFL.document.classes[name] for name in MINOR])
    rare = {m: int(frame.loc[minor, f"{CEFL.name(m)}, said"].sum()) for m in FOUR}
    sums = "add up to" if set(said.values()) == {total} else f"add up to {listed(map(str, said.values()))}, not to"
    accuracy = [f"{CEFL.name(method)} {right[method] / total:.2%}" for method in FOUR]
    return (
        f"With {TEST_IMAGES} test images a class each recall fixes how many are right, and each precision how many "
        f"were predicted. The predictions of all four losses {sums} {total:,}, the size of the test set, so the "
        f"diagonals and column sums of the document's matrices are known. Accuracies that follow: {listed(accuracy)}. "
        f"Of {total:,} predictions the four minor classes, {minor.mean():.0%} of the images, get "
        f"{listed([f'{rare[m] / total:.0%} ({CEFL.name(m)})' for m in FOUR])}."
    )


def minor_gains(frame: pd.DataFrame) -> str:
    """F1 of the minor and of the other classes: each own method minus cross-entropy, printed and ours."""
    rows = frame[(frame["metric"] == "f1") & (frame["split"] != "all")]
    text = []
    for side, column in (("printed", "published"), ("ours", "reproduced")):
        values = rows[rows[column].notna()].pivot_table(index="split", columns="method", values=column, sort=False)
        if "ce" not in values:
            continue
        minor = values.index.isin(MINOR)
        parts = []
        for method in CEFL.document.proposed:
            if method in values:
                gain = 100 * (values[method] - values["ce"])
                rare, other = float(gain[minor].mean()), float(gain[~minor].mean())
                parts.append(f"{CEFL.name(method)} {rare:+.1f} on minor and {other:+.1f} on other classes")
        text.append(f"{side}: {'; '.join(parts)}")
    return f"F1 against cross-entropy, mean over classes, in points. {'. '.join(t[:1].upper() + t[1:] for t in text)}."
