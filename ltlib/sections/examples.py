"""Single test images: of the rarest classes, right and wrong with the network's confidence, and where it looks.

examples.show(page, study, runs)
examples.show_where(page, runs)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltlib import datasets, runs
from ltlib.errors import LtlibError
from ltlib.labels import label

if TYPE_CHECKING:
    from ltlib.pages.page import Page
    from ltlib.runs import Run
    from ltlib.sections.study import Study

IMAGES = 8


def rarest(run: Run, right: bool, images: int = IMAGES) -> list[int]:
    """Positions of test images of the rarest classes that a run has right, or wrong: the most confident of each class.

    Classes from the rarest on, one image of each in turn.
    """
    said = run.predictions["last"]
    hit = (said.predicted == said.targets) == right
    by_class = []
    for c in np.argsort(run.class_counts, kind="stable"):
        own = np.flatnonzero(hit & (said.targets == c))
        by_class.append(own[np.argsort(-said.confidence[own], kind="stable")].tolist())
    found: list[int] = []
    while len(found) < images and any(by_class):
        found += [own.pop(0) for own in by_class if own][: images - len(found)]
    return found


def show(page: Page, study: Study, own: Sequence[Run], number: str = "Rarest classes") -> None:
    """Images of the rarest classes that a run has right and wrong."""
    from ltlib.plots import images as draw

    if not own:
        page.say("No run is here, so there is no prediction to show.")
        return
    run = own[0]
    if not datasets.available(run.experiment.dataset):
        page.say(f"The images of {label(run.experiment.dataset)} are not on disk, so none can be shown.")
        return
    data, said = runs.load_data(run.experiment), run.predictions["last"]
    chosen = [*rarest(run, right=True), *rarest(run, right=False)]
    titles = []
    for i in chosen:
        true, taken = (run.class_names[c] for c in (said.targets[i], said.predicted[i]))
        titles.append(f"{true}\n{'right' if true == taken else f'as {taken}'}, {said.confidence[i]:.0%}")
    name = study.name(study.row(run))
    chart = draw.show_images(data.test.images[np.asarray(chosen)], titles, columns=IMAGES)
    caption = (
        f"{name}, {label(run.experiment.model)}: test images of the rarest classes, the most confident of each class "
        "first; above each its class and what it was taken for, with the confidence."
    )
    page.figure(number, chart, caption=caption, runs=[run])
    page.say(_sure(study, run))


def _sure(study: Study, run: Run) -> str:
    """How confident a run is where it is wrong, in the rarest third and elsewhere."""
    said, third = run.predictions["last"], len(run.class_counts) // 3
    rare = np.isin(said.targets, np.argsort(run.class_counts, kind="stable")[:third])
    wrong = said.predicted != said.targets
    parts = []
    for where, mask in (("the rarest third of the classes", rare), ("the others", ~rare)):
        own = mask & wrong
        share = wrong[mask].mean()
        sure = f", at a mean confidence of {said.confidence[own].mean():.0%}" if own.any() else ""
        parts.append(f"of {where} {share:.0%} of the images are wrong{sure}")
    return f"{study.name(study.row(run))}: {'; '.join(parts)}."


def show_where(page: Page, own: Sequence[Run], number: str = "Where it looks", images: int = 4) -> None:
    """Maps of what a network's answers to images of the rarest classes rest on; they need a run's weights."""
    import torch

    from ltlib.models import saliency
    from ltlib.plots import images as draw
    from ltlib.training import residents

    for run in own:
        try:
            network, data = run.network("last"), runs.load_data(run.experiment)
        except LtlibError as error:
            page.note(f"{number}: {error}")
            continue
        half = images // 2
        chosen = [*rarest(run, True, half), *rarest(run, False, images - half)]
        shown = residents.resident(data.test.select(chosen), data, run.experiment.resolve(), torch.device("cpu"))
        what, maps = saliency.look(network, shown.batch(torch.arange(len(chosen))))
        said = run.predictions["last"]
        titles = [f"{run.class_names[said.targets[i]]}\nas {run.class_names[said.predicted[i]]}" for i in chosen]
        chart = draw.images_with_maps(data.test.images[np.asarray(chosen)], list(maps.numpy()), titles, what=what)
        caption = f"{label(run.experiment.model)}: test images of the rarest classes and what its answers rest on."
        page.figure(number, chart, caption=caption, runs=[run])
        return
    page.say("No run with its weights is here, so nothing can be mapped.")
