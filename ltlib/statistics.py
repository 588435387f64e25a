"""How sure a number is: intervals over runs and over test images, and paired comparisons of two methods.

An interval over runs says how the result moves with the seed; one over images says how it would move with another test
set of the same size. They answer different questions and neither contains the other. With fewer than three pairs no
test is made: a sign-flip or Wilcoxon test cannot go below p = 0.25 with three and 0.0625 with five.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ltlib.errors import SettingError

_EXACT_PAIRS = 14
FEWEST_PAIRS = 3


class Interval(NamedTuple):
    """A mean with its interval. ``low``, ``high`` and ``std`` are NaN where one value cannot give them.

    Attributes:
        mean: Mean of the values.
        low: Lower end.
        high: Upper end.
        n: Number of values.
        std: Sample standard deviation (divisor n - 1).
    """

    mean: float
    low: float
    high: float
    n: int
    std: float

    @property
    def half_width(self) -> float:
        """Half the length of the interval; NaN where there is none."""
        return (self.high - self.low) / 2


class Paired(NamedTuple):
    """Two methods on the same seeds and subsets.

    Attributes:
        difference: Mean of first minus second, with its t-interval.
        p: Two-sided p of the sign-flip test; NaN with fewer than three pairs.
        smallest_p: The smallest p that so few pairs can give.
        wins: Pairs in which the first is larger.
        text: The finding as a sentence.
    """

    difference: Interval
    p: float
    smallest_p: float
    wins: int
    text: str


def t_interval(values: npt.ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's t-interval of the mean of independent runs: mean ± t(n-1) · s / √n. With one value: no interval.

    Raises:
        SettingError: No value, a NaN, or a confidence outside (0, 1).
    """
    sample, confidence = _values(values, "values"), _level(confidence)
    n = len(sample)
    mean = float(sample.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1, math.nan)
    from scipy.special import stdtrit

    std = float(sample.std(ddof=1))
    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * std / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n, std)


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval for an accuracy of `correct` among `total` images (Wilson, 1927).

    ``std`` is that of a single image, √(p (1 - p)).
    """
    if not 0 <= correct <= total or total < 1:
        raise SettingError(f"an accuracy needs 0 <= correct <= total and total >= 1, not {correct} of {total}")
    from scipy.special import ndtri

    z, p = float(ndtri(0.5 + _level(confidence) / 2)), correct / total
    centre = (p + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    # At the ends the formula's own end is exactly p; rounding must not move it past.
    return Interval(p, min(low, p), max(high, p), int(total), math.sqrt(p * (1 - p)))


def bootstrap_interval(
    metric: Callable[..., float],
    *per_image: npt.ArrayLike,
    strata: npt.ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap over test images of any metric (Efron, 1979).

    Args:
        metric: Called with the resampled arrays, returns a number.
        *per_image: Arrays with one entry or row per image, resampled together.
        strata: Per image its class; then every class keeps its number of images, as in a balanced test set.
        confidence: Coverage aimed at.
        resamples: Number of resamplings.
        seed: Seed of the resampling's own generator.

    Returns:
        The metric on the images as they are, the percentile interval, the number of images, and the standard deviation
        over resamplings.
    """
    arrays = [np.asarray(array) for array in per_image]
    if not arrays or len({len(array) for array in arrays}) != 1 or len(arrays[0]) == 0:
        raise SettingError(f"need arrays of one common length, not {[len(array) for array in arrays]}")
    if resamples < 2:
        raise SettingError(f"a bootstrap needs at least 2 resamplings, not {resamples}")
    confidence, images = _level(confidence), len(arrays[0])
    labels = np.zeros(images, dtype=np.int64) if strata is None else np.asarray(strata)
    if len(labels) != images:
        raise SettingError(f"{len(labels)} strata for {images} images")
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    generator = np.random.default_rng(seed)
    found = np.empty(resamples)
    for i in range(resamples):
        index = np.concatenate([own[generator.integers(len(own), size=len(own))] for own in members])
        found[i] = metric(*(array[index] for array in arrays))
    low, high = np.quantile(found, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(metric(*arrays)), float(low), float(high), images, float(found.std(ddof=1)))


