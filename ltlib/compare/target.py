"""What a classifier is for: how often each class will be met, and what that makes of scores and of logits.

``balanced`` counts every class alike: its score is balanced accuracy. ``as-is`` expects the classes as often as they
are in training: its score is accuracy. A file ``weights.csv`` with a line ``label,weight`` a class says it class by
class: how often it comes, times what a mistake on it costs.

The score is the expected share of right answers, ``sum_c w_c r_c`` with weights that sum to 1 and r_c the recall of
class c; one minus it is the expected cost. It is an average over classes, so test sets of any shape estimate it.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ltlib.errors import DataError, SettingError, printable

NAMES = ("balanced", "as-is")


@dataclass(frozen=True)
class Target:
    """How much each class counts.

    Attributes:
        name: ``balanced``, ``as-is`` or ``weights``.
        weights: One a class, at least 0, their sum 1.
    """

    name: str
    weights: tuple[float, ...]

    @property
    def metric(self) -> str:
        """What the score is called."""
        return {"balanced": "balanced accuracy", "as-is": "accuracy"}.get(self.name, "weighted accuracy")

    def score(self, targets: npt.ArrayLike, predictions: npt.ArrayLike) -> float:
        """The expected share of right answers.

        Args:
            targets: Actual classes, int [N].
            predictions: Predicted classes, int [N].

        Returns:
            A fraction. Classes without a test image are left out, and the other weights scaled up to 1; NaN where no
            class that counts has one.
        """
        actual, said = np.asarray(targets), np.asarray(predictions)
        support = np.bincount(actual, minlength=len(self.weights))
        right = np.bincount(actual[actual == said], minlength=len(self.weights))
        weights = np.where(support > 0, self.weights, 0.0)
        if weights.sum() == 0:
            return math.nan
        return float((weights * right / np.maximum(support, 1)).sum() / weights.sum())

    def chance(self) -> float:
        """The score of the best answer that looks at no image: always the class that counts most."""
        return max(self.weights)

    def adjust(self, logits: npt.ArrayLike, prior: Sequence[float]) -> np.ndarray:
        """Logits whose argmax has the highest expected score: ``z + log w - log prior``.

        Menon et al. 2021, arXiv 2007.07314, section 3, for any target: exact where the softmax of `logits` is the
        classes' probability in a population with those frequencies.

        Args:
            logits: float [N, K].
            prior: How often the classes were met in training, above 0, [K]; any common factor.

        Returns:
            float64 [N, K]; a class of weight 0 is never predicted.
        """
        frequencies = np.asarray(prior, dtype=np.float64)
        with np.errstate(divide="ignore"):
            return np.asarray(logits, dtype=np.float64) + np.log(self.weights) - np.log(frequencies / frequencies.sum())


def of(text: str, class_names: Sequence[str], class_counts: Sequence[int]) -> Target:
    """The target that ``--target`` names.

    Args:
        text: ``balanced``, ``as-is``, or the path of a CSV file.
        class_names: Of the set.
        class_counts: Training images per class, of the whole set.

    Raises:
        SettingError: Neither a name nor a file that ends in .csv.
        DataError: A file that cannot be read, or does not say one weight for each class.
    """
    if text == "balanced":
        return Target(text, tuple([1 / len(class_names)] * len(class_names)))
    if text == "as-is":
        return Target(text, _shares(class_counts))
    if not text.lower().endswith(".csv"):
        raise SettingError(f"a target is {', '.join(NAMES)} or a file of weights that ends in .csv, not {text!r}")
    return Target("weights", _shares(_read(Path(text), class_names)))


def _shares(values: Sequence[float]) -> tuple[float, ...]:
    total = float(sum(values))
    return tuple(value / total for value in values)


def _read(path: Path, class_names: Sequence[str]) -> list[float]:
    """One weight for each class, in the classes' order; every fault of the file in one sentence."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as weights ({error}); write one line label,weight a class") from error
    if rows and [cell.strip().casefold() for cell in rows[0]] == ["label", "weight"]:
        rows = rows[1:]
    found: dict[str, float] = {}
    wrong = []
    for row in rows:
        if len(row) != 2 or (value := _number(row[1])) is None:
            wrong.append(f"{','.join(row)!r} is no label,weight with a weight of at least 0")
        elif row[0] in found:
            wrong.append(f"{printable(row[0])} comes twice")
        elif row[0] not in class_names:
            wrong.append(f"{printable(row[0])} is no class of this set")
        else:
            found[row[0]] = value
    missing = [printable(name) for name in class_names if name not in found]
    wrong += [f"no weight for {', '.join(missing)}"] if missing else []
    if not wrong and sum(found.values()) == 0:
        wrong.append("every weight is 0")
    if wrong:
        raise DataError(f"{path}: {'; '.join(wrong)}")
    return [found[name] for name in class_names]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
