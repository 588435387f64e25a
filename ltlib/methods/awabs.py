"""The methods that `awabs` proposes: a mixing with balanced softmax, then AWABS smoothing."""

from __future__ import annotations

from dataclasses import replace

from ltlib import mixing
from ltlib.batches import draws
from ltlib.errors import SettingError
from ltlib.methods.parts import SECOND
from ltlib.methods.parts import loss as loss_
from ltlib.methods.parts import second as second_
from ltlib.methods.stage import METHODS, Stage
from ltlib.methods.two_stage import mislas

_AWABS_MIX = {
    "cutout": ("cutout", "Algorithm 1", "Proposed method 1: CutOut"),
    "cutmix": ("cutmix", "Algorithm 2", "Proposed method 2: CutMix"),
    "cutthumbnail": ("cut_thumbnail", "Algorithm 3", "Proposed method 3: Cut-Thumbnail"),
    "mixed_thumbnail": ("mixed_thumbnail", "section 5.2.1", "Left to the future by the document: mixed Cut-Thumbnail"),
}
AWABS_VARIANTS = ("continue", "decoupled", "decoupled_shifted")
"""Readings of what stage 2 trains, of which the document's words allow each."""
_MISLAS = ("mislas", "mislas_shifted")
_LOSSES = ("awabs", "label_aware_smoothing", "balanced_softmax")


def _register_awabs(name: str, mix: str, place: str, title: str) -> None:
    @METHODS.register(
        f"awabs_{name}",
        source=f"awabs {place} and Eq. 3.2",
        summary=f"{title} with balanced softmax, then AWABS.",
        added=("loss", "smoothed"),
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
        loss: str = "awabs",
        smoothed: str = "head",
    ) -> tuple[Stage, ...]:
        """Stage 2 is under-determined: the algorithms freeze nothing and name no sampler (`AWABS_VARIANTS`).

        ``continue`` trains all parts at a tenth of the rate, ``decoupled`` the classifier alone at `lr` times the rate,
        ``decoupled_shifted`` beside it the batch statistics. Batches are instance-balanced unless `sampler` says
        otherwise: the loss has the class prior in it, and balanced batches would balance twice.

        To find out what could have made the printed numbers, `loss` leaves out one half of AWABS, the prior
        (``label_aware_smoothing``) or the smoothing (``balanced_softmax``), ``smoothed=tail`` exchanges the epsilons,
        and the variants ``mislas`` and ``mislas_shifted`` are MiSLAS's own stage 2, its loss and sampler included.
        """
        if variant not in (*AWABS_VARIANTS, *_MISLAS):
            known = ", ".join((*AWABS_VARIANTS, *_MISLAS))
            raise SettingError(f"variant of awabs must be one of {known}, not {variant!r}")
        if loss not in _LOSSES:
            raise SettingError(f"loss of awabs's stage 2 must be one of {', '.join(_LOSSES)}, not {loss!r}")
        first = Stage(loss=loss_("balanced_softmax"), mix=mixing.spec(mix))
        if variant in _MISLAS:
            shifted = variant == _MISLAS[1]
            own = mislas(form=form, epsilon_head=epsilon_head, epsilon_tail=epsilon_tail, lr=lr, shift=shifted)
            return first, replace(own[1], epochs=epochs)
        smoothing = {"form": form, "epsilon_head": epsilon_head, "epsilon_tail": epsilon_tail, "spread": spread}
        if smoothed != "head":
            smoothing["smoothed"] = smoothed
        objective = loss_(loss, **({} if loss == "balanced_softmax" else smoothing))
        if variant == "continue":
            rates = dict.fromkeys(first.lr, 0.1)
            second = Stage(loss=objective, epochs=epochs, schedule="cosine", lr=rates, sampler=draws.spec(sampler))
        else:
            shift = "shift" if variant == "decoupled_shifted" else "train"
            rates = {"classifier": float(lr)}
            second = second_(objective, epochs, batch_norm=shift, sampler=draws.spec(sampler), lr=rates)
        return first, second


for _name, _parts in _AWABS_MIX.items():
    _register_awabs(_name, *_parts)