def paired(first: npt.ArrayLike, second: npt.ArrayLike, confidence: float = 0.95, seed: int = 0) -> Paired:
    """Compare two methods run by run, pairs sharing subset and seed.

    The p-value is that of the sign-flip (Fisher randomisation) test of the mean difference: the share of the 2^n sign
    patterns whose absolute mean is at least the observed one; up to 14 pairs all patterns, beyond that 20,000 drawn
    ones (plus the observed).
    """
    one, two = _values(first, "first"), _values(second, "second")
    if len(one) != len(two):
        raise SettingError(f"pairs need equal numbers of runs, not {len(one)} and {len(two)}")
    gaps, n = one - two, len(one)
    interval, wins = t_interval(gaps, confidence), int((gaps > 0).sum())
    if n < FEWEST_PAIRS:
        text = f"difference {interval.mean:+.4f} over {n} pair{'s' * (n > 1)}: too few for a test"
        return Paired(interval, math.nan, math.nan, wins, text)
    if n <= _EXACT_PAIRS:
        signs, observed, smallest = np.array(list(itertools.product((1.0, -1.0), repeat=n))), 0, 2.0 / 2**n
    else:
        signs, observed = np.random.default_rng(seed).choice((1.0, -1.0), size=(20_000, n)), 1
        smallest = 1.0 / 20_001
    extreme = int((np.abs(signs @ gaps) >= abs(gaps.sum()) * (1 - 1e-12) - 1e-15).sum())
    p = (extreme + observed) / (len(signs) + observed)
    text = f"difference {interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}] over {n} pairs, p = {p:.3g}"
    if smallest > 1 - confidence:
        text += f" ({n} pairs cannot give less than {smallest:.3g})"
    return Paired(interval, p, smallest, wins, text)


def mcnemar(first_correct: npt.ArrayLike, second_correct: npt.ArrayLike) -> float:
    """Exact two-sided p that two classifiers are right equally often on the same images (McNemar, 1947).

    Only images that exactly one of them gets right count; 1.0 where there is none.
    """
    one, two = np.asarray(first_correct, dtype=bool), np.asarray(second_correct, dtype=bool)
    if one.shape != two.shape or one.ndim != 1 or one.size == 0:
        raise SettingError(f"need right or wrong for the same images, not shapes {one.shape} and {two.shape}")
    only_one, only_two = int((one & ~two).sum()), int((two & ~one).sum())
    if only_one + only_two == 0:
        return 1.0
    from scipy.special import bdtr

    smaller = float(bdtr(min(only_one, only_two), only_one + only_two, 0.5))
    return min(1.0, 2 * smaller)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several comparisons, adjusted by Holm's step-down rule (1979); the order is kept."""
    order = np.argsort(np.asarray(p_values, dtype=np.float64), kind="stable")
    adjusted, running = [0.0] * len(order), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * float(p_values[i])))
        adjusted[i] = running
    return adjusted


def summary(values: npt.ArrayLike, scale: float = 1.0, digits: int = 1) -> str:
    """Mean, standard deviation and number together: ``72.1 ± 0.3 (3)``; one value: ``72.1 (1)``."""
    interval = t_interval(values)
    spread = "" if interval.n == 1 else f" ± {interval.std * scale:.{digits}f}"
    return f"{interval.mean * scale:.{digits}f}{spread} ({interval.n})"


def _values(values: npt.ArrayLike, what: str) -> np.ndarray:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise SettingError(f"{what} must be a non-empty list of numbers, not an array of shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise SettingError(f"{what} hold NaN or infinity at position {int(np.flatnonzero(~np.isfinite(sample))[0])}")
    return sample


def _level(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise SettingError(f"a confidence lies between 0 and 1, not {confidence}")
    return float(confidence)
