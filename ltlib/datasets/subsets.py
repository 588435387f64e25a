"""Which images make a subset, and the subset's fingerprint; `holdout` says which of them are set aside. NumPy only."""

from __future__ import annotations

import hashlib
import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltlib.errors import SettingError, UnknownName
from ltlib.registry import plain

SUBSETS = ("random", "ldam", "first")

MOST_SEED = 2**32 - 1
"""NumPy's legacy generator takes no larger one."""

Indices = NDArray[np.int64]


def choose_subset(
    targets: NDArray[np.integer], counts: Sequence[int], subset: str = "random", subset_seed: int = 0
) -> Indices:
    """Choose that many images of each class.

    - ``random``: each class is shuffled by a generator of its own, derived from (`subset_seed`, class), and its first n
      are taken: subsets of growing IF lie inside each other, and one class never changes another.
    - ``ldam``: the order of `imbalance_cifar.py` of LDAM-DRW, which most public code copied: NumPy's legacy
      ``RandomState(subset_seed)`` shuffles the classes one after the other. Its published subsets have seed 0.
    - ``first``: the first n images in the order of the set.

    Args:
        targets: Class of every image of the set, int [N].
        counts: Images wanted per class.
        subset: ``random``, ``ldam`` or ``first``.
        subset_seed: Seed of the choice, at least 0; for ``ldam`` at most 2**32 - 1.

    Returns:
        Indices into `targets`, int64 [sum(counts)], class after class.

    Raises:
        SettingError: More images wanted of a class than it has, or a seed outside its range.
        UnknownName: Another rule.
    """
    if subset not in SUBSETS:
        raise UnknownName("subset rule", subset, SUBSETS)
    subset_seed = whole_number("subset_seed", subset_seed, 0, MOST_SEED if subset == "ldam" else None)
    targets = np.asarray(targets)
    legacy = np.random.RandomState(subset_seed) if subset == "ldam" else None
    chosen = []
    for index, count in enumerate(counts):
        count = whole_number(f"the count of class {index}", count, 0)
        of_class = np.flatnonzero(targets == index).astype(np.int64)
        if count > len(of_class):
            raise SettingError(f"class {index} has {len(of_class)} images, {count} were asked for; lower its count")
        if legacy is not None:
            legacy.shuffle(of_class)
        elif subset == "random":
            of_class = of_class[random_order(len(of_class), subset_seed, index)]
        chosen.append(of_class[:count])
    return np.concatenate(chosen) if chosen else np.empty(0, np.int64)


def first_of_each(targets: NDArray[np.integer], indices: NDArray[np.integer], counts: Sequence[int]) -> Indices:
    """Keep the first images of each class of a chosen subset, as many as `counts` says, in the order of `indices`."""
    chosen = positions(indices, len(targets))
    of_subset = np.asarray(targets)[chosen]
    kept = [np.flatnonzero(of_subset == index)[:count] for index, count in enumerate(counts)]
    return chosen[np.sort(np.concatenate(kept))]


def fingerprint(indices: NDArray[np.integer], targets: NDArray[np.integer]) -> str:
    """Identity of a subset: which images of the set, and with which labels.

    SHA-256 of the pairs (index, target), sorted by index, as little-endian int64: 16 bytes an image, no header.
    The order of the choice does not matter.

    Args:
        indices: Indices into the set's training images, int [M].
        targets: Class of each chosen image, int [M].

    Returns:
        64 hexadecimal digits.
    """
    indices, targets = whole_numbers("indices", indices), whole_numbers("targets", targets)
    if indices.shape != targets.shape or indices.ndim != 1:
        raise SettingError(f"fingerprint needs one target per index, got {targets.shape} for {indices.shape}")
    pairs = np.stack([indices, targets], axis=1)[np.argsort(indices, kind="stable")]
    return hashlib.sha256(pairs.astype("<i8").tobytes()).hexdigest()


def random_order(size: int, *seed: int) -> Indices:
    """A random order of `size` things. NumPy promises raw bits for ever, but not what `Generator.permutation` makes."""
    bits = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(size)
    return np.argsort(bits, kind="stable").astype(np.int64)


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """A whole number as Python's int, NumPy's included.

    Raises:
        SettingError: It is none, or outside its range.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]
        limits = f"of at least {least}" if most is None else f"from {least} to {_power(most)}"
        raise SettingError(f"{name} must be a whole number {limits}, not {value!r}")
    return int(value)  # type: ignore[call-overload]


def real_number(value: object) -> float | None:
    """A finite number as Python's float, NumPy's included; None for anything else."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return float(value) if math.isfinite(value) else None


def _power(number: int) -> str:
    return f"2**{number.bit_length()} - 1" if number > 10**6 and number & (number + 1) == 0 else str(number)


def positions(given: Any, size: int) -> Indices:
    """Places in a list of `size` things: whole numbers as they are, a mask's True ones.

    Args:
        given: Whole numbers [M], those below 0 counted from the end, or a mask bool [size]; array, tensor or sequence.
        size: How many things there are.

    Returns:
        int64 [M], each from 0 to size - 1.

    Raises:
        SettingError: Anything else, such as floating-point numbers, a mask of another length, a place out of range.
    """
    array = _array(given)
    if array.ndim == 1 and array.dtype == bool:
        if len(array) != size:
            raise SettingError(f"a mask needs one True or False for each of {size} images, not {len(array)}")
        return np.flatnonzero(array).astype(np.int64)
    places = whole_numbers("positions", given)
    outside = places[(places < -size) | (places >= size)]
    if len(outside):
        raise SettingError(f"there is no image {outside[0]} in a set of {size}; places go from 0 to {size - 1}")
    return np.where(places < 0, places + size, places)


def whole_numbers(name: str, given: Any) -> Indices:
    """A list of whole numbers as int64 [M].

    Raises:
        SettingError: Floating-point numbers, truth values, texts, or no list.
    """
    array = _array(given)
    mixed = isinstance(given, (list, tuple)) and any(isinstance(value, (bool, np.bool_)) for value in given)
    if array.ndim == 1 and array.size == 0:
        return np.empty(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu" or mixed:
        raise SettingError(f"{name} must be a list of whole numbers, not {_described(given, array)}")
    return array.astype(np.int64)


def _array(given: Any) -> NDArray[Any]:
    """An array of what was given; tensors on any device."""
    given = given.detach().cpu() if hasattr(given, "detach") else given
    try:
        return np.asarray(given)
    except (TypeError, ValueError):
        return np.asarray(None)


def _described(given: Any, array: NDArray[Any]) -> str:
    return type(given).__name__ if array.dtype == object else f"{array.dtype} {list(array.shape)}"
