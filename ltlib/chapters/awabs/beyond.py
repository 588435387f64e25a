"""The page `awabs/methods`: the shift that section 4.5 describes, and what section 5.2 leaves to the future."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltlib.chapters.awabs import AWABS
from ltlib.sections import settings
from ltlib.sections.settings import Change
from ltlib.tables import scores
from ltlib.tables.scores import percent

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run


SHIFT = ("ce", "awabs_cutmix")


def shift(page: Page, runs: Iterable[Run]) -> pd.DataFrame | None:
    """The figure that section 4.5 describes: confidence by class group, cross-entropy against AWABS."""
    from ltlib.plots import calibration

    number = "Section 4.5"
    first = {method: run for method, run in AWABS.first_runs(runs).items() if method in SHIFT}
    if len(first) < len(SHIFT):
        gone = " and ".join(AWABS.name(method) for method in SHIFT if method not in first)
        page.missing(f"figure {number}", f"{gone} not run.", AWABS.command("methods", page.profile))
        return None
    frame = shift_frame(first)
    page.say(shift_sentence(frame))
    said = {base.partition("_")[0]: first[base].predictions["selected"] for base in SHIFT}  # the look of both
    chart = calibration.group_confidence(said, first[SHIFT[0]].groups)
    caption = f"Confidence of the predicted class by class group, {AWABS.where(page.profile)}, test images."
    page.figure(number, chart, caption=caption, runs=first.values())
    with page.fold("The same in numbers: confidence and accuracy by class group"):
        page.frame("Confidence and accuracy", frame, "by class group, in percent", first.values())
    return frame


def shift_frame(first: Mapping[str, Run]) -> pd.DataFrame:
    """Mean confidence, accuracy and their difference by method and class group, in percent."""
    import pandas as pd

    rows = []
    for method, run in first.items():
        said = run.predictions["selected"]
        for group, members in run.groups.items():
            inside = np.isin(said.targets, list(members))
            if inside.any():
                confidence = float(said.confidence[inside].mean())
                right = float((said.predicted == said.targets)[inside].mean())
                gap = percent(confidence - right) + 0.0
                row = {"method": AWABS.name(method), "group": group, "confidence (%)": percent(confidence)}
                rows.append(row | {"accuracy (%)": percent(right), "over-confident by (points)": gap})
    return pd.DataFrame(rows)


def shift_sentence(frame: pd.DataFrame) -> str:
    """How confidence moves in each group between the two methods."""
    parts = []
    for group in dict.fromkeys(frame["group"]):
        own = frame[frame["group"] == group].to_dict("records")
        before, after = own[0], own[-1]
        parts.append(
            f"{group}: confidence {after['confidence (%)'] - before['confidence (%)']:+.1f}, accuracy "
            f"{after['accuracy (%)'] - before['accuracy (%)']:+.1f}, over-confidence "
            f"{scores.signed(before['over-confident by (points)'])} to "
            f"{scores.signed(after['over-confident by (points)'])}"
        )
    first, last = frame["method"].iloc[0], frame["method"].iloc[-1]
    return f"From {first} to {last}, in points (over-confidence below 0 is under-confidence): {'; '.join(parts)}."


# --- section 5.2 -----------------------------------------------------------------------------------------------------


def ideas(known: Mapping[str, Sequence[Run]], tried: Mapping[str, Sequence[Run]]) -> list[tuple[str, str, Change]]:
    """What section 5.2 makes of the proposed methods: how the old and the new one are called, and the change.

    Args:
        known: Runs of the proposed methods.
        tried: Runs of the ideas.
    """
    augmented = [run.experiment.resolve().recipe.augmentation for run in known.get("awabs_cutout", ())]
    moves = "shift" if any("shift" in part for parts in augmented for part in parts) else "crop"
    found = (
        ("awabs_cutthumbnail", "awabs_mixed_thumbnail", "Cut-Thumbnail", "Mixed Cut-Thumbnail"),
        ("awabs_cutout", "awabs_cutout", f"CutOut with the {moves}", f"CutOut without the {moves}"),
        ("awabs_cutmix", "awabs_cutmix", "CutMix, instance-balanced stage 2", "CutMix, reversed sampler in stage 2"),
    )
    return [
        (old, new, Change(f"{new} instead of {old}", known.get(method, ()), tried.get(idea, ()), "tail"))
        for method, idea, old, new in found
    ]


def future(page: Page, known: Mapping[str, Sequence[Run]], tried: Mapping[str, Sequence[Run]]) -> None:
    """Section 5.2: each idea beside the proposed method it changes."""
    found = ideas(known, tried)
    rows = {name: own for old, new, change in found for name, own in ((old, change.before), (new, change.after))}
    caption, command = f"of section 5.2, {AWABS.where(page.profile)}", AWABS.command("future", page.profile)
    settings.show(page, "Future work", rows, caption, [change for _, _, change in found], command)
