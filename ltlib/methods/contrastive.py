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


def _with_probe(
    name: str, temperature: float, projection: int, probe_epochs: float, probe_rate: float, probe_sampler: Any
) -> tuple[Stage, ...]:
    learn = _contrastive(name, temperature, (1.0, 0.0), projection=projection, lr={"backbone": 1.0, "projector": 1.0})
    return learn, parts.probe(projection, probe_epochs, probe_rate, probe_sampler)


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
def supcon(
    *,
    temperature: float = 0.07,
    projection: int = 128,
    probe_epochs: float = 0.2,
    probe_rate: float = 1.25,
    probe_sampler: Any = "instance_balanced",
) -> tuple[Stage, ...]:
    """Supervised contrastive learning alone, then a linear probe on the frozen features.

    The views have the recipe's augmentation, where the authors' code (SupContrast) has SimCLR's, and temperature 0.1 in
    its command for CIFAR. Its probe has a rate of 5 in batches of 512, here for 128, and no weight decay.
    """
    return _with_probe("supcon", temperature, projection, probe_epochs, probe_rate, probe_sampler)


@METHODS.register("simclr", source="Chen et al. 2020; convergent section 5.7")
def simclr(
    *,
    temperature: float = 0.07,
    projection: int = 128,
    probe_epochs: float = 0.2,
    probe_rate: float = 1.25,
    probe_sampler: Any = "instance_balanced",
) -> tuple[Stage, ...]:
    """SimCLR (labels unused) alone, then a linear probe on the frozen features; both as in `supcon`."""
    return _with_probe("simclr", temperature, projection, probe_epochs, probe_rate, probe_sampler)


def _positives(loss: Spec, projection: int, epochs: float = 1.0) -> Stage:
    return Stage(contrastive=loss, projection=projection, epochs=epochs, lr={"backbone": 1.0, "projector": 1.0})


@METHODS.register("kcl", source="Kang et al. 2021; convergent section 2.5.1")
def kcl(
    *,
    temperature: float = 0.07,
    k: int = 6,
    projection: int = 128,
    probe_epochs: float = 0.2,
    probe_rate: float = 0.625,
    probe_sampler: Any = "class_balanced",
) -> tuple[Stage, ...]:
    """Contrastive learning with k positives of the class, then a linear probe.

    The probe is that of TSC's code, which trains both: class-balanced, a rate of 10 in batches of 2,048, here for 128,
    no weight decay. The code of KCL's authors (BalFeat) has a rate of 30 in batches of 256 and the images as they are.
    The views have the recipe's augmentation, SimCLR's there.
    """
    learn = _positives(loss_("kcl", temperature=temperature, k=k), projection)
    return learn, parts.probe(projection, probe_epochs, probe_rate, probe_sampler)


@METHODS.register("tsc", source="Li et al. 2022; convergent section 2.5.1")
def tsc(
    *,
    temperature: float = 0.07,
    k: int = 6,
    projection: int = 128,
    start: float = 0.5,
    probe_epochs: float = 0.2,
    probe_rate: float = 0.625,
    probe_sampler: Any = "class_balanced",
) -> tuple[Stage, ...]:
    """KCL for the first half, then contrastive learning towards uniform targets, then a linear probe.

    The targets wait for classes that have a place: ``start`` is the share of the epochs before them, after which
    optimizer and schedule begin anew, as in the code (200 and 200 epochs). Probe and views are those of `kcl`.
    """
    if not 0 <= start < 1:
        raise SettingError(f"start of tsc must be a share of the epochs from 0 to below 1, not {start}")
    before = (_positives(loss_("kcl", temperature=temperature, k=k), projection, float(start)),) if start else ()
    aimed = loss_("tsc", temperature=temperature, k=k, width=projection)
    probe = parts.probe(projection, probe_epochs, probe_rate, probe_sampler)
    return *before, _positives(aimed, projection, 1.0 - float(start)), probe


@METHODS.register("bcl", version=2, source="Zhu et al. 2022, and its code; convergent section 2.5.1")
def bcl(
    *,
    temperature: float = 0.1,
    weight: float = 0.35,
    projection: int = 128,
    ce_weight: float = 1.0,
    tau: float = 1.0,
    classifier: str = "normed",
    hidden: int = 0,
    views: Any = "recipe",
) -> tuple[Stage, ...]:
    """Balanced contrastive loss beside logit-adjusted cross-entropy, on three views.

    As in the code: the first view is classified by a cosine classifier of scale 30, the other two are compared; the
    projector has batch normalisation, and class prototypes are the classifier's weights through a projector of their
    own. There the first view has RandAugment and the others SimCLR's augmentation: the compared views have ``views``,
    and by default the recipe's. The code trains on ImageNet-LT and iNaturalist, at temperature 0.07 with a projection
    1024 wide; 0.1 is its loss's own default.

    As the code of ConCutMix trains it on CIFAR, with AutoAugment in the recipe:
    ``bcl[views=simclr;weight=0.6;ce_weight=2;hidden=512;classifier=linear]``. For a linear classifier that code
    projects the columns of its weights, which are features and not classes; here the prototypes are of the classes
    always.
    """
    return (
        Stage(
            contrastive=loss_("bcl", temperature=temperature),
            loss=loss_("logit_adjustment", tau=float(tau)),
            weights=(float(weight), float(ce_weight)),
            classifier=_linear_or_normed("bcl", classifier),
            projection=projection,
            projector="prototypes",
            projector_hidden=hidden,
            view_augmentation=parts.views(views),
        ),
    )


