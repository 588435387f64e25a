"""Networks of several experts: residual networks that share their first layers, and whose logits are averaged.

As in the code of RIDE (Wang et al. 2021), which SADE (Zhang et al. 2022) and BalPoE (Aimar et al. 2023) go on from: the
stem and all groups of blocks but the last two are shared, each expert has its own last two groups and its own
classifier. At test the prediction is the mean of their logits. What tells them apart in training is the loss of each,
see `ltlib.training.objectives.Experts`.

Where others differ: RIDE and SADE make the own groups a quarter narrower (0.78 M parameters for three experts on a
ResNet-32); here they have the network's width, as BalPoE's (1.36 M). RIDE's second stage, which learns for which images
a further expert is asked, is not built: all are.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ltlib.models.branches import Trunk
from ltlib.models.classifiers import CLASSIFIERS
from ltlib.models.network import Backbone, Network, initialise

OWN_GROUPS = 2
"""Groups of blocks, from the end, that each expert has for itself."""


class ExpertBackbone(Backbone):
    """A shared trunk and several copies of the last groups; their features side by side.

    Args:
        network: A residual network; taken over.
        experts: How many.

    Raises:
        SettingError: Another kind of network.
    """

    def __init__(self, network: Backbone, experts: int):
        super().__init__()
        self.trunk = Trunk(network, groups_left_out=OWN_GROUPS)
        groups = [module for name, module in network.named_children() if name.startswith("layer")]
        own = nn.Sequential(*groups[-OWN_GROUPS:])
        self.experts = nn.ModuleList([own, *(copy.deepcopy(own) for _ in range(experts - 1))])
        self.feature_dim = experts * network.feature_dim
        self.convolution_init, self.linear_init = network.convolution_init, network.linear_init

    def forward(self, images: Tensor) -> Tensor:
        """Images float [N, 3, H, W] to features [N, E D], expert after expert."""
        shared = self.trunk(images)
        return torch.cat([expert(shared).mean((2, 3)) for expert in self.experts], 1)


class ExpertClassifiers(nn.Module):
    """A classifier for each expert; what is asked of all is the mean of their logits.

    Args:
        kind: Of each, one of `CLASSIFIERS`.
        experts: How many.
        width: D of one expert's features.
        num_classes: K.
    """

    def __init__(self, kind: str, experts: int, width: int, num_classes: int):
        super().__init__()
        self.heads = nn.ModuleList(CLASSIFIERS.create(kind, width, num_classes) for _ in range(experts))

    def each(self, features: Tensor) -> Tensor:
        """Logits [N, E, K] of features [N, E D]."""
        own = features.unflatten(1, (len(self.heads), -1)).unbind(1)
        return torch.stack([head(one) for head, one in zip(self.heads, own, strict=True)], 1)

    def forward(self, features: Tensor) -> Tensor:
        """Mean logits [N, K] of features [N, E D]."""
        return self.each(features).mean(1)


class ExpertNetwork(Network):
    """Experts: ``network(images)`` gives their mean logits, `expert_logits` those of each."""

    def __init__(self, network: Backbone, num_classes: int, experts: int, classifier: str = "linear"):
        width = network.feature_dim
        backbone = ExpertBackbone(network, experts)
        super().__init__(backbone, ExpertClassifiers(classifier, experts, width, num_classes))

    def expert_logits(self, images: Tensor) -> Tensor:
        """Logits of each expert, [N, E, K]."""
        assert isinstance(self.classifier, ExpertClassifiers)
        return self.classifier.each(self.features(images))


def several(
    network: Backbone,
    num_classes: int,
    experts: int,
    *,
    classifier: str = "linear",
    seed: int = 0,
    drawn: str = "all",
) -> ExpertNetwork:
    """Experts on a residual network, e.g. ``several(models.MODELS.create("resnet32"), 100, 3)``, with fresh weights.

    Args:
        network: Taken over.
        num_classes: K.
        experts: How many.
        classifier: One of `CLASSIFIERS`.
        seed: Of the weights; each expert gets its own.
        drawn: ``all``, or ``classifier`` where every expert begins from the network's own weights.
    """
    made = ExpertNetwork(network, num_classes, experts, classifier)
    initialise(made, seed, None if drawn == "all" else (drawn,))
    return made
