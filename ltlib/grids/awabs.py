"""`awabs`: Tables 4.1-4.8, and what its chapter adds: variants of stage 2, epsilons, calibration, section 5.2.

Where the document is silent the settings are MiSLAS's for that set and factor: the epsilons, the classifier's rate in
stage 2, and whether the batch statistics are shifted (for `mislas` itself; AWABS has its variants).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ltlib import losses
from ltlib.experiment import Experiment
from ltlib.grids.base import Document, Row
from ltlib.methods import AWABS_VARIANTS
from ltlib.profiles import Impossible
from ltlib.registry import Value, format_spec, parse

PROPOSED = ("awabs_cutout", "awabs_cutmix", "awabs_cutthumbnail")
STAND_IN_FACTOR = 100
"""The imbalance factor whose cells are filled where a profile does not train them all."""
_CLASSES = {"cifar10": 10, "cifar100": 100}
_RATES = {
    10: {10: 0.2, 50: 0.2, 100: 0.5},
    100: {10: 0.1, 50: 0.1, 100: 0.2},
}
"""Factor of the classifier's rate in MiSLAS's stage-2 configurations, by classes and imbalance factor."""
METHODS = (
    *("ce", "mixup", "bbn", "ldam_drw", "remix_drw", "lade"),
    *("crt", "lws", "crt_mixup", "lws_mixup", "lws_mixup_shifted_bn", "cbce", "mislas", *PROPOSED),
)
"""Every method that the document's tables compare, as they name them."""
FORMS = ("concave", "linear", "convex")
EPSILONS = {0.05: (0.0, 0.05), 0.1: (0.0, 0.1), 0.3: (0.0, 0.1, 0.3), 0.5: (0.0, 0.1, 0.3)}
"""epsilon_head to the epsilon_tail tried with it (section 4.4: 0 <= tail <= head <= 0.5)."""


def settings(dataset: str, imbalance_factor: float) -> dict[str, Any]:
    """MiSLAS's stage 2 for a set: ``epsilon_head``, ``epsilon_tail``, ``lr`` (its factor), ``shift``.

    A factor beyond its files (200) takes those of the nearest, 100; so does a balanced set, which none of its own
    methods is trained on here.
    """
    classes = _CLASSES[dataset]
    head, tail = losses.mislas_epsilons(classes, imbalance_factor)
    nearest = min(_RATES[classes], key=lambda factor: abs(math.log(imbalance_factor / factor)))
    return {"epsilon_head": head, "epsilon_tail": tail, "lr": _RATES[classes][nearest], "shift": classes == 100}


def method(name: str, dataset: str, imbalance_factor: float, stage: str = "", **changes: Value) -> str:
    """What a row of the tables is called here, with its settings.

    Args:
        name: The table's id. ``las`` has the values of MiSLAS and is that; ``cbce`` is re-weighting in its stage 2.
        dataset: ``cifar10`` or ``cifar100``.
        imbalance_factor: Of the training set.
        stage: ``1`` for the first stage of a proposed method alone.
        changes: Settings that differ.
    """
    found = settings(dataset, imbalance_factor)
    if name in ("mislas", "las"):
        return format_spec("mislas", found | changes)
    if name == "cbce":
        return format_spec("mixup_cbce", {"lr": found["lr"], "shift": found["shift"]} | changes)
    if name.startswith("awabs_"):
        if stage == "1":
            return format_spec(name.removeprefix("awabs_"), {"loss": "balanced_softmax"})
        del found["shift"]
        return format_spec(name, found | changes)
    return name


def _cell(row: Row) -> Experiment:
    factor = float(row["imbalance"])
    name = method(row["method"], row["dataset"], factor, str(row["stage"]))
    return _experiment(row["dataset"], factor, name)


def _experiment(dataset: str, factor: float, name: str) -> Experiment:
    return Experiment(dataset=dataset, imbalance_factor=factor, model="resnet32", method=name, recipe="awabs")


def _represented(row: Mapping[str, Any], profile: str) -> Impossible | None:
    factor = float(row["imbalance"])
    if profile == "paper" or factor in (1, STAND_IN_FACTOR):
        return None
    return Impossible(f"not in {profile}: imbalance factor {STAND_IN_FACTOR} stands for all")


