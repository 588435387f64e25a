"""From choices to experiments: which network stands in front, and every candidate on every split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ltlib import datasets, models
from ltlib.compare.candidates import Candidate
from ltlib.compare.choices import SPLITS
from ltlib.errors import DataError, SettingError
from ltlib.experiment import Experiment
from ltlib.models import pretrained, timm_network, weight_files
from ltlib.models.published_weights import PUBLISHED
from ltlib.registry import Spec, Value, format_spec, parse

USUAL = "efficientnet_lite0[weights=imagenet1k]"
"""A pretrained network small enough for two cores."""
SCRATCH = "resnet8"
"""What is trained from random weights where no pretrained network is there."""
PIXELS = 224
SMALL = 32
"""Side in pixels at which images are read for a network that is trained from random weights."""
WHOLE_SPLITS = 3
"""Splits on which whole networks are trained."""
TIMM = "timm:"


@dataclass(frozen=True)
class Front:
    """The network in front of the classifiers.

    Attributes:
        model: Its text.
        recipe: How it is trained.
        size: Side in pixels at which images are read.
        said: What it is, in a sentence.
        whole: Whether all of it is trained.
    """

    model: str
    recipe: str
    size: int
    said: str
    whole: bool = False


def front(backbone: str = "auto", full: bool = False, weights: str = "") -> Front:
    """The network that a comparison puts in front: frozen where it has weights, else trained whole.

    Args:
        backbone: A network's text, or ``timm:NAME``; ``auto`` takes `USUAL` where its file is there, else `SCRATCH`.
        full: Whether a network without weights is wanted, which is trained whole.
        weights: A file of weights, where the text names none.

    Raises:
        UnknownName, SettingError: No such network or weights, or one without weights to freeze.
    """
    if backbone == "auto" and not weights:
        try:
            weight_files.read(parse(USUAL)[0], _weights(USUAL))
            backbone = USUAL
        except DataError as error:
            said = f"{SCRATCH} trained from random weights. No pretrained network is here: {error}."
            return Front(SCRATCH, "loss_balance", SMALL, said, whole=True)
    text = named(parse(USUAL)[0] if backbone == "auto" else backbone, weights)
    spec = models.spec(text)
    if pretrained.of(spec) is not None:
        size, kind = _input(spec)
        changed: dict[str, Value] = {} if kind == "signed" else {"normalise": kind}
        changed |= {} if size == PIXELS else {"resize": size}
        recipe = format_spec("probe", changed)
        return Front(text, recipe, size, f"Classifiers on frozen features of {text}.")
    if not full or spec.name == timm_network.NAME:
        raise SettingError(
            f"{backbone} has random weights, whose features are not worth freezing; give it a file with --weights, "
            f"name weights, as in {USUAL}, or train one of ours whole with --full"
        )
    size = SMALL if spec.name.startswith("resnet") else _input(spec)[0]
    return Front(text, "loss_balance", size, f"{text} trained from random weights.", whole=True)


def tuned(frozen: Front) -> Front:
    """A pretrained network trained whole: the recipe of `loss_balance` over fewer epochs, pixels as it knows them."""
    size, kind = _input(models.spec(frozen.model))
    recipe = f"loss_balance[augmentation=crop{size // 8}+flip;epochs=10;normalise={kind}]"
    return Front(frozen.model, recipe, size, f"{frozen.model} fine-tuned, all of it.", whole=True)


def named(backbone: str, weights: str = "") -> str:
    """A network's text with a file of weights in it; ``timm:NAME`` becomes ``timm[name=NAME]``.

    Raises:
        SettingError: A path that no setting can hold, or weights that are named twice.
    """
    if backbone.startswith(TIMM):
        backbone = format_spec("timm", {"name": backbone.removeprefix(TIMM)})
    if not weights:
        return backbone
    if set(weights) & set("[];"):
        raise SettingError(f"the path of weights {weights} has one of [ ] ; in it; give the file another name")
    name, settings = parse(backbone)
    if "weights" in settings:
        raise SettingError(f"{backbone} names its weights already; leave out --weights {weights}")
    place = Path(weights).expanduser().resolve()
    return format_spec(name, {**settings, "weights": str(place)})


def _input(spec: Spec) -> tuple[int, str]:
    """Side in pixels and kind of normalisation that a network was trained with."""
    if spec.name == timm_network.NAME:
        return timm_network.pixels(str(spec.settings["name"]))
    published = next(iter(PUBLISHED.get(spec.name, {}).values()), None)
    return PIXELS, "imagenet" if published is None else published.normalise


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
