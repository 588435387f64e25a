"""Methods of two stages: the classifier trained anew, scaled, smoothed or changed after plain training.

Where a method says nothing else its second stage is `parts.second`, over a twentieth of the recipe's epochs.

``crt`` and ``lws`` leave the frozen backbone's batch statistics as they are, as MiSLAS's code does. The code of Kang et
al. (classifier-balancing) has all parts in training mode there, so that batches are normalised by themselves and the
statistics drift to balanced images, and draws four images of a class in a row (`samplers`, ``class_aware``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ltlib import losses
from ltlib.batches import draws
from ltlib.errors import SettingError
from ltlib.methods import finishes
from ltlib.methods.one_stage import mixup
from ltlib.methods.parts import SECOND
from ltlib.methods.parts import loss as loss_
from ltlib.methods.parts import second as second_
from ltlib.methods.stage import METHODS, Stage, stages
from ltlib.registry import format_spec


@METHODS.register("crt", source="Kang et al. 2020, section 4.2; awabs Table 4.1")
def crt(*, epochs: float = SECOND) -> tuple[Stage, ...]:
    """Classifier re-training: fresh classifier on frozen features, class-balanced."""
    return Stage(loss=loss_("ce")), second_(loss_("ce"), epochs, classifier="reset")


@METHODS.register("crt_mixup", source="Zhong et al. 2021; awabs Tables 4.1 and 4.7")
def crt_mixup(*, alpha: float = 1.0, epochs: float = SECOND) -> tuple[Stage, ...]:
    """cRT after a first stage with mixup."""
    return mixup(alpha=alpha)[0], second_(loss_("ce"), epochs, classifier="reset")


def _scales(form: str) -> str:
    if form not in ("frozen", "mislas"):
        raise SettingError(f"form of lws must be frozen (Kang et al.) or mislas (classifier trained too), not {form!r}")
    return "lws" if form == "frozen" else "lws_mislas"


@METHODS.register("lws", source="Kang et al. 2020, section 4.3; awabs Table 4.1")
def lws(*, form: str = "frozen", epochs: float = SECOND) -> tuple[Stage, ...]:
    """Learnable weight scaling: one scale per class on the trained classifier."""
    return Stage(loss=loss_("ce")), second_(loss_("ce"), epochs, classifier=_scales(form))


@METHODS.register("lws_mixup", source="Zhong et al. 2021; awabs Tables 4.1 and 4.7")
def lws_mixup(*, alpha: float = 1.0, form: str = "frozen", epochs: float = SECOND) -> tuple[Stage, ...]:
    """LWS after a first stage with mixup."""
    return mixup(alpha=alpha)[0], second_(loss_("ce"), epochs, classifier=_scales(form))


@METHODS.register("lws_mixup_shifted_bn", source="Zhong et al. 2021, section 3.4; awabs Table 4.1")
def lws_mixup_shifted_bn(*, alpha: float = 1.0, form: str = "frozen", epochs: float = SECOND) -> tuple[Stage, ...]:
    """LWS after mixup, with the backbone's batch statistics learnt anew from class-balanced batches."""
    return mixup(alpha=alpha)[0], second_(loss_("ce"), epochs, classifier=_scales(form), batch_norm="shift")


def _finished(finish: str, **settings: Any) -> tuple[Stage, ...]:
    """Cross-entropy, then a change of the classifier without training."""
    change = finishes.spec(format_spec(finish, settings))
    return Stage(loss=loss_("ce")), Stage(loss=loss_("ce"), epochs=0.0, lr={}, finish=change)


@METHODS.register("tau_norm", source="Kang et al. 2020, section 4.2")
def tau_norm(*, tau: float = 1.0) -> tuple[Stage, ...]:
    """Cross-entropy, then each class's weights divided by their norm to the power tau."""
    return _finished("tau_normalization", tau=float(tau))


@METHODS.register("ncm", source="Kang et al. 2020, section 4.2")
def ncm(*, form: str = "cosine") -> tuple[Stage, ...]:
    """Cross-entropy, then the class whose mean feature is nearest.

    ``form=cosine`` is the paper's; ``centred`` and ``euclidean`` are what its code compares by, see `finishes.MEANS`.
    """
    return _finished("nearest_class_mean", form=form)


@METHODS.register("weight_maximum", source="convergent section 4.2.2")
def weight_maximum() -> tuple[Stage, ...]:
    """Cross-entropy, then the classifier divided by its largest weight: other confidences, the same predictions."""
    return _finished("division_by_maximum")


