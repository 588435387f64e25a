"""Contrastive learning: beside a classification loss, or alone with a linear probe afterwards."""

from __future__ import annotations

from typing import Any

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.methods import parts
from ltlib.methods.parts import loss as loss_
from ltlib.methods.stage import METHODS, Stage
from ltlib.registry import Spec


def _contrastive(name: str, temperature: float, weights: tuple[float, float], **kwargs: Any) -> Stage:
    if temperature <= 0:
        raise SettingError(f"temperature of {name} must be positive, not {temperature}")
    if min(weights) < 0 or max(weights) == 0:
        raise SettingError(f"weights of {name} must not be negative or both zero, not {weights}")
    return Stage(contrastive=losses.spec(f"{name}[temperature={float(temperature)!r}]"), weights=weights, **kwargs)


def _with_ce(
    name: str,
    temperature: float,
    contrastive_weight: float,
    ce_weight: float,
    projection: int,
    classifier_input: Any,
    selects_by: Any = "loss",
) -> tuple[Stage, ...]:
    if classifier_input not in ("features", "projection"):
        raise SettingError(f"classifier_input must be features or projection, not {classifier_input!r}")
    if selects_by not in ("loss", "objective"):
        raise SettingError(f"selects_by must be loss (cross-entropy) or objective (both losses), not {selects_by!r}")
    return (
        _contrastive(
            name,
            temperature,
            (float(contrastive_weight), float(ce_weight)),
            loss=losses.spec("ce"),
            projection=projection,
            classifier_input=classifier_input,
            selects_by=selects_by,
        ),
    )


def _with_probe(name: str, temperature: float, projection: int, probe_epochs: float) -> tuple[Stage, ...]:
    learn = _contrastive(name, temperature, (1.0, 0.0), projection=projection, lr={"backbone": 1.0, "projector": 1.0})
    return learn, parts.probe(projection, probe_epochs)


@METHODS.register("supcon_ce", version=2, source="convergent sections 5.4 and 5.7; Khosla et al. 2020")
def supcon_ce(
    *,
    temperature: float = 0.07,
    contrastive_weight: float = 0.5,
    ce_weight: float = 0.5,
    projection: int = 128,
    classifier_input: str = "features",
    selects_by: str = "loss",
) -> tuple[Stage, ...]:
    """Supervised contrastive loss on two views plus cross-entropy on the first.

    Where a recipe selects and stops by loss, it looks at the cross-entropy; with ``selects_by=objective`` at both
    losses with their weights, on two equal views of each test image. The author's code of ``convergent`` does that, and
    so does its recipe. The test loss shown is the cross-entropy in any case.
    """
    return _with_ce("supcon", temperature, contrastive_weight, ce_weight, projection, classifier_input, selects_by)


@METHODS.register("simclr_ce", source="convergent section 5.7; Chen et al. 2020")
def simclr_ce(
    *,
    temperature: float = 0.07,
    contrastive_weight: float = 0.5,
    ce_weight: float = 0.5,
    projection: int = 128,
    classifier_input: str = "features",
) -> tuple[Stage, ...]:
    """SimCLR's contrastive loss on two views plus cross-entropy on the first."""
    return _with_ce("simclr", temperature, contrastive_weight, ce_weight, projection, classifier_input)


@METHODS.register("supcon", source="Khosla et al. 2020, Eq. 2; convergent sections 5.3 and 5.4")
def supcon(*, temperature: float = 0.07, projection: int = 128, probe_epochs: float = 0.2) -> tuple[Stage, ...]:
    """Supervised contrastive learning alone, then a linear probe on the frozen features."""
    return _with_probe("supcon", temperature, projection, probe_epochs)


@METHODS.register("simclr", source="Chen et al. 2020; convergent section 5.7")
def simclr(*, temperature: float = 0.07, projection: int = 128, probe_epochs: float = 0.2) -> tuple[Stage, ...]:
    """SimCLR (labels unused) alone, then a linear probe on the frozen features."""
    return _with_probe("simclr", temperature, projection, probe_epochs)


def _probed(loss: Spec, projection: int, probe_epochs: float) -> tuple[Stage, ...]:
    learn = Stage(contrastive=loss, projection=projection, lr={"backbone": 1.0, "projector": 1.0})
    return learn, parts.probe(projection, probe_epochs)


@METHODS.register("kcl", source="Kang et al. 2021; convergent section 2.5.1")
def kcl(
    *, temperature: float = 0.07, k: int = 6, projection: int = 128, probe_epochs: float = 0.2
) -> tuple[Stage, ...]:
    """Contrastive learning with k positives of the class, then a linear probe."""
    return _probed(loss_("kcl", temperature=temperature, k=k), projection, probe_epochs)


@METHODS.register("tsc", source="Li et al. 2022; convergent section 2.5.1")
def tsc(
    *, temperature: float = 0.07, k: int = 6, projection: int = 128, probe_epochs: float = 0.2
) -> tuple[Stage, ...]:
    """Contrastive learning towards uniform targets, then a linear probe."""
    return _probed(loss_("tsc", temperature=temperature, k=k, width=projection), projection, probe_epochs)


@METHODS.register("bcl", version=2, source="Zhu et al. 2022, and its code; convergent section 2.5.1")
def bcl(*, temperature: float = 0.1, weight: float = 0.35, projection: int = 128) -> tuple[Stage, ...]:
    """Balanced contrastive loss beside logit-adjusted cross-entropy, on three views.

    As in the code: the first view is classified by a cosine classifier of scale 30, the other two are compared; the
    projector has batch normalisation, and class prototypes are the classifier's weights through a projector of their
    own. Otherwise than there, where the first view has RandAugment and the others SimCLR's augmentation, all three have
    the recipe's. The code trains on ImageNet-LT and iNaturalist, at temperature 0.07 with a projection 1024 wide; 0.1
    is its loss's own default.
    """
    return (
        Stage(
            contrastive=loss_("bcl", temperature=temperature),
            loss=loss_("logit_adjustment"),
            weights=(float(weight), 1.0),
            classifier="normed",
            projection=projection,
            projector="prototypes",
        ),
    )
