"""Head, middle and tail: one classifier under several rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ltlib import datasets, metrics, published
from ltlib.labels import label
from ltlib.sections.class_counts import counts

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run


def group_scores(run: Run | None, rules: Mapping[str, str]) -> pd.DataFrame:
    """One classifier scored under each rule: the printed matrix of `convergent` Figure 19, and our run where it is."""
    import pandas as pd

    matrix = published.confusion("convergent", "19").to_numpy()
    actual, predicted = (np.repeat(axis, matrix.ravel()) for axis in np.indices(matrix.shape).reshape(2, -1))
    scored = [("printed: ResNet-34, focal (Figure 19)", counts("cifar10", 10), actual, predicted)]
    if run is not None:
        found, exp = run.predictions["last"], run.experiment
        name = f"ours: {label(exp.model)}, {label(exp.method)}, {label(exp.dataset)}"
        scored.append((name, run.class_counts, found.targets, found.predicted))
    rows = []
    for name, n, targets, guesses in scored:
        for short, rule in rules.items():
            groups = datasets.groups(n, rule)
            values = metrics.evaluate(targets, guesses, len(n), groups)["groups"]
            texts = [f"{100 * values[g]['accuracy']:.1f} ({len(m)})" if m else "empty" for g, m in groups.items()]
            rows.append([name, short, *texts])
    return pd.DataFrame(
        rows, columns=["classifier", "rule", "head % (classes)", "middle % (classes)", "tail % (classes)"]
    )


def score_sentence(run: Run | None, reason: str) -> str:
    """What the table of group scores says, and why our rows may be missing."""
    matrix = published.confusion("convergent", "19").to_numpy()
    recall = np.diag(matrix) / matrix.sum(axis=1)
    head, tail = recall[:3].mean(), recall[-3:].mean()
    text = (
        f"By rank, the tail of the printed matrix (horse, ship, truck) scores {100 * tail:.1f}% and its head "
        f"{100 * head:.1f}%: a group's accuracy measures how hard its classes are, not their counts alone. By "
        f"thresholds the same matrix has no tail at all: even the rarest class has {min(counts('cifar10', 10))} images."
    )
    return text if run is not None else f"{text} Our own network is not here: {reason}."
