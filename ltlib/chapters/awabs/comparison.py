"""The page `awabs/comparison`: the column that is compared with, and why a short training differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ltlib import profiles
from ltlib.chapters.awabs import AWABS
from ltlib.chapters.awabs.methods import stage_epochs
from ltlib.grids import awabs as grid
from ltlib.sections import cost
from ltlib.sections.words import many

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run


FITTED = 97.0
"""Percent of the training images right from which on they count as fitted."""


def own_table(profile: str) -> str:
    """The table that has every method on the set of a profile's own comparisons."""
    return {"cifar10": "4.6", "cifar100": "4.7"}[grid.dataset(profile)]


def fitting(page: Page, first: Mapping[str, Run]) -> None:
    """How far the networks have learnt their training images, and how sure they are: why a small one differs."""
    if not first:
        return
    frame = cost.fitting(AWABS, first)
    caption = "accuracy on the (augmented, mixed) training images at the end of stage 1; test accuracy and confidence"
    page.say(f"{cost.fitting_sentence(frame, AWABS.name('ce'))}{short_training(frame, page.profile)}")
    with page.fold(f"Training and test accuracy beside confidence, {len(frame)} methods"):
        page.frame("Fitting", frame, caption, first.values())


def short_training(frame: pd.DataFrame, profile: str) -> str:
    """What a small network after a short training has to do with it; empty where the document's own is trained."""
    size = profiles.get(profile)
    if not size.network:
        return ""
    plain = frame.loc[frame["method"] == AWABS.name("ce"), "training (%)"]
    here = ""
    if len(plain) and plain.iloc[0] > FITTED:
        here = "Here they are fitted too, but the set is so easy that the confidence is earned. "
    elif len(plain):
        here = f"The small network stops before that, at {plain.iloc[0]:.1f}%. "
    first, second = stage_epochs(profile)
    return (
        " The document's schedule has more than 180 epochs, and going on until the training images are fitted is what "
        f"makes networks over-confident (Guo et al. 2017). {here}"
        "Softer labels can then push the confidence below the accuracy, and the order by ECE can turn round without "
        f"contradicting the document. Stage 2 also has only {many(second, 'epoch')} after {first}."
    )
