"""The set that a page trains on: images per class, and which images were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ltlib import datasets
from ltlib.labels import label
from ltlib.runs import Run, load
from ltlib.sections import class_counts

if TYPE_CHECKING:
    from ltlib.experiment import Experiment
    from ltlib.pages.page import Page


class Counted(NamedTuple):
    """A set's classes: images in each, names, the fingerprint of the chosen images, the run that knew them.

    Attributes:
        counts: Training images of each class.
        names: Their names.
        fingerprint: Of the images trained on.
        run: The finished run that all of it comes from, or None.
        test: Test images of each class; empty where they are not known.
    """

    counts: list[int]
    names: list[str]
    fingerprint: str = ""
    run: Run | None = None
    test: list[int] = []  # noqa: RUF012 - a tuple of values, never changed


def counted(experiment: Experiment) -> Counted | None:
    """Images per class of what an experiment trains on.

    They come from its finished run, else from the set itself, else from the formula where all classes are of one size;
    None where neither can be had.
    """
    run = load(experiment.run_id)
    if run is not None:
        test = run.metrics["last"]["per_class"]["support"]
        return Counted(run.class_counts, list(run.class_names), run.fingerprint, run, test)
    if datasets.available(experiment.dataset):
        data = datasets.load(experiment.dataset, imbalance_factor=experiment.imbalance_factor)
        test = list(data.test.class_counts)
        return Counted(list(data.class_counts), list(data.class_names), data.fingerprint, test=test)
    if datasets.info(experiment.dataset).balanced:
        counts = class_counts.counts(experiment.dataset, experiment.imbalance_factor)
        return Counted(counts, [str(i) for i in range(len(counts))])
    return None


def show_counts(page: Page, experiment: Experiment, number: str = "Counts") -> None:
    """Images per class of what is trained on, with the fingerprint of the chosen images."""
    from ltlib.plots import distribution

    name, found = label(experiment.dataset), counted(experiment)
    if found is None:
        _absent(page, experiment.dataset, [number])
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


def show_parts(
    page: Page, experiment: Experiment, number: str, whole: str = "", test: str = "Test", marked: Sequence[str] = ()
) -> None:
    """Images per class of the training and of the test set of photographs as they are, above each other.

    Args:
        page: The page.
        experiment: What is trained.
        number: The figure's.
        whole: The number of a figure of both parts together, or none.
        test: What the document calls the test set.
        marked: Names of classes that it calls minor.
    """
    from ltlib.plots import count_panels, distribution

    name, found = label(experiment.dataset), counted(experiment)
    if found is None or not found.test:
        _absent(page, experiment.dataset, [whole, number] if whole else [number])
        return
    runs = [found.run] if found.run else []
    both = [train + test for train, test in zip(found.counts, found.test, strict=True)]
    if whole:
        chart = distribution.class_distribution(both, found.names, title=f"{name}, all images")
        page.figure(whole, chart, caption=f"Images per class of {name}, before the split.", runs=runs)
    chart = count_panels.parts({"Training": found.counts, test: found.test}, found.names, marked=marked)
    page.figure(number, chart, caption=f"Training and {test.lower()} images per class of {name}.", runs=runs)
    page.say(
        f"{sum(found.counts):,} training and {sum(found.test):,} {test.lower()} images in {len(found.counts)} classes; "
        f"{max(found.counts):,} to {min(found.counts):,} training images a class, imbalance factor "
        f"{max(found.counts) / min(found.counts):.3g}."
    )
    if datasets.available(experiment.dataset) and (remarks := datasets.remarks(experiment.dataset)):
        page.note(f"As it lies here: {'; '.join(remarks)}.")


def _absent(page: Page, dataset: str, numbers: Sequence[str]) -> None:
    """Stand in for figures of a set that is not here."""
    reason = f"the images of {label(dataset)} are not here; {datasets.info(dataset).where}."
    command = f"ltlib reproduce --profile {page.profile} --only {page.declared.id}"
    page.missing([f"figure {number}" for number in numbers], reason, command)
