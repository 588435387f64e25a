"""Runs that differ in their seed alone: how far they lie apart, what one takes, how far it fits its training images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltlib.labels import label
from ltlib.runs import cost
from ltlib.tables.scores import digits, hardware, mean, percent

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run
    from ltlib.sections.study import Study


def spread(study: Study, found: Sequence[Run]) -> pd.DataFrame:
    """Accuracy of each network and method: mean, standard deviation, range and number of runs."""
    import pandas as pd

    rows = []
    for (model, method), own in study.by_network(found).items():
        values = [float(run.metrics["last"]["accuracy"]) for run in own]
        rows.append(
            {
                "network": label(model),
                "method": study.name(method),
                "runs": len(own),
                "accuracy (%)": percent(float(np.mean(values)), 2),
                "standard deviation": percent(float(np.std(values, ddof=1)), 2) if len(values) > 1 else float("nan"),
                "lowest": percent(min(values), 2),
                "highest": percent(max(values), 2),
            }
        )
    return pd.DataFrame(rows)


def fit(study: Study, found: Iterable[Run]) -> pd.DataFrame:
    """What a run takes and how far it overfits, by method: images an epoch, seconds, training and test accuracy."""
    import pandas as pd

    rows = []
    for method, own in study.by_method(found).items():
        test, apart = mean(own, "accuracy", which="last"), float(np.mean([gap(run) for run in own]))
        rows.append(
            {
                "method": study.name(method),
                "runs": len(own),
                "images an epoch": round(images_seen(own[0]) / len(own[0].history)),
                "fastest run (s)": digits(min(run.seconds for run in own)),
                "training (%)": percent(test + apart),
                "test (%)": percent(test),
                "gap (points)": percent(apart),
                "hardware": ", ".join(sorted(hardware(own))),
            }
        )
    return pd.DataFrame(rows)


def images_seen(run: Run) -> int:
    """Training images that passed through the network."""
    return cost.images_seen(run.experiment, run.class_counts, Counter(run.history["stage"].tolist()))


def gap(run: Run) -> float:
    """Training minus test accuracy after the last epoch."""
    return float(run.history.iloc[-1]["train_accuracy"]) - float(run.metrics["last"]["accuracy"])
