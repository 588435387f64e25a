"""A method learnt from labels and from an ensemble of its own networks."""

from __future__ import annotations

from dataclasses import replace

from ltlib.errors import SettingError
from ltlib.limits import Limit
from ltlib.methods.stage import METHODS, Stage, stages
from ltlib.methods.teaching import Teaching


# Half, not 0.9: of labels the tail has few, and a balanced loss of them is what lifts it. Digits at imbalance factor
# 20, two teachers, 12 epochs, seeds 0 to 2: balanced accuracy 0.907 and 0.874, of the tail 0.793 and 0.693. Both are
# below the teachers' own method there (balanced softmax: 0.926, 0.873): so short a training gains nothing by teachers.
@METHODS.register("distilled", source="Hinton et al. 2015, section 2")
def distilled(
    *, of: str = "ce", teachers: int = 5, first_seed: int = 0, weight: float = 0.5, temperature: float = 4.0
) -> tuple[Stage, ...]:
    """Another method's training, taught besides by several networks that were trained by it: their mean logits.

    ``L = (1 - w) L_method + w T^2 KL(softmax(t / T) || softmax(z / T))``, t the mean of the teachers' logits for the
    very images of the batch, augmented and mixed as the student sees them. Nobody looks at anything but training
    images: a teacher has its last epoch's weights.

    A teacher is a run of the method with everything else as the student's, of seed `first_seed` and the next ones; what
    of it is not there is trained first. Students that differ in their seed have the same teachers, so runs of them
    differ less than ensembles drawn anew would. Hinton et al. leave weight and temperature open; T = 4 with 0.9 is what
    the code of RepDistiller takes for balanced CIFAR-100.
    """
    Limit(1, whole=True).check("setting teachers of method distilled", teachers)
    Limit(whole=True).check("setting first_seed of method distilled", first_seed)
    seeds = tuple(range(first_seed, first_seed + teachers))
    teaching = Teaching(of, seeds, float(weight), float(temperature))
    found = tuple(replace(stage, teaching=teaching) if _taught(stage) else stage for stage in stages(of))
    if not any(stage.teaching for stage in found):
        raise SettingError(f"distilled needs a method that classifies one stream of images, which {of} does not")
    return found


def _taught(stage: Stage) -> bool:
    """Whether it classifies the one stream of images that teachers can be asked about."""
    return bool(stage.loss and stage.epochs and any(stage.lr.values())) and stage.network not in ("bbn", "glmc")
