"""The page `awabs/methods`: three readings of stage 2, and of the prediction at test time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import calibration
from ltlib.chapters.awabs import AWABS
from ltlib.methods import AWABS_VARIANTS
from ltlib.runs import Predictions
from ltlib.sections import in_print, settings
from ltlib.tables.scores import percent, used

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

DEFAULT = "decoupled"
"""The variant that the tables use."""


def variants(page: Page, own: Mapping[str, Sequence[Run]], printed: Mapping[str, float]) -> None:
    """The readings of stage 2 beside the printed cell, and which comes closest.

    Args:
        page: The page.
        own: Runs of each variant.
        printed: The cell of Table 4.4 that they are of.
    """
    if not own:
        page.say(f"No variant was run; {AWABS.command('variants', page.profile)} trains them.")
        return
    frame = variants_frame(own, printed, page.profile)
    page.say(variants_sentence(own, printed, page.profile))
    page.frame("Variants", frame, f"of stage 2, proposed method 2; ours on {AWABS.where(page.profile)}", used(own))


def _named(own: Mapping[str, Sequence[Run]]) -> dict[str, Sequence[Run]]:
    return {variant.replace("_", ", "): own[variant] for variant in AWABS_VARIANTS if variant in own}


def variants_frame(own: Mapping[str, Sequence[Run]], printed: Mapping[str, float], profile: str) -> pd.DataFrame:
    """One row a variant under the printed one, in percent; the distance only where the two can be compared."""
    frame = in_print.beside(_named(own), printed, "printed, Table 4.4").rename(columns={"method": "variant"})
    if profile == "paper":
        frame["distance"] = [math.nan, *(settings.distance(found, printed) for found in _named(own).values())]
    return frame


def variants_sentence(own: Mapping[str, Sequence[Run]], printed: Mapping[str, float], profile: str) -> str:
    """What the variants differ in, and which is closest to print where that can be said."""
    text = f"The tables use “{DEFAULT}”. "
    others = {name: found for name, found in _named(own).items() if name != DEFAULT}
    if DEFAULT in own and others:
        text += f"Points over it: {settings.by_metric(others, own[DEFAULT])}. "
    return text + settings.closest(_named(own), printed, len(AWABS_VARIANTS), profile)


def prior_kept(page: Page, first: Mapping[str, Run]) -> None:
    """Methods with the class prior left in the prediction, as the loss has it; needs the logits."""
    first = {method: run for method, run in first.items() if run.predictions["selected"].logits is not None}
    if not first:
        page.say(
            "Whether the prior was kept at test time cannot be tried here: it needs logits, which a record has not."
        )
        return
    frame = prior_frame(first)
    caption = f"stage 2 with and without the class prior in the prediction, {AWABS.where(page.profile)}"
    moved = [(AWABS.short(m), *frame[frame["method"] == AWABS.name(m)]["accuracy (%)"]) for m in first]
    said = ", ".join(f"{m} {left_out:.1f}% and {kept:.1f}%" for m, left_out, kept in moved)
    page.say(f"Accuracy without and with the prior in the prediction: {said}.")
    with page.fold("The same with ECE and class groups"):
        page.frame("Prior at test time", frame, caption, first.values())


def prior_frame(first: Mapping[str, Run]) -> pd.DataFrame:
    """Accuracy, ECE and group accuracies of softmax(z) and of softmax(z + log n), in percent."""
    import pandas as pd

    rows = []
    for method, run in first.items():
        said = run.predictions["selected"]
        assert said.logits is not None
        prior = np.log(np.asarray(run.class_counts, dtype=np.float64))
        for name, shifted in (("left out", said.logits), ("kept", said.logits + prior)):
            made = Predictions.from_logits(shifted, said.targets)
            right = made.predicted == said.targets
            row: dict[str, Any] = {"method": AWABS.name(method), "prior": name, "accuracy (%)": percent(right.mean())}
            row["ECE (%)"] = percent(calibration.from_confidence(made.confidence, right))
            for group, members in run.groups.items():
                inside = np.isin(said.targets, list(members))
                row[f"{group} (%)"] = percent(float(right[inside].mean())) if inside.any() else math.nan
            rows.append(row)
    return pd.DataFrame(rows)
