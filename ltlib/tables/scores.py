"""Numbers of runs: means over seeds, what single runs tell apart, runs by a setting, scores side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib.calibration import debiased_from_confidence
from ltlib.registry import parse
from ltlib.statistics import FEWEST_RUNS
from ltlib.tables import verdicts

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run

CLOSE = {metric: verdicts.TOLERANCES[metric] for metric in ("accuracy", "ece", "precision", "recall", "f1")}
"""Values nearer than this are not told apart with fewer than three runs: the tolerances of the verdicts."""
WORDS = {"accuracy": "accuracy", "ece": "ECE"}
LOWER_IS_BETTER = ("ece", "loss")


def mean(runs: Iterable[Run], metric: str, group: str = "", which: str = "selected") -> float:
    """A metric's mean over runs, of all test images or of a class group; NaN where no run has it.

    Args:
        runs: The runs.
        metric: As in a run's metrics.
        group: ``head``, ``middle`` or ``tail``; empty for all.
        which: ``selected`` epoch (the document's way) or ``last``.
    """
    values = []
    for run in runs:
        own = run.metrics[which]
        value = (own["groups"].get(group, {}) if group else own).get(metric)  # an empty group has no number
        if value is not None:
            values.append(float(value))
    return float(np.mean(values)) if values else math.nan


def seconds(found: Sequence[Run]) -> float:
    """Mean training time in seconds."""
    return float(np.mean([run.seconds for run in found]))


def hardware(found: Sequence[Run]) -> set[str]:
    """What the runs were trained on: seconds of different machines are not held against each other."""
    return {str(getattr(run, "provenance", {}).get("device", "unknown")) for run in found}


def stage_2_share(found: Sequence[Run]) -> float:
    """Share of the training time that the second stage takes, mean over runs; 0 for one stage."""
    shares = []
    for run in found:
        rows = run.history
        shares.append(float(rows.loc[rows["stage"] > rows["stage"].min(), "seconds"].sum()) / max(run.seconds, 1e-9))
    return float(np.mean(shares))


def percent(value: float, digits: int = 2) -> float:
    """A fraction as percent, rounded for a table."""
    return round(100 * value, digits)


def digits(value: float, significant: int = 3) -> float:
    """A size rounded to its first digits, for a table: 0.0753, 11.2, 557."""
    return float(f"{value:.{significant}g}")


def signed(number: float) -> str:
    """A number with its sign and one decimal; what rounds to 0 is +0.0."""
    return f"{round(number, 1) + 0.0:+.1f}"


def points(difference: float) -> str:
    """A difference of fractions as percentage points."""
    return f"{100 * difference:.1f} points"


def told_apart(first: float, second: float, n: int, metric: str = "accuracy") -> bool:
    """Whether two means of `n` runs each differ by more than single runs can by chance; from three runs on, always."""
    return n >= FEWEST_RUNS or abs(first - second) > CLOSE[metric]


def sign(metric: str) -> int:
    """-1 for a metric of which less is better, else 1."""
    return -1 if metric in LOWER_IS_BETTER else 1


def both(runs: Iterable[Run]) -> dict[str, float]:
    """Mean accuracy and ECE of runs, as fractions."""
    found = list(runs)
    return {metric: mean(found, metric) for metric in WORDS}


def without_chance(runs: Iterable[Run], which: str = "selected") -> tuple[float, float]:
    """What stands beside an ECE: the chance floor and the debiased ECE of runs, means, as fractions.

    Args:
        runs: The runs; `debiased_from_confidence` of the predictions of each.
        which: As in `mean`.
    """
    said = [run.predictions[which] for run in runs]
    found = [debiased_from_confidence(one.confidence, one.predicted == one.targets) for one in said]
    return float(np.mean([one.floor for one in found])), float(np.mean([one.debiased for one in found]))


def by_setting(runs: Iterable[Run], key: str, default: Any) -> dict[Any, list[Run]]:
    """Runs by a setting in the text of their method, in ascending order of seed."""
    found: dict[Any, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.experiment.subset_seed, run.experiment.seed)):
        found.setdefault(setting_of(run, key, default), []).append(run)
    return found


def setting_of(run: Run, key: str, default: Any) -> Any:
    """A setting in the text of a run's method."""
    return parse(run.experiment.method)[1].get(key, default)


def side_by_side(rows: Mapping[str, Sequence[Run]], name: Callable[[str], str]) -> pd.DataFrame:
    """Accuracy, ECE with and without chance, accuracy by class group of several sets of runs, in percent, a row each.

    Args:
        rows: What a row stands for, to its runs; one without runs is left out.
        name: What to call a row.
    """
    import pandas as pd

    found = []
    for key, own in rows.items():
        if not own:
            continue
        row: dict[str, Any] = {"method": name(key), "runs": len(own)}
        row |= {"accuracy (%)": percent(mean(own, "accuracy")), "ECE (%)": percent(mean(own, "ece"))}
        floor, debiased = without_chance(own)
        row |= {"ECE debiased (%)": percent(debiased), "chance alone (%)": percent(floor)}
        row |= {f"{group} (%)": percent(mean(own, "accuracy", group)) for group in own[0].groups}
        found.append(row)
    return pd.DataFrame(found)


def used(rows: Mapping[str, Iterable[Run]]) -> list[Run]:
    """All runs of several rows, for a table's stamp."""
    return [run for own in rows.values() for run in own]
