"""Three sizes of the same work: ``quick``, ``laptop``, ``paper``. Values only; the code path is one.

A table's cell says what the document did; a profile says what is trained for it here, or why nothing is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache

from ltlib import datasets, methods, recipes
from ltlib.errors import UnknownName
from ltlib.experiment import Experiment
from ltlib.registry import Value, format_spec, format_value, parse


@dataclass(frozen=True)
class Small:
    """How a small network of a large one's kind is trained.

    Attributes:
        pixels: To which its images are enlarged.
        epochs: At most.
        images: Training images, at most; as many test images.
    """

    pixels: int
    epochs: int
    images: int


@dataclass(frozen=True)
class Profile:
    """A size of the work.

    Attributes:
        name: ``quick``, ``laptop`` or ``paper``.
        seeds: Runs per table cell.
        summary: What it is good for, in one sentence, shown on every page.
        network: The one network that stands for all; None trains each network the documents name.
        networks: Networks that it does not stand for, each with what is trained instead: a small one of its kind, or
            the network as it is where the text is empty.
        small: What else is smaller where such a small one is trained.
        epochs: Epochs instead of the recipe's; None keeps them.
        precision: Instead of the recipe's; None keeps it.
        stand_ins: Data sets that stand for the documents'; empty keeps them.
        imbalance_factor: Instead of any above 1; None keeps it.
        pixels: Sets of photographs that are read smaller, and at how many pixels.
        figures: The forms its figures are saved in; fonts make a PDF the dearest of them.
        evaluations: Of a training, at most; 0 keeps the recipe's.
    """

    name: str
    seeds: int
    summary: str
    network: str | None = None
    networks: tuple[tuple[str, str], ...] = ()
    small: Small | None = None
    epochs: int | None = None
    precision: str | None = None
    stand_ins: tuple[tuple[str, str], ...] = ()
    imbalance_factor: float | None = None
    pixels: tuple[tuple[str, int], ...] = ()
    figures: tuple[str, ...] = ("svg", "pdf", "png")
    evaluations: int = 0


@dataclass(frozen=True)
class Impossible:
    """Why a profile trains nothing for a cell; the reason fills the cell."""

    reason: str


PHOTOGRAPHS = ("crop_disease", "mushroom", "caltech_part", "ilsvrc_part1", "ilsvrc_part2")
"""The sets that the documents train on at 224 pixels."""
PRETRAINED = ("mobilenet_v2", "resnet50v2", "vit_b_16", "convnext_base")
"""The networks of `architectures`, which no CIFAR network stands for."""
PROBED = "efficientnet_lite0"
"""A pretrained network whose features a laptop can compute."""

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "quick",
            seeds=1,
            summary=(
                "Embedded digits (real 8x8 scans) stand in for every data set and ResNet-8 for every network: this "
                "shows that everything works and how it is read. Nothing here can be compared with a document's "
                "numbers."
            ),
            network="resnet8",
            networks=tuple((name, f"{name}[size=tiny]") for name in (*PRETRAINED, PROBED)),
            small=Small(pixels=16, epochs=8, images=300),
            epochs=20,
            stand_ins=(
                *(("cifar10", "digits"), ("cifar100", "digits"), ("butterfly", "digits_folder")),
                ("moths@224", "digits_folder"),
                *((name, f"digits_{name}") for name in PHOTOGRAPHS),
            ),
            imbalance_factor=20.0,
            figures=("svg",),
            evaluations=10,
        ),
        Profile(
            "laptop",
            seeds=1,
            summary=(
                "The documents' own long-tailed images with ResNet-8 and shorter schedules: orderings and calibration "
                "can be compared with a document, its numbers cannot."
            ),
            network="resnet8",
            networks=((PROBED, ""),),
            epochs=30,
            pixels=tuple((name, 64 if name == "mushroom" else 32) for name in PHOTOGRAPHS),
        ),
        Profile(
            "paper",
            seeds=3,
            summary="The documents' own data, networks and schedules: comparable with the printed numbers.",
            precision="bf16",
        ),
    )
}

# The networks that carry a document's main table: where one network stands for all, it fills their columns only.
REPRESENTED = ("resnet18", "resnet32")


def get(name: str) -> Profile:
    """The profile of that name.

    Raises:
        UnknownName: With the nearest names.
    """
    if name not in PROFILES:
        raise UnknownName("profile", name, PROFILES)
    return PROFILES[name]


def dataset(name: str, profile: str) -> str:
    """The set that a profile trains in place of a named one: often itself, or itself read smaller, ``mushroom@64``."""
    size = get(profile)
    there = dict(size.stand_ins).get(name, name)
    pixels = dict(size.pixels).get(there)
    return there if pixels is None else f"{there}@{pixels}"


def network(text: str, profile: str) -> str:
    """The network that a profile trains in place of a document's."""
    size = get(profile)
    own = dict(size.networks)
    name = parse(text)[0]
    return own[name] or text if name in own else size.network or text


