"""From choices to experiments: which network stands in front, and every candidate on every split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ltlib import datasets, models
from ltlib.compare.candidates import Candidate
from ltlib.errors import DataError, SettingError
from ltlib.experiment import Experiment
from ltlib.models import pretrained, weight_files
from ltlib.registry import format_spec, parse

USUAL = "efficientnet_lite0[weights=imagenet1k]"
"""A pretrained network small enough for two cores."""
SCRATCH = "resnet8"
"""What is trained from random weights where no pretrained network is there."""
SPLITS = 10
PIXELS = 224
SMALL = 32
"""Side in pixels at which images are read for a network that is trained from random weights."""


@dataclass(frozen=True)
class Front:
    """The network in front of the classifiers.

    Attributes:
        model: Its text.
        recipe: How it is trained.
        size: Side in pixels at which images are read.
        said: What it is, in a sentence.
    """

    model: str
    recipe: str
    size: int
    said: str


def front(backbone: str = "auto", full: bool = False) -> Front:
    """The network that a comparison puts in front.

    Args:
        backbone: A network's text, which names its weights; ``auto`` takes `USUAL` where its file is there, else
            `SCRATCH`.
        full: Whether the whole network is trained, and not a classifier on its frozen features alone.

    Raises:
        UnknownName, SettingError: No such network or weights, or one without weights to freeze.
    """
    why = ""
    if backbone == "auto":
        try:
            weight_files.read(parse(USUAL)[0], _weights(USUAL))
            backbone = USUAL
        except DataError as error:
            backbone, full, why = SCRATCH, True, f" No pretrained network is here: {error}."
    spec = models.spec(backbone)
    chosen = pretrained.of(spec)
    if chosen is None and not full:
        raise SettingError(
            f"{backbone} has random weights, whose features are not worth freezing; name weights, as in {USUAL}, or "
            "train it whole with --full"
        )
    if not full:
        kind = chosen.published.normalise if chosen is not None and chosen.published is not None else "imagenet"
        recipe = format_spec("probe", {} if kind == "signed" else {"normalise": kind})
        return Front(backbone, recipe, PIXELS, f"Classifiers on frozen features of {backbone}.")
    if chosen is None:
        return Front(backbone, "loss_balance", SMALL, f"{backbone} trained from random weights.{why}")
    return Front(
        backbone, "loss_balance[normalise=imagenet;augmentation=crop28+flip]", PIXELS, f"{backbone} fine-tuned."
    )


def _weights(model: str) -> pretrained.Chosen:
    found = pretrained.of(models.spec(model))
    assert found is not None
    return found


def dataset(path: str, size: int) -> str:
    """A set of one's own by the path of its folder or CSV file, read at a size."""
    if path.lower().endswith(".csv"):
        return f"csv:{path}@{size}"
    return f"folder:{path.rstrip('/')}/@{size}"


def plan(name: str, chosen: Front, tried: Sequence[Candidate], splits: int = SPLITS) -> list[Experiment]:
    """Every candidate's training on every split, split by split, so that a stopped comparison has whole splits.

    Args:
        name: The set.
        chosen: The network in front.
        tried: The candidates; several may share a training.
        splits: How many; split s draws test images, weights and order with seed s.

    Raises:
        SettingError: Fewer than two splits.
    """
    if splits < 2:
        raise SettingError(f"a comparison needs at least two splits, not {splits}")
    trained = list(dict.fromkeys(one.method for one in tried))
    return [
        Experiment(name, 1.0, chosen.model, method, chosen.recipe, subset_seed=split, seed=split)
        for split in range(splits)
        for method in trained
    ]


def test_part(name: str) -> str:
    """Whether splits draw their test images anew, as a sentence."""
    if datasets.info(name).drawn_test:
        return "Each split draws a stratified fifth of the images to test with and trains on the others."
    return (
        "The set has a test part of its own, which every split tests with: intervals tell how far trainings differ, "
        "and nothing of other test images."
    )
