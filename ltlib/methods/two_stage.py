"""Methods of more than a loss: mixing, deferred schedules, two stages, several branches, samplers.

Importing this module adds them to `METHODS`. A second stage that trains the classifier anew has a twentieth of the
recipe's epochs (10 of 200, as MiSLAS and the cRT code), a cosine schedule without warm-up, and leaves the backbone and
its batch statistics as they are; where a method does otherwise it says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ltlib import finishes, losses, sampling
from ltlib import mixing as mixings
from ltlib.errors import SettingError
from ltlib.methods import METHODS, Stage
from ltlib.registry import Spec, format_spec

SECOND = 0.05
"""Share of the epochs a second stage has."""


def _loss(name: str, **settings: Any) -> Spec:
    return losses.spec(format_spec(name, settings))


def _mix(name: str, **settings: Any) -> Spec:
    return mixings.spec(format_spec(name, settings))


def _second(loss: Spec, epochs: float, **changes: Any) -> Stage:
    """Classifier only, class-balanced batches, cosine schedule."""
    stage = Stage(
        loss=loss,
        sampler=sampling.spec("class_balanced"),
        epochs=epochs,
        lr={"classifier": 1.0},
        schedule="cosine",
    )
    return replace(stage, **changes)


# --- mixing and samplers ---------------------------------------------------------------------------------------------


@METHODS.register("mixup", source="Zhang et al. 2018; awabs section 2.3.1, Tables 4.6 and 4.7")
def mixup(*, alpha: float = 1.0) -> tuple[Stage, ...]:
    """Cross-entropy on mixed images: the first stage of MiSLAS."""
    return (Stage(loss=_loss("ce"), mix=_mix("mixup", alpha=alpha)),)


@METHODS.register("cutmix", source="Yun et al. 2019; awabs section 2.3.3")
def cutmix(*, loss: str = "ce", alpha: float = 1.0, prob: float = 1.0) -> tuple[Stage, ...]:
    """A rectangle of another image pasted in; with ``loss=balanced_softmax`` stage 1 of proposed method 2."""
    return (Stage(loss=losses.spec(loss), mix=_mix("cutmix", alpha=alpha, prob=prob)),)


@METHODS.register("cutout", source="DeVries and Taylor 2017; awabs section 2.3.2")
def cutout(*, loss: str = "ce", scale: float = 0.5) -> tuple[Stage, ...]:
    """A square of the mean colour in every image; with ``loss=balanced_softmax`` stage 1 of proposed method 1."""
    return (Stage(loss=losses.spec(loss), mix=_mix("cutout", scale=scale)),)


@METHODS.register("cutthumbnail", source="Xie et al. 2021; awabs section 2.3.4")
def cutthumbnail(*, loss: str = "ce", scale: float = 0.5, prob: float = 0.8) -> tuple[Stage, ...]:
    """The image, smaller, pasted into itself; with ``loss=balanced_softmax`` stage 1 of proposed method 3."""
    return (Stage(loss=losses.spec(loss), mix=_mix("cut_thumbnail", scale=scale, prob=prob)),)


@METHODS.register("cmo", source="Park et al. 2022; awabs section 2.3.5")
def cmo(*, loss: str = "ce", prob: float = 0.5) -> tuple[Stage, ...]:
    """CutMix whose pasted images come from rare classes."""
    return (Stage(loss=losses.spec(loss), mix=_mix("cmo", prob=prob)),)


@METHODS.register("remix_drw", source="Chou et al. 2020; awabs Tables 4.6 and 4.7")
def remix_drw(*, kappa: float = 3.0, tau: float = 0.5, start_share: float = 0.8) -> tuple[Stage, ...]:
    """Remix with class weights late in training."""
    return (Stage(loss=_loss("deferred", start_share=start_share), mix=_mix("remix", kappa=kappa, tau=tau)),)


@METHODS.register("oversampling", source="loss_balance Table 2, row OS")
def oversampling() -> tuple[Stage, ...]:
    """Cross-entropy on classes filled up to the largest by repetition."""
    return (Stage(loss=_loss("ce"), sampler=sampling.spec("random_oversampling")),)


@METHODS.register("resampling", source="Kang et al. 2020, section 3")
def resampling(*, sampler: str = "class_balanced") -> tuple[Stage, ...]:
    """Cross-entropy on another sampler's batches."""
    return (Stage(loss=_loss("ce"), sampler=sampling.spec(sampler)),)


