"""How a number is read: the verdicts' rule, their tolerances, one cell taken apart, a loss and its setting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltlib import metrics, published
from ltlib.labels import label
from ltlib.plots import loss_curves
from ltlib.tables import verdicts

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run


def rule_table() -> pd.DataFrame:
    """When a cell gets which verdict."""
    import pandas as pd

    rules = {
        "reproduced": "our mean lies within the tolerance; from 3 runs on, its 95% interval also reaches no further "
        "than twice the tolerance to either side",
        "inconclusive": "from 3 runs on: none of the others, so more runs can decide",
        "above": "our mean lies above the tolerance, from 3 runs on its whole 95% interval (for losses and calibration "
        "errors: worse)",
        "below": "our mean lies below the tolerance, from 3 runs on its whole 95% interval",
        "not comparable": "a setting differs; the cell names it",
        "not run": "no run is here; the cell carries the command that makes one",
    }
    return pd.DataFrame([[verdicts.MARKS[name], rules[name]] for name in verdicts.NAMES], columns=["verdict", "when"])


def tolerance_table() -> pd.DataFrame:
    """How far our mean may lie from the printed number."""
    import pandas as pd

    def text(metric: str, value: float) -> str:
        if metric in ("accuracy", "ece"):
            return f"{100 * value:g} {'point' if value == 0.01 else 'points'}"
        return f"{value:.0%} of it" if metric == "loss" else f"{value:g}" if value else "none: exact"

    rows = [[label(name), text(name, value)] for name, value in verdicts.TOLERANCES.items()]
    return pd.DataFrame(rows, columns=["metric", "tolerance"])


def example(runs: Iterable[Run]) -> pd.DataFrame:
    """One printed cell read part by part: against its own confusion matrix, and against a run where one is here."""
    import pandas as pd

    matrix = published.confusion("convergent", "19").to_numpy()
    rows = published.table("convergent", "2")
    row = rows[(rows["method"] == "focal") & (rows["metric"] == "accuracy")].iloc[0]
    actual, predicted = (np.repeat(axis, matrix.ravel()) for axis in np.indices(matrix.shape).reshape(2, -1))
    ours = metrics.evaluate(actual, predicted, len(matrix))["accuracy"]
    found = verdicts.verdict(float(row["value"]), [ours], "accuracy")
    names = ["part", "Table 2, ResNet-34, focal", "what it says"]
    return pd.DataFrame(
        [
            ["published", row["printed"], "accuracy as convergent prints it"],
            ["ours", f"{ours:.4f}", "the same metric, here from the confusion matrix printed as Figure 19"],
            ["difference", f"{ours - float(row['value']):+.4f}", "ours minus published"],
            ["n", "1", "one network, so no interval is drawn and the verdict is marked n = 1"],
            ["verdict", found.mark, found.text],
            ["a run of ours", *_closest(list(runs))],
        ],
        columns=names,
    )


def _closest(runs: Sequence[Run]) -> tuple[str, str]:
    """What a finished run says of the example's table, the best record first."""
    from ltlib import tables

    for profile in ("paper", "laptop", "quick"):
        for table in ("2", "1"):
            frame = tables.compare(runs, "convergent", table, profile)
            cells = frame[(frame["n"] > 0) & (frame["metric"] == "accuracy")]
            if len(cells):
                cell = cells.iloc[0]
                text = f"{label(cell['method'])} of Table {table} in {profile}: {verdicts.MARKS[cell['verdict']]}"
                return f"{cell['reproduced']:.4f}", f"{text}. {cell['reason']}"
    return "not here", "none is finished on this machine, and none is committed"


def focal_curve(gammas: Sequence[float] = (0.0, 0.5, 1.0, 2.0)) -> pd.DataFrame:
    """What a setting of a loss changes: the focal loss of a class given probability p, by gamma."""
    import pandas as pd

    places = {"0.1": 0, "0.5": 4, "0.9": 8}
    curves = {gamma: loss_curves.curve(f"focal[gamma={gamma:g}]", points=9)["loss"] for gamma in gammas}
    rows = [[f"gamma {g:g}", *(f"{own[i]:.3f}" for i in places.values())] for g, own in curves.items()]
    return pd.DataFrame(rows, columns=["focal loss", *(f"at p = {p}" for p in places)])
