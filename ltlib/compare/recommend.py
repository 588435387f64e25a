"""What repeated comparisons allow to say: which method is ahead, by how much, and whether that can be told at all.

The same split is scored with every method, so methods are compared split by split. Test sets of several splits share
images and training sets overlap, which makes the plain t-interval of the differences far too short; the corrected
resampled interval of Nadeau and Bengio (2003, Machine Learning 52) is used: variance ``s^2 (1/r + n_test / n_train)``
for r splits. Every method is held against plain training and the best against all others, so the level of each interval
is raised (Bonferroni) until all of them hold together 95% of the time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ltlib.errors import SettingError

LEVEL = 0.95


class Difference(NamedTuple):
    """Mean difference of two methods with its interval; fractions."""

    mean: float
    low: float
    high: float

    @property
    def told(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Recommendation:
    """What to use.

    Attributes:
        verdict: ``better``: the method is ahead of plain training by more than chance. ``no difference``: none is, so
            plain training is recommended. ``nothing works``: not even the best is above an answer without looking.
        method: The recommended one.
        best: The one with the highest mean.
        gains: Each other method against plain training.
        behind: Each other method against the best: how far it lies behind.
        splits: How many comparisons it rests on.
    """

    verdict: Literal["better", "no difference", "nothing works"]
    method: str
    best: str
    gains: Mapping[str, Difference]
    behind: Mapping[str, Difference]
    splits: int

    @property
    def as_good(self) -> list[str]:
        """Methods that cannot be told apart from the best, itself left out."""
        return [name for name, gap in self.behind.items() if not gap.told]


def recommend(scores: Mapping[str, Sequence[float]], base: str, chance: float, test_share: float) -> Recommendation:
    """Choose a method from its scores on several splits.

    Where the best is told apart from plain training, the simplest method is chosen that is not told apart from the
    best; so the order of `scores` matters: simple methods first.

    Args:
        scores: Fraction by method and split, each with the same splits in the same order; simplest method first.
        base: Plain training.
        chance: The score of an answer that looks at no image.
        test_share: Test images over training images of a split.

    Raises:
        SettingError: Fewer than two splits, methods with different numbers of them, no plain training, a score that is
            not finite.
    """
    counts = {name: len(values) for name, values in scores.items()}
    if base not in scores:
        raise SettingError(f"a comparison needs {base}, which was not run")
    splits = counts[base]
    if splits < 2 or set(counts.values()) != {splits}:
        raise SettingError(f"every method needs the same splits, at least two; there are {counts}")
    table = {name: np.asarray(values, dtype=np.float64) for name, values in scores.items()}
    if not all(np.isfinite(values).all() for values in table.values()):
        raise SettingError("a score is not finite; leave that method out")
    best = max(table, key=lambda name: float(table[name].mean()))
    others = max(1, 2 * (len(table) - 1))  # each against plain training, and the best against each
    gains = {name: difference(own - table[base], test_share, others) for name, own in table.items() if name != base}
    behind = {name: difference(table[best] - own, test_share, others) for name, own in table.items() if name != best}
    works = difference(table[best] - chance, test_share, 1)
    if works.low <= 0:
        return Recommendation("nothing works", base, best, gains, behind, splits)
    if best == base or not gains[best].told:
        return Recommendation("no difference", base, best, gains, behind, splits)
    near = [name for name in table if name == best or not behind[name].told]
    chosen = next(name for name in near if name != base and (name == best or gains[name].told))
    return Recommendation("better", chosen, best, gains, behind, splits)


def difference(values: np.ndarray, test_share: float, comparisons: int = 1) -> Difference:
    """The corrected resampled t-interval of a mean over splits.

    Args:
        values: One a split, [r].
        test_share: Test images over training images.
        comparisons: How many intervals hold together at `LEVEL`.
    """
    from scipy import stats

    r, mean = len(values), float(values.mean())
    error = math.sqrt(float(values.var(ddof=1)) * (1 / r + test_share))
    half = float(stats.t.ppf(1 - (1 - LEVEL) / 2 / comparisons, r - 1)) * error
    return Difference(mean, mean - half, mean + half)


def text(found: Recommendation, names: Mapping[str, str], metric: str, scores: Mapping[str, Sequence[float]]) -> str:
    """The recommendation in words, with its evidence and its uncertainty."""

    def said(name: str) -> str:
        return names.get(name, name)

    level = {name: float(np.mean(values)) for name, values in scores.items()}
    base = next(name for name in scores if name not in found.gains)
    over = f"over {found.splits} splits"
    if found.verdict == "nothing works":
        return (
            f"Nothing works here: the best, {said(found.best)}, has {level[found.best]:.1%} {metric} {over}, which "
            "cannot be told from an answer that does not look at the images. Look at the labels before any method."
        )
    if found.verdict == "no difference":
        if found.best == base:
            return f"Use {said(base)}: it has the highest {metric}, {level[base]:.1%} {over}; nothing tried is better."
        gap = found.gains[found.best]
        return (
            f"No difference can be told, so use {said(base)}, the simplest: {level[base]:.1%} {metric} {over}. The "
            f"highest, {said(found.best)}, is {100 * gap.mean:+.1f} points away, and its interval "
            f"[{100 * gap.low:+.1f}, {100 * gap.high:+.1f}] holds 0."
        )
    gain = found.gains[found.method]
    words = (
        f"Use {said(found.method)}: {level[found.method]:.1%} {metric} {over}, {100 * gain.mean:+.1f} points on "
        f"{said(base)} (95% interval of all comparisons together [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}])."
    )
    if found.method != found.best:
        words += (
            f" {said(found.best)} is highest, {level[found.best]:.1%}, and cannot be told from it; this is simpler."
        )
    also = [said(name) for name in found.as_good if name != found.method]
    return words + (f" As good, as far as can be told: {', '.join(also)}." if also else "")
