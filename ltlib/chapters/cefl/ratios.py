"""Imbalanced CIFAR: its counts (Figure 6) and the averages over the ratios (Figure 9)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ltlib import published
from ltlib.chapters.cefl import CEFL
from ltlib.grids.cefl import FACTORS, FOUR
from ltlib.labels import label
from ltlib.sections import class_counts
from ltlib.sections.words import listed

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

SETS = ("cifar10", "cifar100")


def ascending(dataset: str, factor: float) -> list[int]:
    """Images per class by Eqs. 18 and 19, class 0 the smallest."""
    return class_counts.counts(dataset, factor)[::-1]


def show_counts(page: Page) -> None:
    """Figure 6, and whether the formula gives the counts that the document works out for a ratio of 10."""
    from ltlib.plots import count_panels

    panels = {label(name): {f"{factor:g}": ascending(name, factor) for factor in FACTORS} for name in SETS}
    caption = "Images per class by Eqs. 18 and 19, rounded down; class 0 is the rarest."
    page.figure("6", count_panels.curves(panels, legend_title="Ratio"), caption=caption, runs=[])
    page.say(example())


def example() -> str:
    """The document's worked example for ratio 10 beside the formula's counts."""
    rows = published.datasets("cefl")
    told = rows[(rows["quantity"] == "images per class") & (rows["imbalance"] == "10")]
    printed, ours = [int(value) for value in told["value"]], ascending("cifar10", 10)
    same = "are" if printed == ours else f"differ from ours, {ours}: those are"
    return (
        f"The document works one example out, CIFAR-10 at ratio 10: {listed(map(str, printed))}. The counts above "
        f"{same} exactly these, {sum(ours):,} images."
    )


def show_averages(page: Page, frames: Iterable[pd.DataFrame], runs: Sequence[Run]) -> None:
    """Figure 9: the mean over the ratios above 1, printed and ours, of four losses on both sets."""
    import pandas as pd

    from ltlib.plots import bars

    rows = pd.concat(list(frames))
    rows = rows[rows["imbalance"].isna() & rows["method"].isin(FOUR)]
    chart = bars.result_bars(rows, group="dataset", series="method", names=CEFL.document.names)
    own = {run_id for ids in rows["run_ids"] for run_id in ids}
    caption = (
        "Mean accuracy over the ratios 10 to 500 (last columns of Tables 2 and 3). Which alpha and gamma the "
        "document's bars have it does not say; here the focal loss has alpha 1, and all three gamma 2."
    )
    page.figure("9", chart, caption=caption, runs=[run for run in runs if run.id in own])
