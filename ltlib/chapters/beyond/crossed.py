"""How far a number moves with the training seed, with the choice of images and with the epoch that is reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ltlib import grids
from ltlib.labels import label, network_label, set_label
from ltlib.sections.words import many, printable
from ltlib.statistics import runs_needed, variance_components

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

POINT = 0.01
Number = Callable[["Run"], float]
Tables = Mapping[str, np.ndarray]
"""What a training is called, to one number a run: float [seeds, choices of images]."""


def accuracy(run: Run) -> float:
    """At the last epoch."""
    return float(run.metrics["last"]["accuracy"])


def tail(run: Run) -> float:
    """Of the rarest classes at the last epoch."""
    return float(run.metrics["last"]["groups"]["tail"]["accuracy"])


def ece(run: Run) -> float:
    """At the last epoch."""
    return float(run.metrics["last"]["ece"])


QUANTITIES: Mapping[str, Number] = {"accuracy": accuracy, "tail accuracy": tail, "ECE": ece}


def show(page: Page, runs: Sequence[Run]) -> None:
    """Components of each training and quantity, of the differences of two methods, and the runs that a point needs."""
    from ltlib import plots

    whole = {name: values for name, values in tables(runs, accuracy).items() if min(values.shape) > 1}
    if not whole:
        command = grids.command("beyond", "crossed", page.profile)
        page.say(f"No training has two seeds on two choices of images yet; {command}.")
        return
    used = [run for run in runs if name_of(run) in whole]
    page.figure("Crossed runs", plots.crossed.crossed(whole), caption="Accuracy at the last epoch.", runs=used)
    page.say(sentence(whole))
    page.frame("Components", components_frame(runs, whole), "standard deviations in points; chance: F test", used)
    if differences := paired(whole):
        page.say(differences_sentence(differences))
    page.frame("Runs for one point", needed_frame(whole, differences), "95% interval within a point either side", used)


def name_of(run: Run) -> str:
    """A training: its method, its network, and its set."""
    exp = run.experiment
    where = f"{set_label(exp.dataset, exp.imbalance_factor)} at {exp.imbalance_factor:g}"
    return f"{label(exp.method)}, {network_label(exp.model).partition(' from ')[0]}, {where}"


def tables(runs: Sequence[Run], number: Number) -> dict[str, np.ndarray]:
    """For each training the table of its runs, over the seeds that were trained on every choice of images there is."""
    cells: dict[str, dict[tuple[int, int], float]] = {}
    for run in runs:
        cells.setdefault(name_of(run), {})[run.experiment.seed, run.experiment.subset_seed] = number(run)
    found = {}
    for name, own in cells.items():
        choices = sorted({choice for _, choice in own})
        seeds = [seed for seed in sorted({seed for seed, _ in own}) if all((seed, choice) in own for choice in choices)]
        if seeds:
            found[name] = np.array([[own[seed, choice] for choice in choices] for seed in seeds])
    return found


def components_frame(runs: Sequence[Run], names: Mapping[str, object]) -> pd.DataFrame:
    """One row a training and quantity: mean and components in points, each with what chance says of it."""
    import pandas as pd

    rows = []
    for quantity, number in QUANTITIES.items():
        for name, values in tables(runs, number).items():
            if name not in names:
                continue
            found = variance_components(values)
            rows.append(
                {
                    "quantity": quantity,
                    "training": name,
                    "runs": f"{values.shape[0]} seeds x {values.shape[1]}",
                    "mean (%)": 100 * found.mean,
                    "seed": 100 * found.rows,
                    "chance (seed)": found.row_chance,
                    "images": 100 * found.columns,
                    "chance (images)": found.column_chance,
                    "rest": 100 * found.rest,
                    "all together": 100 * found.total,
                }
            )
    digits = {"chance (seed)": 3, "chance (images)": 3, "seed": 2, "images": 2, "rest": 2, "all together": 2}
    return printable(pd.DataFrame(rows), digits)


def sentence(found: Tables) -> str:
    """Which of seed and images moves the accuracy more, training by training, where that can be told."""
    parts = []
    for name, values in found.items():
        own = variance_components(values)
        seeds = f"seeds {100 * own.rows:.2f}{_told(own.row_chance)}"
        images = f"images {100 * own.columns:.2f}{_told(own.column_chance)}"
        parts.append(f"{name}: {seeds}, {images}, the rest {100 * own.rest:.2f}")
    return f"Standard deviations of the accuracy in points, by what they come from. {'; '.join(parts)}."


def _told(chance: float) -> str:
    return "" if chance < 0.05 else " (not told from 0)"


def paired(found: Tables) -> dict[tuple[str, str], np.ndarray]:
    """Differences of two methods that were trained alike, run by run: the first minus the second."""
    pairs = {}
    for (first, one), (second, other) in combinations(found.items(), 2):
        if first.partition(", ")[2] == second.partition(", ")[2] and one.shape == other.shape:
            pairs[first, second] = one - other
    return pairs


def differences_sentence(found: Mapping[tuple[str, str], np.ndarray]) -> str:
    """How far the difference of two methods moves with what both were trained on."""
    parts = []
    for (first, second), values in found.items():
        own = variance_components(values)
        low, high = 100 * values.min(), 100 * values.max()
        parts.append(
            f"{first} minus {second.partition(', ')[0]} is {100 * own.mean:+.1f} points, {low:+.1f} to {high:+.1f} in "
            f"{many(values.size, 'pair')}; images move it by {100 * own.columns:.2f}{_told(own.column_chance)}"
        )
    return f"Run beside run, with the same seed and images: {'; '.join(parts)}."


def needed_frame(found: Tables, differences: Mapping[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """Runs a side until a difference of one point is told from 0, by what the runs of the two sides share."""
    import pandas as pd

    rows = []
    for name, values in found.items():
        own = variance_components(values)
        same = math.hypot(own.rows, own.rest)
        pairs = [table for both, table in differences.items() if name in both]
        apart = variance_components(pairs[0]).total if pairs else math.nan
        rows.append(
            {
                "training": name,
                "spread of all runs": 100 * float(values.std(ddof=1)),
                "images and seed drawn anew": runs_needed(own.total, POINT),
                "the same images in all runs": runs_needed(same, POINT),
                "pairs with the same images and seed": f"{runs_needed(apart, POINT, paired=True)}" if pairs else "–",
            }
        )
    return printable(pd.DataFrame(rows), {"spread of all runs": 2})


def epochs_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """What the best epoch on the test set adds to the last one, by training, over all its runs."""
    import pandas as pd

    gains: dict[str, list[tuple[float, int]]] = {}
    for run in runs:
        shown = run.history[run.history["stage"] == run.history["stage"].max()]["test_accuracy"].dropna()
        if len(shown) > 1:
            gains.setdefault(name_of(run), []).append((float(shown.max() - shown.iloc[-1]), len(shown)))
    rows = [
        {
            "training": name,
            "runs": len(own),
            "epochs looked at": round(float(np.mean([looks for _, looks in own]))),
            "best minus last (points)": 100 * float(np.mean([gain for gain, _ in own])),
            "most (points)": 100 * max(gain for gain, _ in own),
        }
        for name, own in sorted(gains.items())
    ]
    return printable(pd.DataFrame(rows), {"best minus last (points)": 2, "most (points)": 2})


def show_epochs(page: Page, runs: Sequence[Run]) -> None:
    """The table of `epochs_frame` and its sentence, over runs of any grid."""
    frame = epochs_frame(runs)
    if frame.empty:
        page.say("No run here was looked at more than once.")
        return
    gains = [float(value) for value in frame["best minus last (points)"]]
    at = max(range(len(gains)), key=lambda i: gains[i])
    page.say(
        f"Reporting the best epoch on the test set instead of the last adds {min(gains):.1f} to {max(gains):.1f} "
        f"points on average, most for {frame['training'][at]}; it never takes any away."
    )
    page.frame("Best epoch", frame, "the highest test accuracy of a run minus that of its last epoch", runs)
