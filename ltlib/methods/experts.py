"""Methods of several experts on shared layers, a kind of their own: their networks are larger than the others'."""

from __future__ import annotations

from dataclasses import replace

from ltlib.errors import SettingError
from ltlib.limits import NOT_NEGATIVE, Limit
from ltlib.methods.parts import mix as mix_
from ltlib.methods.stage import METHODS, Stage
from ltlib.registry import Value, format_value

_SEVERAL = Limit(2, whole=True)


@METHODS.register("ride", source="Wang et al. 2021, by the code of RIDE")
def ride(*, experts: int = 3, diversity: float = 0.45) -> tuple[Stage, ...]:
    """Experts that learn LDAM-DRW each, and are rewarded for lying apart. Every image asks all of them: no routing.

    The diversity is that of the code's last configuration for CIFAR-100; an earlier one has 0.2.
    """
    _SEVERAL.check("setting experts of method ride", experts)
    NOT_NEGATIVE.check("setting diversity of method ride", diversity)
    losses = ("ldam_drw",) * experts
    return (
        Stage(
            loss="ldam_drw",  # type: ignore[arg-type]  # read as a component, as all texts are
            network="experts",
            experts=losses,  # type: ignore[arg-type]
            diversity=float(diversity),
            classifier="cosine",
        ),
    )


@METHODS.register("sade", source="Zhang et al. 2022, by the code of SADE")
def sade(*, inverse: float = 2.0) -> tuple[Stage, ...]:
    """Three experts for a long-tailed, a balanced and an inversely long-tailed world: plain, balanced, inverse softmax.

    Their mean is the prediction; the weights that SADE learns on unlabelled test images are not built.
    """
    turned = f"logit_adjustment[inverse={format_value(float(inverse))};tau=1.0]"
    return (_adjusted(("ce", "balanced_softmax", turned)),)


@METHODS.register("balpoe", source="Aimar et al. 2023, by the code of BalPoE")
def balpoe(*, taus: Value = (0.0, 1.0, 2.0), alpha: float = 0.4) -> tuple[Stage, ...]:
    """Experts of logit adjustment of several strengths whose mean is balanced, with mixup for their calibration.

    The paper's biases lambda of 1, 0 and -1 are tau = 1 - lambda: on the average the prior is taken off once.
    ``alpha=0`` leaves mixup out. The objective is the mean of the experts' losses, where RIDE and SADE take the sum.
    """
    strengths = taus if isinstance(taus, tuple) else (taus,)
    for tau in strengths:
        NOT_NEGATIVE.check("each of the taus of method balpoe", tau)
    _SEVERAL.check("the number of taus of method balpoe", len(strengths))
    NOT_NEGATIVE.check("setting alpha of method balpoe", alpha)
    numbers = [float(tau) for tau in strengths if isinstance(tau, int | float)]
    if abs(sum(numbers) - len(numbers)) > 1e-9:
        raise SettingError(f"taus of balpoe must be 1 in the mean, or its experts are not balanced, not {taus!r}")
    texts = tuple(f"logit_adjustment[tau={format_value(tau)}]" for tau in numbers)
    return (replace(_adjusted(texts, alpha), weights=(1.0, 1.0 / len(texts))),)


def _adjusted(losses: tuple[str, ...], alpha: float = 0.0) -> Stage:
    """Experts on scaled cosines, as RIDE and SADE have them on CIFAR, reported by plain cross-entropy."""
    return Stage(
        loss="ce",  # type: ignore[arg-type]
        network="experts",
        experts=losses,  # type: ignore[arg-type]
        classifier="normed",
        mix=mix_("mixup", alpha=alpha) if alpha else None,
    )