@METHODS.register("proco", source="Du et al. 2024, and its code")
def proco(
    *,
    temperature: float = 0.1,
    weight: float = 1.0,
    projection: int = 128,
    hidden: int = 512,
    tau: float = 1.0,
    views: Any = "simclr",
) -> tuple[Stage, ...]:
    """Contrastive loss in expectation over a von Mises-Fisher distribution of each class, beside logit adjustment.

    As in the code for CIFAR: the first view, with the recipe's augmentation (AutoAugment and Cutout there), is
    classified, linearly; the other two meet the classes' distributions; the projector has batch normalisation and a
    hidden layer 512 wide. Its compared views are cropped to as little as 8 percent of the area and not blurred:
    ``views=resizedcrop+flip+distort0.4+grey20``.
    """
    return (
        Stage(
            contrastive=loss_("proco", temperature=float(temperature), width=projection),
            loss=loss_("logit_adjustment", tau=float(tau)),
            weights=(float(weight), 1.0),
            projection=projection,
            projector="mlp_bn",
            projector_hidden=hidden,
            apart=True,
            view_augmentation=parts.views(views),
        ),
    )


@METHODS.register("concutmix", source="Pan et al. 2024, and its code")
def concutmix(
    *,
    temperature: float = 0.1,
    weight: float = 0.6,
    ce_weight: float = 2.0,
    projection: int = 128,
    hidden: int = 512,
    tau: float = 0.9,
    classifier: str = "linear",
    prob: float = 0.5,
    top_k: int = 30,
    factor: float = 20 / 255,
    start: float = 0.5,
    views: Any = "simclr",
) -> tuple[Stage, ...]:
    """BCL whose classified view is mixed with images of rare classes, its label by similarity late in training.

    The defaults are those of the code for CIFAR-100-LT at 100, which has AutoAugment without Cutout in its recipe; for
    400 epochs it has ``tau=0.79;start=0.4``, on CIFAR-10 ``top_k=3;factor=0.00784;tau=0.85``. Mixed images are of rare
    classes more often than the training set's are, so tau is below 1. CutMix takes its donors from a class-balanced
    sampler and mixes every second batch; `ltlib.losses.concutmix` says what the similarity is worth.
    """
    return (
        Stage(
            contrastive=loss_(
                "concutmix", temperature=float(temperature), top_k=top_k, factor=float(factor), start=float(start)
            ),
            loss=loss_("logit_adjustment", tau=float(tau)),
            weights=(float(weight), float(ce_weight)),
            classifier=_linear_or_normed("concutmix", classifier),
            projection=projection,
            projector="prototypes",
            projector_hidden=hidden,
            mix=parts.mix("cmo", prob=float(prob), first=0, last=0),
            view_augmentation=parts.views(views),
        ),
    )


@METHODS.register("paco", source="Cui et al. 2021, and its code")
def paco(
    *,
    temperature: float = 0.05,
    alpha: float = 0.01,
    beta: float = 1.0,
    gamma: float = 1.0,
    queue: int = 1024,
    momentum: float = 0.999,
    projection: int = 32,
    views: Any = "simclr",
) -> tuple[Stage, ...]:
    """Contrastive loss with a queue of keys and a learnable centre for each class, on two views.

    The defaults are those of the code for CIFAR-100-LT at 100 and 50, whose recipe has AutoAugment and Cutout, 400
    epochs, a rate of 0.05 and a decay of 5e-4; an earlier state of it has alpha 0.02, a projection of 64 and a rate of
    0.02. The centres are the classifier, of the first view and of the test; the second view, with ``views``, makes the
    keys.
    """
    settings = {"temperature": temperature, "alpha": alpha, "beta": beta, "gamma": gamma, "momentum": momentum}
    return (
        Stage(
            contrastive=loss_("paco", queue=queue, width=projection, **{k: float(v) for k, v in settings.items()}),
            loss=loss_("ce"),
            weights=(1.0, 0.0),
            projection=projection,
            projector="mlp_bn",
            view_augmentation=parts.views(views),
        ),
    )


def _linear_or_normed(method: str, classifier: str) -> Any:
    if classifier not in ("linear", "normed"):
        raise SettingError(f"classifier of {method} must be linear or normed, not {classifier!r}")
    return "keep" if classifier == "linear" else "normed"