# --- two stages ------------------------------------------------------------------------------------------------------


@METHODS.register("crt", source="Kang et al. 2020, section 4.2; awabs Table 4.1")
def crt(*, epochs: float = SECOND) -> tuple[Stage, ...]:
    """Classifier re-training: fresh classifier on frozen features, class-balanced."""
    return Stage(loss=_loss("ce")), _second(_loss("ce"), epochs, classifier="reset")


@METHODS.register("crt_mixup", source="Zhong et al. 2021; awabs Tables 4.1 and 4.7")
def crt_mixup(*, alpha: float = 1.0, epochs: float = SECOND) -> tuple[Stage, ...]:
    """cRT after a first stage with mixup."""
    return mixup(alpha=alpha)[0], _second(_loss("ce"), epochs, classifier="reset")


def _scales(form: str) -> str:
    if form not in ("frozen", "mislas"):
        raise SettingError(f"form of lws must be frozen (Kang et al.) or mislas (classifier trained too), not {form!r}")
    return "lws" if form == "frozen" else "lws_mislas"


@METHODS.register("lws", source="Kang et al. 2020, section 4.3; awabs Table 4.1")
def lws(*, form: str = "frozen", epochs: float = SECOND) -> tuple[Stage, ...]:
    """Learnable weight scaling: one scale per class on the trained classifier."""
    return Stage(loss=_loss("ce")), _second(_loss("ce"), epochs, classifier=_scales(form))


@METHODS.register("lws_mixup", source="Zhong et al. 2021; awabs Tables 4.1 and 4.7")
def lws_mixup(*, alpha: float = 1.0, form: str = "frozen", epochs: float = SECOND) -> tuple[Stage, ...]:
    """LWS after a first stage with mixup."""
    return mixup(alpha=alpha)[0], _second(_loss("ce"), epochs, classifier=_scales(form))


@METHODS.register("lws_mixup_shifted_bn", source="Zhong et al. 2021, section 3.4; awabs Table 4.1")
def lws_mixup_shifted_bn(*, alpha: float = 1.0, form: str = "frozen", epochs: float = SECOND) -> tuple[Stage, ...]:
    """LWS after mixup, with the backbone's batch statistics learnt anew from class-balanced batches."""
    return mixup(alpha=alpha)[0], _second(_loss("ce"), epochs, classifier=_scales(form), batch_norm="shift")


def _finished(finish: str, **settings: Any) -> tuple[Stage, ...]:
    """Cross-entropy, then a change of the classifier without training."""
    change = finishes.spec(format_spec(finish, settings))
    return Stage(loss=_loss("ce")), Stage(loss=_loss("ce"), epochs=0.0, lr={}, finish=change)


@METHODS.register("tau_norm", source="Kang et al. 2020, section 4.2")
def tau_norm(*, tau: float = 1.0) -> tuple[Stage, ...]:
    """Cross-entropy, then each class's weights divided by their norm to the power tau."""
    return _finished("tau_normalization", tau=float(tau))


@METHODS.register("ncm", source="Kang et al. 2020, section 4.2")
def ncm() -> tuple[Stage, ...]:
    """Cross-entropy, then the class whose mean feature is nearest by cosine."""
    return _finished("nearest_class_mean")


