"""The numbers that a document's text gives for its own curves: "training about 10% to 70%; validation about 30%"."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)(%?)")
_EPOCHS = re.compile(r"\b(from|after|at) epochs? (\d+)|\b\d+ epochs\b")


@dataclass(frozen=True)
class Reading:
    """One number read from a text.

    Attributes:
        split: ``train`` or ``validation``, as the document calls it.
        value: A fraction where the text has a percentage, else the number as it is.
        place: ``start``, ``end``, or ``level`` for a plateau or a peak.
        epoch: From which epoch on, where the text says so.
    """

    split: str
    value: float
    place: str
    epoch: int | None = None

    def span(self, epochs: int) -> tuple[float, float]:
        """First and last epoch of the stretch that the number speaks of."""
        stretch = max(1.0, 0.12 * epochs)
        if self.epoch is not None and self.epoch < epochs:
            return float(self.epoch), float(epochs)
        if self.place == "start":
            return 1.0, 1.0 + stretch
        return (epochs - stretch, float(epochs)) if self.place == "end" else (max(1.0, epochs / 2), float(epochs))


def parse_readings(text: str) -> list[Reading]:
    """Read such a text; clauses without a number, or that name no curve, give nothing."""
    readings = []
    for clause in text.split(";"):
        split = "train" if "training" in clause else "validation" if "validation" in clause else None
        if split is None:
            continue
        for part in clause.split(","):
            until = re.search(r"\bat epoch (\d+)", part)
            since = re.search(r"\b(?:from|after) epoch (\d+)", clause)
            numbers = [
                (float(n) / (100 if sign or "%" in part else 1)) for n, sign in _NUMBER.findall(_EPOCHS.sub("", part))
            ]
            if len(numbers) >= 2:
                readings.append(Reading(split, numbers[0], "start"))
                readings.append(Reading(split, numbers[1], "end"))
            elif numbers:
                ends = until or re.search(r"\b(to|end|approaches|close to|above)\b", part)
                epoch = int(since.group(1)) if since else None
                readings.append(Reading(split, numbers[0], "end" if ends else "level", epoch))
    return readings