def dataset(profile: str) -> str:
    """The set of the chapter's own comparisons: CIFAR-100 as in most tables, CIFAR-10 where time is short."""
    return "cifar100" if profile == "paper" else "cifar10"


def _on(profile: str, name: str, stage: str = "", **changes: Value) -> Experiment:
    here = dataset(profile)
    return _experiment(here, STAND_IN_FACTOR, method(name, here, STAND_IN_FACTOR, stage, **changes))


def _methods(profile: str) -> Iterator[Experiment]:
    """Every method of the tables on one set, each proposed one's first stage too."""
    for name in METHODS:
        yield _on(profile, name)
    for name in PROPOSED:
        yield _on(profile, name, stage="1")


def _variants(profile: str) -> Iterator[Experiment]:
    """The three readings of stage 2, on one cell of Table 4.4."""
    for variant in AWABS_VARIANTS:
        yield _on(profile, "awabs_cutmix", variant=variant)


def _epsilons(profile: str) -> Iterator[Experiment]:
    """AWABS over its two epsilons and three forms; all share one first stage."""
    for form in FORMS:
        for head, tails in EPSILONS.items():
            for tail in tails:
                yield _on(profile, "awabs_cutmix", form=form, epsilon_head=head, epsilon_tail=tail)


def _held_out(profile: str) -> Iterator[Experiment]:
    """Runs that keep a tenth of their training images for temperature, isotonic regression and tau."""
    for name in ("ce", "mislas", "awabs_cutmix"):
        yield _on(profile, name).replace(validation="subset")


def _future(profile: str) -> Iterator[Experiment]:
    """Section 5.2: mixed Cut-Thumbnail, CutOut without the crop (with it is Table 4.3), the reversed sampler."""
    yield _on(profile, "awabs_mixed_thumbnail")
    yield _on(profile, "awabs_cutout").replace(recipe="awabs[augmentation=flip]")
    yield _on(profile, "awabs_cutmix", sampler="reversed")


def _spread(profile: str) -> Iterator[Experiment]:
    """Our own: the proposed methods with the label's rest given to the other classes by their counts."""
    for name in PROPOSED:
        yield _on(profile, name, spread="prior")


READINGS: Mapping[str, Mapping[str, Value]] = {
    "as printed": {},
    "the prior, no smoothing": {"loss": "balanced_softmax"},
    "smoothing, no prior": {"loss": "label_aware_smoothing"},
    "epsilons of 0.05 and 0": {"epsilon_head": 0.05, "epsilon_tail": 0.0},
    "rare classes smoothed most": {"smoothed": "tail"},
    "rest of the label by class counts": {"spread": "prior"},
    "all parts go on training": {"variant": "continue"},
    "shifted batch statistics": {"variant": "decoupled_shifted"},
    "MiSLAS's own stage 2": {"variant": "mislas"},
    "MiSLAS's own stage 2, shifted": {"variant": "mislas_shifted"},
}
"""What stage 2 of a proposed method may have been, in words, and the settings that make it so."""
LONGER = 400
"""Epochs of codes that mix images, twice those of the document (github.com/zhangyongshun/BagofTricks-LT)."""
_LONG = f"awabs[epochs={LONGER}]"
_REMIX = "remix_drw[start_share=0.8333]", "awabs[epochs=300;milestones=0.5+0.8333]"
"""Method and recipe of Remix's code (github.com/ntucllab/imbalanced-DL)."""
_LADE = "awabs[batch_size=256;decay=0.01;lr=0.2;milestones=0.6+0.8;weight_decay=0.0005]"
"""Of LADE's code (github.com/hyperconnect/LADE), whose network has two last blocks side by side and 128 features."""
OTHER_READINGS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "lade": {
        "as the document's other rows": ("lade", "awabs"),
        "with AutoAugment and Cutout": ("lade", "awabs[augmentation=crop4+flip+autoaugment+cutout16]"),
        "the recipe of its code": ("lade", _LADE),
    },
    "remix_drw": {
        "as the document's other rows": ("remix_drw", "awabs"),
        f"{LONGER} epochs": ("remix_drw", _LONG),
        "the recipe of its code, 300 epochs": _REMIX,
    },
    "awabs_cutmix": {"stage 1 alone": ("cutmix[loss=balanced_softmax]", "awabs")},
    "awabs_cutout": {
        "stage 1, a square of 16 pixels": ("cutout[loss=balanced_softmax]", "awabs"),
        "stage 1, 8 pixels, as DeVries and Taylor on CIFAR-100": ("cutout[loss=balanced_softmax;scale=0.25]", "awabs"),
    },
    "awabs_cutthumbnail": {
        "stage 1, a thumbnail of the image itself": ("cutthumbnail[loss=balanced_softmax]", "awabs"),
        "a thumbnail of another image, then stage 2": ("awabs_mixed_thumbnail", "awabs"),
    },
}
"""Rows whose first stage may have been another one: in words, to the method and the recipe."""


