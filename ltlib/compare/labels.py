"""Likely label errors, from what models say of images that they were not trained on (cleanlab's confident learning).

An image is suspected where the class a model is confident of is not the given one; confident is what reaches that
class's own mean probability (Northcutt et al. 2021, JAIR 70), so a rare class, of which a model is never
sure, is not suspected as a whole. How many there are is estimated that way, and which: those whose given label has the
least probability below the best other one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ltlib import metrics
from ltlib.errors import SettingError

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 5
"""Images of a class below which its own mean says nothing; none of its images is suspected."""


class LabelError(NamedTuple):
    """An image whose label is likely to be wrong.

    Attributes:
        place: Its place in the list.
        file: Its path.
        given: Name of the class it is said to be of.
        suggested: Name of the class the model says.
        quality: cleanlab's normalized margin, 0 to 1: 0 where the model is sure of another class, 1/2 where the given
            one is level with the best other one.
        given_probability, suggested_probability: What the model says of the two classes.
    """

    place: int
    file: str
    given: str
    suggested: str
    quality: float
    given_probability: float
    suggested_probability: float


def likely_errors(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, class_names: Sequence[str], files: Sequence[str]
) -> list[LabelError]:
    """Images whose labels are likely to be wrong, the worst first.

    Args:
        probabilities: Out of fold, each image's from a model that was not trained on it, [N, K]; rows sum to 1.
        labels: Given classes, int [N].
        class_names: [K].
        files: Path of each image, [N].

    Raises:
        SettingError: Arrays that do not match, probabilities that are none, no cleanlab.
    """
    said, given = _checked(probabilities, labels, class_names, files)
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError as error:
        raise SettingError('label errors are found by cleanlab; install it with pip install "ltlib[images]"') from error
    counts = np.bincount(given, minlength=len(class_names))
    kept = np.flatnonzero(counts >= FEWEST)  # cleanlab wants classes without a gap
    judged = np.flatnonzero(np.isin(given, kept))
    if len(kept) < 2:
        return []
    own = np.searchsorted(kept, given[judged])
    among = said[np.ix_(judged, kept)]
    among = np.clip(among, 1e-12, None)
    among /= among.sum(axis=1, keepdims=True)
    marked = find_label_issues(own, among, filter_by="low_normalized_margin", n_jobs=1)
    quality = get_label_quality_scores(own, among, method="normalized_margin")
    best = kept[among.argmax(axis=1)]
    found = [
        LabelError(
            place=int(judged[at]),
            file=files[judged[at]],
            given=class_names[given[judged[at]]],
            suggested=class_names[best[at]],
            quality=float(quality[at]),
            given_probability=float(said[judged[at], given[judged[at]]]),
            suggested_probability=float(said[judged[at], best[at]]),
        )
        for at in np.flatnonzero(marked & (best != given[judged])).tolist()
    ]
    return sorted(found, key=lambda one: (one.quality, one.place))


def frame(found: Sequence[LabelError]) -> pd.DataFrame:
    """They as a table, one row an image."""
    import pandas as pd

    return pd.DataFrame(list(found), columns=list(LabelError._fields))


def _checked(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, class_names: Sequence[str], files: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    said = np.asarray(probabilities, dtype=np.float64)
    given = metrics.class_numbers(labels, len(class_names), "labels")
    if said.shape != (len(given), len(class_names)) or len(files) != len(given):
        raise SettingError(
            f"label errors need probabilities [N, K], N labels and N files; there are {list(said.shape)}, {len(given)} "
            f"labels of {len(class_names)} classes and {len(files)} files"
        )
    if not (np.isfinite(said).all() and (said >= 0).all() and np.allclose(said.sum(axis=1), 1, atol=1e-3)):
        raise SettingError("probabilities must be at least 0 and sum to 1 for each image; give softmax, not logits")
    return said, given
