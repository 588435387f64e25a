"""OFBD: another method with features of the foreground, and with boxes where the network sees most."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ltlib.errors import SettingError
from ltlib.methods import parts
from ltlib.methods.stage import METHODS, Stage, stages


@METHODS.register("ofbd", source="code of OFBD, local energy")
def ofbd(
    *, of: str = "concutmix", pooling: Any = "foreground", boxes: str = "energy", prob: float = 0.5
) -> tuple[Stage, ...]:
    """Another method whose features are foreground less background, with CutMix from where the network sees most.

    The two parts are those of its code, each to be left out by itself: ``pooling=mean``, and ``boxes=own``, which
    leaves the method its own mixing. The code has them on ConCutMix, for CIFAR-100 at 100 ``concutmix`` in
    batches of 256 at a rate of 0.15, with AutoAugment and a decay of 5e-4.

    A third part is not built, a small network that learns to choose among four boxes. In the released command it has a
    say in the first batch of every hundred of an epoch, where that one is mixed: at 43 batches an epoch in one of 86.
    """
    if boxes not in ("energy", "own"):
        raise SettingError(f"boxes of ofbd must be energy or own, not {boxes!r}")
    first, *rest = stages(of)
    mix = parts.mix("guided_cutmix", prob=float(prob)) if boxes == "energy" else first.mix
    return (replace(first, pooling=pooling, mix=mix), *rest)
