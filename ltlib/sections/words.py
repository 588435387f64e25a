"""Small things that the calibration pages of `awabs` share: answers of a run, lists in sentences, printed numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Predictions


def answered(said: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Confidence [N] and whether the prediction is right [N]."""
    return said.confidence, said.predicted == said.targets


def printable(frame: pd.DataFrame, digits: Mapping[str, int], otherwise: int = 1) -> pd.DataFrame:
    """Numbers of a frame as texts with so many decimals; what is missing as a dash."""
    shown = frame.copy()
    for name in frame.columns:
        if frame[name].dtype == float:
            places = digits.get(str(name), otherwise)
            shown[name] = [f"{value:.{places}f}" if value == value else "–" for value in frame[name]]
    return shown


def listed(parts: Sequence[str]) -> str:
    """A list in a sentence; parts that hold commas are set apart by semicolons."""
    comma = "; " if any(", " in part for part in parts) else ", "
    return parts[0] if len(parts) == 1 else f"{comma.join(parts[:-1])}{';' if comma == '; ' else ''} and {parts[-1]}"
