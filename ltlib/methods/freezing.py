"""Parts of a network that a recipe leaves as they begin, whatever the method trains."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ltlib.errors import SettingError
from ltlib.methods.stage import Stage

PART_OF = {"scales": "classifier"}
"""Names in `Stage.lr` that are a piece of a part."""


def freeze(stages: Sequence[Stage], parts: Collection[str], method: str) -> tuple[Stage, ...]:
    """The stages of a method without learning rates for some parts.

    A part without one keeps its batch statistics too, see `ltlib.training.stages.train_mode`. A stage without epochs
    trains nothing anyway and stays as it is.

    Args:
        stages: As the method has them.
        parts: Names of parts, as of `Recipe.frozen`.
        method: For the sentence.

    Raises:
        SettingError: A stage that would then train nothing.
    """
    if not parts:
        return tuple(stages)
    projects = any(stage.projection for stage in stages)  # else the network has no projector
    found = []
    for number, stage in enumerate(stages, start=1):
        left = {name: factor for name, factor in stage.lr.items() if PART_OF.get(name, name) not in parts}
        if stage.epochs and not any(factor for name, factor in left.items() if name != "projector" or projects):
            place = f"stage {number} of {method}" if len(stages) > 1 else method
            raise SettingError(
                f"{place} would train nothing with frozen={'+'.join(parts)}; leave a part of that out, or choose "
                "another method"
            )
        found.append(replace(stage, lr=left) if stage.epochs else stage)
    return tuple(found)
