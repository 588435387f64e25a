"""The methods that `awabs` proposes: a mixing with balanced softmax, then AWABS smoothing."""

from __future__ import annotations

from ltlib import mixing
from ltlib.batches import draws
from ltlib.errors import SettingError
from ltlib.methods.parts import SECOND
from ltlib.methods.parts import loss as loss_
from ltlib.methods.parts import second as second_
from ltlib.methods.stage import METHODS, Stage

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
        first = Stage(loss=loss_("balanced_softmax"), mix=mixing.spec(mix))
        loss = loss_("awabs", form=form, epsilon_head=epsilon_head, epsilon_tail=epsilon_tail, spread=spread)
        if variant == "continue":
            rates = dict.fromkeys(first.lr, 0.1)
            second = Stage(loss=loss, epochs=epochs, schedule="cosine", lr=rates, sampler=draws.spec(sampler))
        else:
            shift = "shift" if variant == "decoupled_shifted" else "train"
            rates = {"classifier": float(lr)}
            second = second_(loss, epochs, batch_norm=shift, sampler=draws.spec(sampler), lr=rates)
        return first, second


for _name, _parts in _AWABS_MIX.items():
    _register_awabs(_name, *_parts)
