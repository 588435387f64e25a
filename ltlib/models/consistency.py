"""GLMC's network: beside the classifier a second one for training alone, and heads whose outputs of two views agree.

Du et al. 2023 (arXiv 2305.08661), section 3: the classifier of the rebalanced loss is the one of the test; the
conventional loss has a linear classifier of its own. A linear projection z of the features and a linear prediction p of
z serve the consistency of two views. All but the classifier is dropped at test. The paper draws multi-layer heads;
these are those of its code for CIFAR, 128 wide.
"""

from __future__ import annotations

from torch import Tensor, nn

from ltlib.models.network import Backbone, Network, initialise


class MixtureHeads(nn.Module):
    """What GLMC needs in training alone.

    Attributes:
        uniform: The classifier of the conventional loss, D -> K.
        project: D -> P.
        predict: P -> P.
    """

    def __init__(self, width: int, num_classes: int, projection: int):
        super().__init__()
        self.uniform = nn.Linear(width, num_classes)
        self.project, self.predict = nn.Linear(width, projection), nn.Linear(projection, projection)

    def forward(self, features: Tensor) -> Tensor:
        """Projections [N, P] of features [N, D], not normalised."""
        return self.project(features)


def mixture(
    backbone: Backbone, num_classes: int, *, projection: int, seed: int = 0, drawn: tuple[str, ...] | None = None
) -> Network:
    """A network for GLMC with fresh weights; its heads are its projector.

    Args:
        backbone: Taken over.
        num_classes: K.
        projection: P.
        seed: Of the weights.
        drawn: Names of the parts to draw; all by default.
    """
    width = backbone.feature_dim
    network = Network(backbone, nn.Linear(width, num_classes), MixtureHeads(width, num_classes, projection))
    initialise(network, seed, drawn)
    return network
