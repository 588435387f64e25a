"""Imbalanced CIFAR: its counts (Figure 6), averages over the ratios (Figure 9), the lead of CEFL by ratio."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ltlib import published
from ltlib.chapters.cefl import CEFL
from ltlib.grids.cefl import FACTORS, FOUR
from ltlib.labels import label
from ltlib.sections import class_counts
from ltlib.sections.words import listed, many
from ltlib.sections.world import Key, Numbers, gathered
from ltlib.statistics import FEWEST_RUNS
from ltlib.tables.scores import CLOSE

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


# --- the lead by ratio -----------------------------------------------------------------------------------------------


def by_factor(runs: Iterable[Run], group: str = "") -> Numbers:
    """Last-epoch accuracy by imbalance factor and method, of all images or of a class group."""
    found = []
    for run in runs:
        scores = run.metrics["last"]
        value = scores["groups"][group]["accuracy"] if group else scores["accuracy"]
        found.append(((run.experiment.imbalance_factor, CEFL.row(run)), float(value)))
    return gathered(found, CLOSE["accuracy"])


def lead(runs: Sequence[Run], own: Sequence[str], rivals: Sequence[str]) -> pd.DataFrame:
    """Accuracy of some methods minus that of others by imbalance factor, in points, with what the runs allow to say.

    From three runs a side on, ``low`` and ``high`` are the 95% interval of the difference (`world.Numbers.range`).
    """
    import pandas as pd

    everywhere, tail = by_factor(runs), by_factor(runs, "tail")
    rows = []
    for factor in sorted({key[0] for key in everywhere.values}):
        for first in own:
            for second in rivals:
                pair: dict[Key, float] = {(factor, first): 1, (factor, second): -1}
                if not all(key in everywhere for key in pair):
                    continue
                n = everywhere.runs(*pair)
                low, high = everywhere.range(pair) if n >= FEWEST_RUNS else (float("nan"),) * 2
                gain = everywhere[factor, first] - everywhere[factor, second]
                rows.append(
                    {
                        "imbalance factor": f"{factor:g}",
                        "method": CEFL.name(first),
                        "minus": CEFL.name(second),
                        "runs": n,
                        "accuracy (points)": round(100 * gain, 2),
                        "low": round(100 * low, 2),
                        "high": round(100 * high, 2),
                        "tail (points)": round(100 * (tail[factor, first] - tail[factor, second]), 2),
                    }
                )
    return pd.DataFrame(rows)


def lead_sentence(frame: pd.DataFrame) -> str:
    """At which factors the differences of `lead` are told from 0, and how they stand in the tail."""
    if frame.empty:
        return "Two of the losses at one ratio are needed to say anything about a lead."
    text = []
    for factor, rows in frame.groupby("imbalance factor", sort=False):
        n, said = int(rows["runs"].min()), []
        for method, own in rows.groupby("method", sort=False):
            parts = [f"{r['accuracy (points)']:+.1f} on {r['minus']}" for r in own.to_dict("records")]
            said.append(f"{method} {listed(parts)}")
        if n >= FEWEST_RUNS:
            sure = int(((rows["low"] > 0) | (rows["high"] < 0)).sum())
            told = f"the 95% interval leaves out 0 for {sure} of {len(rows)}"
        else:
            told = f"with {many(n, 'run')} a side differences below {100 * CLOSE['accuracy']:g} point are chance"
        text.append(f"At {factor}, in points: {'; '.join(said)} ({told}).")
    gains = frame["tail (points)"]
    text.append(f"In the rarest third of the classes they run from {gains.min():+.1f} to {gains.max():+.1f}.")
    return " ".join(text)
