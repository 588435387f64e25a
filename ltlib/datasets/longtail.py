"""Class counts with a long tail: how many images of each class; `subsets` says which.

Class 0 is the largest class unless the order is ``ascending``. The imbalance factor IF is the size of the largest
class over that of the smallest, at least 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal, localcontext
from functools import lru_cache

from ltlib.datasets.subsets import MOST_SEED, SUBSETS, real_number, whole_number
from ltlib.errors import DataError, SettingError, UnknownName

IMBALANCE_TYPES = ("exponential", "step", "pareto", "explicit")
ORDERS = ("descending", "ascending")
VALIDATIONS = ("none", "subset")


def long_tailed_counts(
    n_max: int, num_classes: int, imbalance_factor: float, imbalance_type: str = "exponential"
) -> list[int]:
    """Images per class, class 0 the largest.

    With C classes, c = 0 ... C-1, and every value rounded down but never below one image:

    - ``exponential``: ``n_c = n_max * IF**(-c/(C-1))`` (Cui et al. 2019, section 5.1; Cao et al. 2019, LDAM).
    - ``step``: the first ``C // 2`` classes have ``n_max`` images, the others ``n_max / IF`` (Buda et al. 2018; LDAM).
    - ``pareto``: ``n_c = n_max * (c+1)**(-ln IF / ln C)``, the rank-size form of a Pareto distribution with tail index
      ``ln C / ln IF`` (Newman 2005, "Power laws, Pareto distributions and Zipf's law", appendix A), its exponent chosen
      so that the last class has ``n_max / IF``. With IF = C it is Zipf's law, ``n_max / (c+1)``.

    The arithmetic is decimal with 60 digits, so a class never loses an image to a float such as 499.99999999999994.

    Args:
        n_max: Images of the largest class, at least 1.
        num_classes: Number of classes C, at least 2.
        imbalance_factor: Largest over smallest class, at least 1.
        imbalance_type: ``exponential``, ``step`` or ``pareto``.

    Returns:
        C counts, none smaller than 1, in descending order.

    Raises:
        SettingError: A value outside its range.
        UnknownName: Another imbalance type.
    """
    n_max, num_classes = whole_number("n_max", n_max, 1), whole_number("num_classes", num_classes, 2)
    factor = _factor(imbalance_factor)
    if imbalance_type == "explicit":
        raise SettingError("imbalance type explicit needs class_counts, one number per class")
    if imbalance_type not in IMBALANCE_TYPES:
        raise UnknownName("imbalance type", imbalance_type, IMBALANCE_TYPES)
    return list(_falling(n_max, num_classes, factor, imbalance_type))


@lru_cache(maxsize=1024)  # sixty digits take milliseconds, and a plan of thousands of runs has a handful of tails
def _falling(n_max: int, num_classes: int, factor: Decimal, imbalance_type: str) -> tuple[int, ...]:
    """`long_tailed_counts` of settings that are sound."""
    with localcontext() as context:
        context.prec = 60
        log = factor.ln()
        if imbalance_type == "exponential":
            values = [n_max * (-log * c / (num_classes - 1)).exp() for c in range(num_classes)]
        elif imbalance_type == "step":
            half = num_classes // 2
            values = [Decimal(n_max)] * half + [n_max / factor] * (num_classes - half)
        else:
            exponent = log / Decimal(num_classes).ln()
            values = [n_max * (-exponent * Decimal(c + 1).ln()).exp() for c in range(num_classes)]
        return tuple(max(1, _floor(value)) for value in values)


def subset_counts(
    available: Sequence[int],
    imbalance_factor: float = 1.0,
    imbalance_type: str = "exponential",
    order: str = "descending",
    class_counts: Sequence[int] | None = None,
    by_size: bool = False,
) -> list[int]:
    """Images to take of each class of a set.

    The curve of `long_tailed_counts` starts from the largest class the set has; a class with fewer images than its
    place on the curve gives all it has. So IF 1 takes a set as it is.

    A named set is cut class by class, as the literature does it; classes of a set as it was found come in any order,
    so they are cut `by_size`: without that, 6, 14, 32, 72, 160 images at IF 100 become 6, 14, 16, 5, 1.

    Args:
        available: Training images the set has of each class.
        imbalance_factor: See `long_tailed_counts`.
        imbalance_type: See `long_tailed_counts`; ``explicit`` needs `class_counts`.
        order: ``descending`` makes class 0 the largest, ``ascending`` (`cefl`) the smallest.
        class_counts: Explicit counts, class by class; then imbalance factor, type and order play no part. Only here may
            a count be 0.
        by_size: The largest class has the first place on the curve, the smallest the last; of classes of one size the
            earlier one comes first. There is no order of the classes then.

    Returns:
        One count per class.

    Raises:
        DataError: A class of the set has no image.
        SettingError: A value outside its range, an explicit count above what the class has, ``ascending`` by size.
        UnknownName: Another order or imbalance type.
    """
    if order not in ORDERS:
        raise UnknownName("order of the class counts", order, ORDERS)
    if imbalance_type not in IMBALANCE_TYPES:
        raise UnknownName("imbalance type", imbalance_type, IMBALANCE_TYPES)
    if class_counts is not None:
        return _explicit_counts(available, class_counts)
    for index, count in enumerate(available):
        if count < 1:
            raise DataError(f"class {index} has no training image; remove the class or add images to it")
    curve = long_tailed_counts(max(available, default=0), len(available), imbalance_factor, imbalance_type)
    if by_size:
        if order == "ascending" and imbalance_factor != 1:
            raise SettingError("classes as they are found are cut by their size, not in an order; leave order out")
        ranks = sorted(range(len(available)), key=lambda index: -available[index])
        curve = [wanted for _, wanted in sorted(zip(ranks, curve, strict=True))]
    elif order == "ascending":
        curve.reverse()
    return [min(wanted, int(has)) for wanted, has in zip(curve, available, strict=True)]


def limit_counts(counts: Sequence[int], limit: int) -> list[int]:
    """Scale counts down to `limit` images in all, keeping the classes' proportions as evenly as whole images allow.

    Every class keeps one image; the others are shared in proportion to the rest of each class (largest remainder, ties
    to the lower class). Counts that are within the limit stay as they are.

    Raises:
        SettingError: Fewer images than classes.
    """
    present, total = sum(count > 0 for count in counts), sum(counts)
    limit = whole_number("limit", limit, 1)
    if limit < present:
        raise SettingError(f"limit {limit} is below the number of classes, {present}; each class needs an image")
    if total <= limit:
        return list(counts)
    spare, rest = limit - present, total - present
    shares = [divmod(max(count - 1, 0) * spare, rest) for count in counts]
    missing = spare - sum(whole for whole, _ in shares)
    largest = sorted(range(len(counts)), key=lambda index: (-shares[index][1], index))[:missing]
    return [
        (count > 0) + whole + (index in largest)
        for index, (count, (whole, _)) in enumerate(zip(counts, shares, strict=True))
    ]


def check(imbalance_factor: float, imbalance_type: str, order: str, subset: str, subset_seed: int) -> None:
    """Refuse settings that no set could be cut with, before one is read.

    Raises:
        SettingError, UnknownName: As `long_tailed_counts`, `subset_counts` and `choose_subset`.
    """
    for kind, value, known in (
        ("imbalance type", imbalance_type, IMBALANCE_TYPES),
        ("order of the class counts", order, ORDERS),
        ("subset rule", subset, SUBSETS),
    ):
        if value not in known:
            raise UnknownName(kind, value, known)
    _factor(imbalance_factor)
    whole_number("subset_seed", subset_seed, 0, MOST_SEED if subset == "ldam" else None)


def _explicit_counts(available: Sequence[int], class_counts: Sequence[int]) -> list[int]:
    if len(class_counts) != len(available):
        raise SettingError(f"class_counts has {len(class_counts)} numbers, the set has {len(available)} classes")
    counts = [whole_number(f"class_counts[{index}]", count, 0) for index, count in enumerate(class_counts)]
    for index, (wanted, has) in enumerate(zip(counts, available, strict=True)):
        if wanted > has:
            raise SettingError(f"class_counts asks for {wanted} images of class {index}, which has {has}")
    if not any(counts):
        raise SettingError("class_counts is 0 for every class; ask for at least one image")
    return counts


def _floor(value: Decimal) -> int:
    """Round down, taking a value within 1e-30 of a whole number for that number."""
    nearest = value.to_integral_value()
    if abs(value - nearest) < Decimal("1e-30"):
        return int(nearest)
    return int(value.to_integral_value(ROUND_FLOOR))


def _factor(value: float) -> Decimal:
    """The imbalance factor as the decimal number a reader sees: 435.44, not its nearest binary fraction."""
    number = real_number(value)
    if number is None or number < 1:
        raise SettingError(
            f"imbalance_factor must be a number of at least 1 (largest class / smallest class), not {value!r}"
        )
    return Decimal(repr(number))
