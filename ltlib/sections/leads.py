"""By how much some methods are ahead of others, at each imbalance factor: differences of means with their intervals."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltlib.sections.words import listed, many
from ltlib.sections.world import Key, Numbers, gathered
from ltlib.statistics import FEWEST_RUNS
from ltlib.tables.scores import CLOSE

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run
    from ltlib.sections.study import Study


def show(page: Page, study: Study, runs: Sequence[Run], own: Sequence[str], rivals: Sequence[str]) -> None:
    """What the differences say, and their table.

    Args:
        page: The page.
        study: The document.
        runs: Runs at one or several imbalance factors, of one set and network.
        own: The methods whose lead is asked for.
        rivals: What they are held against.
    """
    frame = leads(study, runs, own, rivals)
    page.say(sentence(frame))
    if not frame.empty:
        page.frame("Leads", frame, "accuracy of the last epoch, in points; low and high: 95% interval", runs)


def by_factor(study: Study, runs: Iterable[Run], group: str = "") -> Numbers:
    """Last-epoch accuracy by imbalance factor and method, of all images or of a class group."""
    found = []
    for run in runs:
        scores = run.metrics["last"]
        value = scores["groups"][group]["accuracy"] if group else scores["accuracy"]
        found.append(((run.experiment.imbalance_factor, study.row(run)), float(value)))
    return gathered(found, CLOSE["accuracy"])


def leads(study: Study, runs: Sequence[Run], own: Sequence[str], rivals: Sequence[str]) -> pd.DataFrame:
    """Accuracy of some methods minus that of others by imbalance factor, in points, with what the runs allow to say.

    From three runs a side on, ``low`` and ``high`` are the 95% interval of the difference (`world.Numbers.range`).
    """
    import pandas as pd

    everywhere, tail = by_factor(study, runs), by_factor(study, runs, "tail")
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
                        "method": study.name(first),
                        "minus": study.name(second),
                        "runs": n,
                        "accuracy (points)": round(100 * gain, 2),
                        "low": round(100 * low, 2),
                        "high": round(100 * high, 2),
                        "tail (points)": round(100 * (tail[factor, first] - tail[factor, second]), 2),
                    }
                )
    return pd.DataFrame(rows)


def sentence(frame: pd.DataFrame) -> str:
    """At which factors the differences of `leads` are told from 0, and how they stand in the tail."""
    if frame.empty:
        return "Two of the losses at one ratio are needed to say anything about a lead."
    text = []
    for factor, rows in frame.groupby("imbalance factor", sort=False):
        said = [
            f"{method} {listed(map(_lead, own.to_dict('records')))}"
            for method, own in rows.groupby("method", sort=False)
        ]
        text.append(f"At {factor}, in points: {'; '.join(said)}.")
    whole = frame[frame["runs"] >= FEWEST_RUNS]
    if len(whole):
        sure = int(((whole["low"] > 0) | (whole["high"] < 0)).sum())
        text.append(f"In brackets the 95% interval, which leaves out 0 for {sure} of {len(whole)}.")
    if len(whole) < len(frame):
        n = int(frame["runs"].min())
        text.append(f"With {many(n, 'run')} a side differences below {100 * CLOSE['accuracy']:g} point are chance.")
    tails = frame.groupby("minus", sort=False)["tail (points)"]
    parts = [f"{_span(gains.min(), gains.max())} on {rival}" for rival, gains in tails]
    text.append(f"In the rarest third of the classes: {listed(parts)}.")
    return " ".join(text)


def _span(low: float, high: float) -> str:
    return f"{low:+.1f}" if low == high else f"{low:+.1f} to {high:+.1f}"


def _lead(row: Mapping[Hashable, Any]) -> str:
    """A difference of `leads`, with its interval where there is one."""
    interval = f" ({_span(row['low'], row['high'])})" if row["runs"] >= FEWEST_RUNS else ""
    return f"{row['accuracy (points)']:+.1f}{interval} on {row['minus']}"