@METHODS.register("weight_maximum", source="convergent section 4.2.2")
def weight_maximum() -> tuple[Stage, ...]:
    """Cross-entropy, then the classifier divided by its largest weight: other confidences, the same predictions."""
    return _finished("division_by_maximum")


@METHODS.register("mislas", source="Zhong et al. 2021; awabs Tables 4.6 to 4.8")
def mislas(
    *,
    alpha: float = 1.0,
    epsilon_head: float = 0.3,
    epsilon_tail: float = 0.0,
    form: str = "concave",
    lr: float = 0.5,
    shift: bool = False,
    epochs: float = SECOND,
) -> tuple[Stage, ...]:
    """Mixup, then label-aware smoothing on scaled logits (the code's smoothing; CIFAR-10 at IF 100 by default)."""
    smoothing = _loss(
        "label_aware_smoothing", form=form, epsilon_head=epsilon_head, epsilon_tail=epsilon_tail, spread="all"
    )
    second = _second(
        smoothing,
        epochs,
        lr={"classifier": float(lr), "scales": 1.0},  # the code scales the rate of the classifier alone
        classifier="lws_mislas",
        batch_norm="shift" if shift else "train",
        sampler=sampling.spec("class_aware"),
    )
    return mixup(alpha=alpha)[0], second


@METHODS.register("mixup_cbce", source="Zhong et al. 2021, re-weighting in stage 2; awabs Table 4.2, row CBCE")
def mixup_cbce(
    *, alpha: float = 1.0, beta: float = 0.9999, lr: float = 0.5, shift: bool = False, epochs: float = SECOND
) -> tuple[Stage, ...]:
    """MiSLAS with class-balanced cross-entropy for its smoothing: re-weighting in stage 2.

    Its batches are instance-balanced: the weights balance, and balanced batches would balance twice. No source says.
    """
    second = replace(
        mislas(lr=lr, shift=shift, epochs=epochs)[1],
        loss=_loss("class_balanced", beta=beta),
        sampler=sampling.spec("instance_balanced"),
    )
    return mixup(alpha=alpha)[0], second


_AWABS_MIX = {
    "cutout": ("cutout", "Algorithm 1", "Proposed method 1: CutOut"),
    "cutmix": ("cutmix", "Algorithm 2", "Proposed method 2: CutMix"),
    "cutthumbnail": ("cut_thumbnail", "Algorithm 3", "Proposed method 3: Cut-Thumbnail"),
    "mixed_thumbnail": ("mixed_thumbnail", "section 5.2.1", "Left to the future by the document: mixed Cut-Thumbnail"),
}
AWABS_VARIANTS = ("continue", "decoupled", "decoupled_shifted")


def _register_awabs(name: str, mix: str, place: str, title: str) -> None:
    @METHODS.register(
        f"awabs_{name}", source=f"awabs {place} and Eq. 3.2", summary=f"{title} with balanced softmax, then AWABS."
    )
    def method(
        *,
        variant: str = "decoupled",
        form: str = "concave",
        epsilon_head: float = 0.3,
        epsilon_tail: float = 0.0,
        spread: str = "others",
        lr: float = 1.0,
        sampler: str = "instance_balanced",
        epochs: float = SECOND,
    ) -> tuple[Stage, ...]:
        """Stage 2 is under-determined: the algorithms freeze nothing and name no sampler (`AWABS_VARIANTS`).

        ``continue`` trains all parts at a tenth of the rate, ``decoupled`` the classifier alone at `lr` times the rate,
        ``decoupled_shifted`` beside it the batch statistics. Batches are instance-balanced unless `sampler` says
        otherwise: the loss has the class prior in it, and balanced batches would balance twice.
        """
        if variant not in AWABS_VARIANTS:
            raise SettingError(f"variant of awabs must be one of {', '.join(AWABS_VARIANTS)}, not {variant!r}")
        first = Stage(loss=_loss("balanced_softmax"), mix=mixings.spec(mix))
        loss = _loss("awabs", form=form, epsilon_head=epsilon_head, epsilon_tail=epsilon_tail, spread=spread)
        if variant == "continue":
            rates = dict.fromkeys(first.lr, 0.1)
            second = Stage(loss=loss, epochs=epochs, schedule="cosine", lr=rates, sampler=sampling.spec(sampler))
        else:
            shift = "shift" if variant == "decoupled_shifted" else "train"
            rates = {"classifier": float(lr)}
            second = _second(loss, epochs, batch_norm=shift, sampler=sampling.spec(sampler), lr=rates)
        return first, second


