"""Methods by name: what is trained, in which stages, with which loss, sampler and mixing.

    exp = ltlib.Experiment(method="focal[gamma=1.0]")
    ltlib.methods.stages("mislas")  # what it does, as data

Importing this package registers them all. A new method is one function that returns its stages, in the file of its
kind or in one of its own imported here; a loss that is registered is a method by itself (`from_losses`).
"""

from ltlib.methods import one_stage, contrastive, from_losses, two_stage, awabs  # noqa: F401, I001 - the order of `ltlib list methods`
from ltlib.methods import branches, experts, distillation, foreground  # noqa: F401
from ltlib.methods.awabs import AWABS_VARIANTS
from ltlib.methods.stage import ALL_PARTS, METHODS, Stage, adjusted, spec, stages

__all__ = ["ALL_PARTS", "AWABS_VARIANTS", "METHODS", "Stage", "adjusted", "spec", "stages"]
