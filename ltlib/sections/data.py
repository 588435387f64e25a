"""The set that a page trains on: images per class, and which images were chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ltlib import datasets
from ltlib.labels import label
from ltlib.runs import Run, load
from ltlib.sections import class_counts

if TYPE_CHECKING:
    from ltlib.experiment import Experiment
    from ltlib.pages.page import Page


class Counted(NamedTuple):
    """A training set's classes: images in each, names, the fingerprint of the chosen images, the run that knew them."""

    counts: list[int]
    names: list[str]
    fingerprint: str = ""
    run: Run | None = None


def counted(experiment: Experiment) -> Counted | None:
    """Images per class of what an experiment trains on.

    They come from its finished run, else from the set itself, else from the formula where all classes are of one size;
    None where neither can be had.
    """
    run = load(experiment.run_id)
    if run is not None:
        return Counted(run.class_counts, list(run.class_names), run.fingerprint, run)
    if datasets.available(experiment.dataset):
        data = datasets.load(experiment.dataset, imbalance_factor=experiment.imbalance_factor)
        return Counted(list(data.class_counts), list(data.class_names), data.fingerprint)
    if datasets.info(experiment.dataset).balanced:
        counts = class_counts.counts(experiment.dataset, experiment.imbalance_factor)
        return Counted(counts, [str(i) for i in range(len(counts))])
    return None


def show_counts(page: Page, experiment: Experiment, number: str = "Counts") -> None:
    """Images per class of what is trained on, with the fingerprint of the chosen images."""
    from ltlib.plots import distribution

    name, found = label(experiment.dataset), counted(experiment)
    if found is None:
        where = datasets.info(experiment.dataset).where
        reason = f"the images of {name} cannot be fetched without an account; {where}."
        page.missing(f"figure {number}", reason, f"ltlib reproduce --profile {page.profile} --only {page.declared.id}")
        return
    most, least = max(found.counts), min(found.counts)
    title = f"{name}, imbalance factor {most / least:.3g}"
    chart = distribution.class_distribution(found.counts, found.names, title=title)
    page.figure(number, chart, caption=f"Training images per class of {name}.", runs=[found.run] if found.run else [])
    print_ = found.fingerprint
    said = f" SHA-256 of the chosen images' indices and classes: {print_[:16]}…" if print_ else ""
    page.say(
        f"{sum(found.counts):,} training images in {len(found.counts)} classes, {most:,} to {least:,} a class.{said}"
    )