for _name, _parts in _AWABS_MIX.items():
    _register_awabs(_name, *_parts)


# --- branches, weights -----------------------------------------------------------------------------------------------


@METHODS.register("bbn", source="Zhou et al. 2020; awabs Tables 4.6 and 4.7")
def bbn() -> tuple[Stage, ...]:
    """Two branches, one on reversed sampling, with attention moving from one to the other."""
    return (Stage(loss=_loss("ce"), network="bbn", second_sampler=sampling.spec("reversed")),)


@METHODS.register("reslt", source="Cui et al. 2022; convergent section 2.5.3")
def reslt(*, beta: float = 0.99) -> tuple[Stage, ...]:
    """Three branches for all, medium and tail, and tail classes, whose logits are summed."""
    return (Stage(loss=_loss("ce"), network="reslt", beta=float(beta)),)


@METHODS.register("weight_balancing", source="Alshammari et al. 2022; convergent section 4.2")
def weight_balancing(*, weight_decay: float = 5e-3, max_norm: float = 1.0, epochs: float = SECOND) -> tuple[Stage, ...]:
    """A tuned weight decay, then class-balanced weights on the classifier under a cap on its rows' norms."""
    second = _second(
        _loss("class_balanced"), epochs, max_norm=float(max_norm), sampler=sampling.spec("instance_balanced")
    )
    return Stage(loss=_loss("ce"), weight_decay=float(weight_decay)), second


# --- contrastive -----------------------------------------------------------------------------------------------------


def _probe(projection: int, epochs: float) -> Stage:
    return Stage(
        loss=_loss("ce"),
        epochs=epochs,
        lr={"classifier": 1.0},
        classifier="reset",
        projection=projection,
        batch_norm="eval",
    )


def _contrastive(loss: Spec, projection: int, probe_epochs: float) -> tuple[Stage, ...]:
    learn = Stage(contrastive=loss, projection=projection, lr={"backbone": 1.0, "projector": 1.0})
    return learn, _probe(projection, probe_epochs)


@METHODS.register("kcl", source="Kang et al. 2021; convergent section 2.5.1")
def kcl(
    *, temperature: float = 0.07, k: int = 6, projection: int = 128, probe_epochs: float = 0.2
) -> tuple[Stage, ...]:
    """Contrastive learning with k positives of the class, then a linear probe."""
    return _contrastive(_loss("kcl", temperature=temperature, k=k), projection, probe_epochs)


@METHODS.register("tsc", source="Li et al. 2022; convergent section 2.5.1")
def tsc(
    *, temperature: float = 0.07, k: int = 6, projection: int = 128, probe_epochs: float = 0.2
) -> tuple[Stage, ...]:
    """Contrastive learning towards uniform targets, then a linear probe."""
    return _contrastive(_loss("tsc", temperature=temperature, k=k, width=projection), projection, probe_epochs)


@METHODS.register("bcl", source="Zhu et al. 2022; convergent section 2.5.1")
def bcl(*, temperature: float = 0.1, weight: float = 0.35, projection: int = 128) -> tuple[Stage, ...]:
    """Balanced contrastive loss beside logit-adjusted cross-entropy."""
    return (
        Stage(
            contrastive=_loss("bcl", temperature=temperature),
            loss=_loss("logit_adjustment"),
            weights=(float(weight), 1.0),
            projection=projection,
        ),
    )
