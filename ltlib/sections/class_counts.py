"""Training images per class of a named set at any imbalance factor, and what groups of classes make of them.

All of it comes from the formula and needs no data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltlib import datasets
from ltlib.labels import label

if TYPE_CHECKING:
    import pandas as pd


def full_size(dataset: str) -> tuple[int, int]:
    """Images of a class and number of classes of a balanced named set."""
    info = datasets.info(dataset)
    return info.train_images // info.num_classes, info.num_classes


def counts(dataset: str, factor: float, imbalance_type: str = "exponential") -> list[int]:
    """Long-tailed counts of a balanced named set, class 0 the largest."""
    return datasets.long_tailed_counts(*full_size(dataset), factor, imbalance_type)


def table(sets: Sequence[str], factors: Sequence[float]) -> pd.DataFrame:
    """Size of sets by imbalance factor, and the factor that came out after rounding down."""
    import pandas as pd

    rows = []
    for name in sets:
        for factor in factors:
            n = counts(name, factor)
            rows.append([label(name), factor, f"{sum(n):,}", n[0], n[-1], f"{n[0] / n[-1]:.4g}"])
    return pd.DataFrame(rows, columns=["set", "IF asked for", "images", "largest", "smallest", "IF that came out"])


def uneven(sets: Sequence[str], factors: Sequence[float]) -> str:
    """Where the factor that came out is not the one asked for."""
    found = [(name, f, n[0] / n[-1]) for name in sets for f in factors if (n := counts(name, f))[0] / n[-1] != f]
    parts = [f"{label(name)} asked for IF {asked} has IF {got:g}" for name, asked, got in found]
    return f"Rounding moves the factor itself: {'; '.join(parts)}." if parts else "Here no factor moves by rounding."


def group_sizes(dataset: str, factors: Sequence[float], rules: Mapping[str, str]) -> pd.DataFrame:
    """Classes in head, middle and tail by imbalance factor and rule; an empty group is marked.

    Args:
        dataset: A balanced named set.
        factors: Imbalance factors.
        rules: Name of a rule to its text (`ltlib.datasets.groups`).
    """
    import pandas as pd

    rows = []
    for factor in factors:
        parts = [datasets.groups(counts(dataset, factor), rule) for rule in rules.values()]
        rows.append([factor, *(" / ".join(str(len(g)) if g else "empty" for g in part.values()) for part in parts)])
    return pd.DataFrame(rows, columns=["IF", *(f"{name}: head / middle / tail" for name in rules)])


def group_shares(dataset: str, factors: Sequence[float], rules: Mapping[str, str]) -> pd.DataFrame:
    """Images of each group by imbalance factor and rule, as shares of the training set; arguments as `group_sizes`."""
    import pandas as pd

    rows = []
    for factor in factors:
        n = np.array(counts(dataset, factor))
        for name, rule in rules.items():
            parts = datasets.groups(n.tolist(), rule)
            shares = [f"{n[list(members)].sum() / n.sum():.1%}" for members in parts.values()]
            rows.append([f"{factor}", f"{n.sum():,}", f"{n.max()} to {n.min()}", name, *shares])
    return pd.DataFrame(rows, columns=["IF", "images", "a class", "classes of the groups", "head", "middle", "tail"])