def resolve(
    experiment: Experiment, profile: str, represented: tuple[str, ...] = REPRESENTED
) -> Experiment | Impossible:
    """What a profile trains for a document's experiment.

    Args:
        experiment: What the document did.
        profile: Name.
        represented: The networks whose columns are filled where one network stands for all.
    """
    return _resolved(experiment, get(profile), represented)


@lru_cache(2**14)
def _resolved(experiment: Experiment, size: Profile, represented: tuple[str, ...]) -> Experiment | Impossible:
    """`resolve`; a plan, a page and a table ask for the same cells."""
    profile, own = size.name, parse(experiment.model)[0] in dict(size.networks)
    if size.network is not None and not own and parse(experiment.model)[0] not in represented:
        return Impossible(
            f"not in {profile}: one small network stands for all, in the {' and '.join(represented)} columns only"
        )
    there = dataset(experiment.dataset, profile)
    factor = experiment.imbalance_factor
    if size.imbalance_factor is not None and factor > 1:
        factor = size.imbalance_factor
    small = size.small if own else None
    return experiment.replace(
        dataset=there,
        method=_method(experiment, there),
        imbalance_factor=factor,
        model=network(experiment.model, profile),
        recipe=_recipe(experiment, there, size, small),
        precision=experiment.precision or size.precision,
        limit=experiment.limit if small is None else small.images,
    )


def _method(experiment: Experiment, dataset: str) -> str:
    """The method; its compared views have the recipe's augmentation where images must not be mirrored."""
    if dataset == experiment.dataset or datasets.info(dataset).flips:
        return experiment.method
    return methods.adjusted(experiment.method, _unmirrored)


def _unmirrored(text: str) -> dict[str, Value]:
    mirrored = methods.spec(text).settings.get("views", "recipe") != "recipe"
    return {"views": "recipe"} if mirrored else {}


def _recipe(experiment: Experiment, dataset: str, size: Profile, small: Small | None) -> str:
    name, settings = parse(experiment.recipe)
    most = size.epochs if small is None else small.epochs
    if most is not None:
        full = recipes.create(experiment.recipe)
        epochs = min(most, full.epochs)
        settings["epochs"] = epochs
        shorter = epochs / full.epochs
        if full.warmup_epochs > 0:
            settings["warmup_epochs"] = max(1, round(full.warmup_epochs * shorter))
        apart = max(1, round(full.evaluate_every * shorter)) if full.evaluate_every > 1 else 1
        apart = max(apart, math.ceil(epochs / size.evaluations) if size.evaluations else 1)
        if apart > 1 or full.evaluate_every > 1:
            settings["evaluate_every"] = apart
    if dataset != experiment.dataset and not datasets.info(dataset).flips:  # a mirrored 3 is no 3
        moves = set(recipes.create(experiment.recipe).augmentation) - {"flip", "altflip", "vflip"}
        settings["augmentation"] = "shift1" if moves else "none"
    if small is not None:
        settings["resize"] = small.pixels
    return format_spec(name, settings)


def differences(experiment: Experiment, trained: Experiment) -> list[str]:
    """The settings that make a trained run incomparable with the document's, as "this instead of that".

    Precision and seeds are no such settings; nor is how often a training is evaluated that reports its last epoch.
    """
    found = []
    same_method = experiment.resolve().method == trained.resolve().method  # however it is spelled
    for name in ("dataset", "model", "imbalance_factor", "method"):
        asked, got = getattr(experiment, name), getattr(trained, name)
        if asked != got and not (name == "method" and same_method):
            label = "imbalance factor " if name == "imbalance_factor" else ""
            found.append(f"{label}{_plain(got)} instead of {_plain(asked)}")
    asked_recipe, got_recipe = recipes.create(experiment.recipe), recipes.create(trained.recipe)
    for f in fields(asked_recipe):
        asked, got = getattr(asked_recipe, f.name), getattr(got_recipe, f.name)
        looks = f.name == "evaluate_every" and got_recipe.selection == "last"
        if asked != got and not looks and f.name not in ("precision", "method_defaults"):
            found.append(f"{f.name.replace('_', ' ')} {format_value(got)} instead of {format_value(asked)}")
    return found


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
