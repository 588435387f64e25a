"""Head, middle and tail of a comparison, and how recall falls with the size of a class, method by method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import datasets
from ltlib.compare import candidates
from ltlib.compare.candidates import Candidate
from ltlib.compare.recommend import Recommendation, difference
from ltlib.compare.results import Results

if TYPE_CHECKING:
    import pandas as pd

CURVES = 5
"""Methods whose recalls are drawn over the classes: more lines are not told apart."""
SMOOTH = 15
"""Classes above which a line is a running mean, over about this part of them."""


def groups(found: Results) -> dict[str, tuple[int, ...]]:
    """Thirds of the classes by their training images, summed over the splits; groups without a class left out."""
    counts = np.sum([run.class_counts for run in found.runs[candidates.BASE]], axis=0)
    return {name: own for name, own in datasets.groups(counts.tolist()).items() if own}


def recalls(found: Results, one: Candidate) -> np.ndarray:
    """Recall by split and class, float64 [splits, K]; NaN where a split tests no image of a class."""
    rows = []
    for split in range(found.splits):
        targets, said = found.targets(split), found.logits(one, split).argmax(1)
        seen = np.bincount(targets, minlength=len(found.class_names)).astype(float)
        right = np.bincount(targets[said == targets], minlength=len(found.class_names))
        rows.append(np.divide(right, seen, out=np.full(len(seen), np.nan), where=seen > 0))
    return np.array(rows)


def rows(found: Results) -> list[dict[str, Any]]:
    """A row a candidate: ``name``, ``all`` (mean recall of the classes), and of each group its mean recall and
    ``GROUP interval``, its corrected resampled 95% interval, for which see `recommend`."""
    share, said = found.test_share, []
    for one in found.tried:
        every = recalls(found, one)
        row: dict[str, Any] = {"name": one.label, "all": float(np.nanmean(every))}
        for name, members in groups(found).items():
            values = _means(every[:, list(members)])
            if len(values):
                row[name] = float(values.mean())
            if len(values) > 1:
                wide = difference(values, share)
                row[f"{name} interval"] = (max(wide.low, 0.0), min(wide.high, 1.0))
        said.append(row)
    return said


def _means(recall: np.ndarray) -> np.ndarray:
    """Mean over the classes that a split tests; splits that test none left out."""
    tested = recall[np.isfinite(recall).any(axis=1)]
    return np.nanmean(tested, axis=1)


def table(found: Results) -> pd.DataFrame:
    """`rows` in percent."""
    import pandas as pd

    names, lines = list(groups(found)), []
    for row in rows(found):
        line: dict[str, Any] = {"method": row["name"]}
        for name in names:
            low, high = row.get(f"{name} interval", (np.nan, np.nan))
            wide = "" if np.isnan(low) else f" [{100 * low:.1f}, {100 * high:.1f}]"
            line[f"{name} (%)"] = f"{100 * row[name]:.1f}{wide}" if name in row else "not tested"
        lines.append(line)
    return pd.DataFrame(lines)


def shown(found: Results, said: Recommendation) -> list[Candidate]:
    """Whose recalls are drawn over the classes: plain training, the recommended one, the best, then the others as they
    come; `CURVES` at most."""
    first = dict.fromkeys([candidates.BASE, said.method, said.best, *(one.name for one in found.tried)])
    wanted = list(first)[:CURVES]
    return [one for one in found.tried if one.name in wanted]


def lines(found: Results, tried: list[Candidate]) -> tuple[dict[str, list[float]], int]:
    """Recall of each class, mean over splits, the largest class first, by label; and over how many neighbours it is
    averaged, 1 where it is not."""
    counts = np.sum([run.class_counts for run in found.runs[candidates.BASE]], axis=0)
    order = np.argsort(-counts, kind="stable")
    width = 1 if len(order) <= SMOOTH else max(3, len(order) // SMOOTH)
    named = {}
    for one in tried:
        every = recalls(found, one)[:, order]
        tested = np.isfinite(every)
        mean = np.where(tested, every, 0).sum(axis=0) / np.maximum(tested.sum(axis=0), 1)
        there = tested.any(axis=0)
        named[one.label] = _running(np.where(there, mean, np.nan), width).tolist()
    return named, width


def _running(values: np.ndarray, width: int) -> np.ndarray:
    """Means over windows of `width` classes, shorter at both ends; classes that were never tested do not count."""
    reach = width // 2
    windows = [values[max(0, i - reach) : i + reach + 1] for i in range(len(values))]
    return np.array([np.nanmean(part) if np.isfinite(part).any() else np.nan for part in windows])