@METHODS.register("mislas", version=2, source="Zhong et al. 2021; awabs Tables 4.6 to 4.8")
def mislas(
    *,
    alpha: float = 1.0,
    epsilon_head: float = 0.3,
    epsilon_tail: float = 0.0,
    form: str = "concave",
    lr: float = 0.5,
    shift: bool = False,
    epoch_ends: str = "images",
    epochs: float = SECOND,
) -> tuple[Stage, ...]:
    """Mixup, then label-aware smoothing on scaled logits (the code's smoothing; CIFAR-10 at IF 100 by default).

    The class-aware sampler's order has K n_max images, but the code leaves an epoch of stage 2 after the batches of
    about N images, 86 instead of 391 on CIFAR-100-LT at IF 100. ``epoch_ends=sampler`` goes through the whole order, as
    did the first version of this method.
    """
    if epoch_ends not in ("images", "sampler"):
        raise SettingError(f"epoch_ends of mislas must be images (the code's) or sampler, not {epoch_ends!r}")
    smoothing = loss_(
        "label_aware_smoothing", form=form, epsilon_head=epsilon_head, epsilon_tail=epsilon_tail, spread="all"
    )
    second = second_(
        smoothing,
        epochs,
        lr={"classifier": float(lr), "scales": 1.0},  # the code scales the rate of the classifier alone
        classifier="lws_mislas",
        batch_norm="shift" if shift else "train",
        sampler=draws.spec("class_aware"),
        epoch_ends=epoch_ends,
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
        mislas(lr=lr, shift=shift, epoch_ends="sampler", epochs=epochs)[1],
        loss=loss_("class_balanced", beta=beta),
        sampler=draws.spec("instance_balanced"),
    )
    return mixup(alpha=alpha)[0], second


@METHODS.register(
    "weight_balancing",
    version=2,
    source="Alshammari et al. 2022; code of LTR-weight-balancing; convergent section 4.2",
)
def weight_balancing(
    *,
    lr: float = 0.01,
    weight_decay: float = 5e-3,
    classifier_decay: float = 0.1,
    max_norm: float = 0.1,
    beta: float = 0.9999,
    epochs: float = SECOND,
) -> tuple[Stage, ...]:
    """A tuned weight decay, then class-balanced weights on the classifier under a decay and a cap on its rows' norms.

    As in the code's two demos for CIFAR-100-LT: both stages at the rate `lr` with a cosine schedule, the second with
    binary cross-entropy on softmax outputs, batch statistics that go on learning, and a cap after each epoch at
    min + max_norm (max - min) of the rows' norms as that stage begins. Otherwise than there: the recipe says batch
    size, epochs and augmentation; stage 2 starts from the last epoch, not from the best on the test set; and the code's
    cosine is an epoch ahead of ours, so that its last epoch has the rate 0.
    """
    second = second_(
        loss_("class_balanced", base="softmax_bce", beta=beta),
        epochs,
        peak_lr=float(lr),
        weight_decay=float(classifier_decay),
        max_norm=float(max_norm),
        batch_norm="shift",
        sampler=draws.spec("instance_balanced"),
    )
    first = Stage(loss=loss_("ce"), peak_lr=float(lr), schedule="cosine", weight_decay=float(weight_decay))
    return first, second


@METHODS.register("refit", source="Jin et al. 2023, by the code of SHIKE")
def refit(
    *, of: str = "ce", loss: str = "balanced_softmax", epochs: float = 0.1, fresh: bool = True, shift: bool = False
) -> tuple[Stage, ...]:
    """Another method's network with its classifier trained anew on frozen features by balanced softmax: SHIKE's end.

    All stages of the method come first, so a run of it and its refit share them. Then images are drawn and augmented as
    the recipe says, under a cosine of their own from the recipe's rate. SHIKE's 20 epochs are the last of 200; here
    they come on top, a tenth of the recipe's. Otherwise than in its code there is no warm-up, and batch statistics stay
    as they are: there they go on moving with the frozen weights, ``shift=true``. Its classifiers are cosine ones of
    scale 30; here the kind stays that of the method. ``fresh=false`` goes on from the classifier that is there.
    """
    first = stages(of)
    last = first[-1]
    changed = any(stage.finish for stage in first) or last.classifier.startswith("lws")
    if changed or last.network not in ("plain", "experts"):
        raise SettingError(f"refit goes on from one classifier as it was trained, which {of} does not end with")
    if first[0].classifier == "cosine" and not losses.spec(loss).name.startswith("ldam"):
        raise SettingError(f"refit of {of} would put {loss} on bare cosines; their scale is in ldam and ldam_drw alone")
    second = second_(
        losses.spec(loss),
        epochs,
        sampler=draws.spec("instance_balanced"),
        classifier="reset" if fresh else "keep",
        classifier_input=last.classifier_input,
        batch_norm="shift" if shift else "train",
        network=last.network,
        experts=(losses.spec(loss),) * len(last.experts),
    )
    return (*first, second)
