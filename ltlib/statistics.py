"""How sure a number is: intervals over runs and over test images; how alike two rankings are.

An interval over runs says how the result moves with the seed; one over images says how it would move with another test
set of the same size. They answer different questions and neither contains the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ltlib.errors import SettingError

FEWEST_RUNS = 3
"""Runs from which on an interval is believed: of a cell, or of each of two methods; fewer say too little of spread."""


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
    std = float(sample.std(ddof=1))
    half = t_half_width(std, n, confidence)
    return Interval(mean, mean - half, mean + half, n, std)


def t_half_width(std: float, runs: int, confidence: float = 0.95) -> float:
    """Half of Student's t-interval of a mean, ``t(n-1) · s / √n``, of which only the spread is known.

    Args:
        std: Sample standard deviation s of the runs.
        runs: Their number n, at least 2.
        confidence: Coverage.
    """
    return _t(runs - 1, confidence) * std / math.sqrt(runs)


def _t(freedom: int, confidence: float) -> float:
    """The quantile of Student's distribution that bounds an interval of that confidence."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + confidence / 2))


class Components(NamedTuple):
    """Standard deviations that a two-way crossed table is made of, of a number whose mean is `mean`.

    Attributes:
        mean: Mean of the table.
        rows: Of what a row brings; 0 where rows differ less than chance makes them.
        columns: Of what a column brings.
        rest: Of what is neither a row's nor a column's: their interplay, and whatever else differs between runs.
        row_chance: Probability of rows at least that far apart where rows bring nothing (F test).
        column_chance: The same of columns.
    """

    mean: float
    rows: float
    columns: float
    rest: float
    row_chance: float
    column_chance: float

    @property
    def total(self) -> float:
        """Standard deviation of a number whose row and column are both drawn anew."""
        return math.sqrt(self.rows**2 + self.columns**2 + self.rest**2)


def variance_components(table: npt.ArrayLike) -> Components:
    """Components of variance of a two-way table without repetition, rows and columns both drawn at random.

    With r rows, c columns and mean squares from the analysis of variance, ``E[MS_rows] = s_rest^2 + c s_rows^2``,
    ``E[MS_columns] = s_rest^2 + r s_columns^2`` and ``E[MS_rest] = s_rest^2``; each variance is what solves these, a
    negative one is 0 (Searle et al. 1992, chapter 4).

    Args:
        table: float [r, c], r and c at least 2; one number a cell.

    Raises:
        SettingError: Fewer rows or columns, or a number that is not finite.
    """
    from scipy.special import fdtrc

    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        raise SettingError("components of variance need a table of at least two rows and columns, each number finite")
    r, c = values.shape
    mean = float(values.mean())
    by_row, by_column = values.mean(1) - mean, values.mean(0) - mean
    rest = values - mean - by_row[:, None] - by_column[None, :]
    ms_rows = c * float((by_row**2).sum()) / (r - 1)
    ms_columns = r * float((by_column**2).sum()) / (c - 1)
    freedom = (r - 1) * (c - 1)
    ms_rest = float((rest**2).sum()) / freedom

    def chance(ms: float, own: int) -> float:
        if ms_rest == 0:
            return 0.0 if ms > 0 else 1.0
        return float(fdtrc(own, freedom, ms / ms_rest))

    return Components(
        mean,
        math.sqrt(max(0.0, (ms_rows - ms_rest) / c)),
        math.sqrt(max(0.0, (ms_columns - ms_rest) / r)),
        math.sqrt(ms_rest),
        chance(ms_rows, r - 1),
        chance(ms_columns, c - 1),
    )


def runs_needed(
    std: float, difference: float, *, paired: bool = False, confidence: float = 0.95, most: int = 10_000
) -> int:
    """Runs a side after which the interval of a difference of two means is no wider than the difference either side.

    The smallest n with ``t(2 n - 2) s sqrt(2 / n) <= difference``, both sides with the standard deviation s; of paired
    runs, s being that of their differences, with ``t(n - 1) s / sqrt(n) <= difference``.

    Args:
        std: s.
        difference: What is to be told from 0, above 0.
        paired: Whether each run of one side has a partner on the other.
        confidence: Of the interval.
        most: Where counting ends.

    Raises:
        SettingError: A difference that is not above 0, or a negative spread.
    """
    if not (difference > 0 and std >= 0):
        raise SettingError(
            f"runs are counted for a difference above 0 and a spread from 0 on, not {difference} and {std}"
        )
    for n in range(2, most):
        spread = std if paired else math.sqrt(2) * std
        if _t(n - 1 if paired else 2 * n - 2, confidence) * spread / math.sqrt(n) <= difference:
            return n
    return most


def share_interval(share: float, n: int, confidence: float = 0.95) -> Interval:
    """Interval of a share of `n` images, such as an accuracy or a coverage (Wilson 1927).

    Raises:
        SettingError: A share outside 0..1, fewer than one image, or a confidence outside (0, 1).
    """
    if not 0 <= share <= 1 or n < 1:
        raise SettingError(f"a share lies between 0 and 1, of at least one image, not {share} of {n}")
    from scipy.special import ndtri

    z2 = float(ndtri(0.5 + _level(confidence) / 2)) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half), n, math.sqrt(share * (1 - share)))


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


def kendall(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Kendall's tau-b of two rankings and its two-sided p (Kendall, 1938; `scipy.stats.kendalltau`)."""
    from scipy.stats import kendalltau

    result = kendalltau(first, second)
    return float(result.statistic), float(result.pvalue)


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
