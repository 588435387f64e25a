"""Methods of one stage: cross-entropy, focal loss, mixing, other samplers."""

from __future__ import annotations

from typing import Any

from ltlib import losses
from ltlib.batches import draws
from ltlib.errors import SettingError
from ltlib.methods.parts import loss as loss_
from ltlib.methods.parts import mix as mix_
from ltlib.methods.stage import METHODS, Stage
from ltlib.registry import Spec


@METHODS.register("ce", source="Bishop 2006, section 4.3.4; convergent Eq. 3")
def ce() -> tuple[Stage, ...]:
    """Cross-entropy: the plain baseline."""
    return (Stage(loss=losses.spec("ce")),)


@METHODS.register("focal", source="Lin et al. 2017, Eq. 5; convergent Eq. 4")
def focal(*, gamma: float = 2.0, alpha: Any = None) -> tuple[Stage, ...]:
    """Focal loss: cross-entropy with the weight alpha_t (1 - p_t)^gamma."""
    if gamma < 0:
        raise SettingError(f"gamma of focal must not be negative, not {gamma}")
    if isinstance(alpha, int) and not isinstance(alpha, bool):
        alpha = float(alpha)  # 1 and 1.0 are one loss
    return (Stage(loss=Spec("focal", losses.LOSSES.get("focal").version, {"alpha": alpha, "gamma": gamma})),)


@METHODS.register("mixup", source="Zhang et al. 2018; awabs section 2.3.1, Tables 4.6 and 4.7")
def mixup(*, alpha: float = 1.0) -> tuple[Stage, ...]:
    """Cross-entropy on mixed images: the first stage of MiSLAS."""
    return (Stage(loss=loss_("ce"), mix=mix_("mixup", alpha=alpha)),)


@METHODS.register("cutmix", source="Yun et al. 2019; awabs section 2.3.3")
def cutmix(*, loss: str = "ce", alpha: float = 1.0, prob: float = 1.0) -> tuple[Stage, ...]:
    """A rectangle of another image pasted in; with ``loss=balanced_softmax`` stage 1 of proposed method 2."""
    return (Stage(loss=losses.spec(loss), mix=mix_("cutmix", alpha=alpha, prob=prob)),)


@METHODS.register("cutout", source="DeVries and Taylor 2017; awabs section 2.3.2")
def cutout(*, loss: str = "ce", scale: float = 0.5) -> tuple[Stage, ...]:
    """A square of the mean colour in every image; with ``loss=balanced_softmax`` stage 1 of proposed method 1."""
    return (Stage(loss=losses.spec(loss), mix=mix_("cutout", scale=scale)),)


@METHODS.register("cutthumbnail", source="Xie et al. 2021; awabs section 2.3.4")
def cutthumbnail(*, loss: str = "ce", scale: float = 0.5, prob: float = 0.8) -> tuple[Stage, ...]:
    """The image, smaller, pasted into itself; with ``loss=balanced_softmax`` stage 1 of proposed method 3."""
    return (Stage(loss=losses.spec(loss), mix=mix_("cut_thumbnail", scale=scale, prob=prob)),)


@METHODS.register("cmo", source="Park et al. 2022; awabs section 2.3.5")
def cmo(*, loss: str = "ce", prob: float = 0.5) -> tuple[Stage, ...]:
    """CutMix whose pasted images come from rare classes."""
    return (Stage(loss=losses.spec(loss), mix=mix_("cmo", prob=prob)),)


@METHODS.register("remix_drw", version=2, source="Chou et al. 2020; code of imbalanced-DL; awabs Tables 4.6 and 4.7")
def remix_drw(
    *, kappa: float = 3.0, tau: float = 0.5, start_share: float = 0.8, reduction: str = "batch_size"
) -> tuple[Stage, ...]:
    """Remix with class weights late in training.

    The code weighs each image's two losses, mixes them and takes the mean over the batch. ``reduction=weight_sum``
    divides by the weights' sums, as did the first version of this method. That code passes each batch through the
    network once more before it is mixed, so that half of what its batch statistics see is not mixed; it trains 300
    epochs, a tenth of the rate from half and from five sixths on (``start_share=0.8333``), and has no bias.
    """
    late = loss_("deferred", start_share=start_share, reduction=reduction)
    return (Stage(loss=late, mix=mix_("remix", kappa=kappa, tau=tau)),)


@METHODS.register("oversampling", source="loss_balance Table 2, row OS")
def oversampling() -> tuple[Stage, ...]:
    """Cross-entropy on classes filled up to the largest by repetition."""
    return (Stage(loss=loss_("ce"), sampler=draws.spec("random_oversampling")),)


@METHODS.register("resampling", source="Kang et al. 2020, section 3")
def resampling(*, sampler: str = "class_balanced") -> tuple[Stage, ...]:
    """Cross-entropy on another sampler's batches."""
    return (Stage(loss=loss_("ce"), sampler=draws.spec(sampler)),)