def readings(profile: str) -> dict[str, dict[str, Experiment]]:
    """By the row of the tables, then by the reading: what could have made its printed number.

    Stage 2 in every reading costs seconds once stage 1 is there; all three proposed methods have them in ``paper``.
    """
    found: dict[str, dict[str, Experiment]] = {}
    for name in PROPOSED if profile == "paper" else ("awabs_cutmix",):
        found[name] = {words: _on(profile, name, "", **changes) for words, changes in READINGS.items()}
    for name, own in OTHER_READINGS.items():
        for words, (text, recipe) in own.items():
            if "epochs" in parse(recipe)[1] and profile != "paper":  # the others set the length themselves
                continue
            made = method(text, dataset(profile), STAND_IN_FACTOR) if text.startswith("awabs_") else text
            exp = _experiment(dataset(profile), STAND_IN_FACTOR, made).replace(recipe=recipe)
            found.setdefault(name, {})[words] = exp
    return found


def _readings(profile: str) -> Iterator[Experiment]:
    """What could have made the printed numbers that are not met."""
    for own in readings(profile).values():
        yield from own.values()


NAMES = {
    "ce": "CE",
    "mixup": "Mixup",
    "bbn": "BBN",
    "ldam_drw": "LDAM-DRW",
    "remix_drw": "Remix-DRW",
    "lade": "LADE",
    "crt": "cRT",
    "lws": "LWS",
    "crt_mixup": "cRT + Mixup",
    "lws_mixup": "LWS + Mixup",
    "lws_mixup_shifted_bn": "LWS + Mixup + shifted BN",
    "cbce": "CBCE",
    "las": "LAS",
    "mislas": "MiSLAS",
    "awabs_cutout": "Method 1 (CutOut)",
    "awabs_cutmix": "Method 2 (CutMix)",
    "awabs_cutthumbnail": "Method 3 (Cut-Thumbnail)",
    "cutout": "Method 1, stage 1",
    "cutmix": "Method 2, stage 1",
    "cutthumbnail": "Method 3, stage 1",
    "awabs_mixed_thumbnail": "Mixed Cut-Thumbnail",
}
"""What the rows of the tables are called here, and the first stages of the proposed methods alone."""
STAGE_1 = {"awabs_cutout": "cutout", "awabs_cutmix": "cutmix", "awabs_cutthumbnail": "cutthumbnail"}
"""A proposed method to the row of its first stage alone."""
GROUP_SIZES = {"cifar10": {"head": 3, "middle": 4, "tail": 3}, "cifar100": {"head": 36, "middle": 35, "tail": 29}}
"""Classes a group that the printed numbers fit."""

AWABS = Document(
    "awabs",
    _cell,
    extra={
        "methods": _methods,
        "variants": _variants,
        "epsilons": _epsilons,
        "held_out": _held_out,
        "future": _future,
        "spread": _spread,
        "readings": _readings,
    },
    represented=_represented,
    names=NAMES,
    rows={"mixup_cbce": "cbce"},
    proposed=PROPOSED,
    first_stages=STAGE_1,
    group_sizes=GROUP_SIZES,
    home="methods",
)
