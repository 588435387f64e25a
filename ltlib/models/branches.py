"""Networks of several branches: BBN's two and ResLT's three.

**BBN** (Zhou et al. 2020, arXiv 1912.02413). The last residual block is there twice: one copy learns from images drawn
as they are (conventional branch, f_c), one from reversed sampling (re-balancing branch, f_r); everything before is
shared. One linear classifier reads ``2 [alpha f_c, (1 - alpha) f_r]``, and the loss is
``alpha l(z, y_c) + (1 - alpha) l(z, y_r)`` with ``alpha = 1 - ((epoch - 1) / T)^2``. At test one image goes through
both branches with alpha 1/2. As in the reference code each branch sees only its own images, in two passes, so that
batch normalisation counts each sampler's images for itself. Its T is the number of epochs, but for 90 and 180 epochs,
where it is 100 and 200; so here.

**ResLT** (Cui et al. 2022, arXiv 2101.10633). Three batch normalisations of the last feature map, pooled, feed the same
linear classifier: logits of the head, medium and tail branch, whose sum is the prediction. The head branch learns from
all classes, the medium branch from the medium and tail ones, the tail branch from the tail ones:
``loss = beta * (their cross-entropies, summed over all images concerned, by the number of terms)
+ (1 - beta) * CE(sum of the logits)``. The reference code adds 1e-7 to each probability before its logarithm; here the
logarithm is exact. Its CIFAR-10 form cuts the classes at 2 and 4 of 10, its CIFAR-100 form at 35 and 70 of 100.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib.errors import SettingError
from ltlib.models.network import Backbone, Network, initialise

RESLT_CUTS = {10: (2, 4), 100: (35, 70)}
"""First medium and first tail class of the reference code, classes in order of size, by the number of classes."""


class Trunk(Backbone):
    """A residual network up to its last feature map, some blocks of its last group left out.

    Args:
        network: Has ``conv1``, ``bn1`` and groups ``layer1``, ``layer2``, ... of blocks; taken over, not copied.
        left_out: Blocks of the last group that are not part of the trunk.
        groups_left_out: Groups at the end that are none; the last group is then the one before them.

    Raises:
        SettingError: Another kind of network.
    """

    def __init__(self, network: Backbone, left_out: int = 0, groups_left_out: int = 0):
        super().__init__()
        names = [name for name, _ in network.named_children() if name != "maxpool"]
        groups = [name for name in names if name.startswith("layer")]
        if names[:2] != ["conv1", "bn1"] or names[2:] != groups or len(groups) <= groups_left_out:
            raise SettingError(f"branches need a residual network, not {type(network).__name__}")
        groups = groups[: len(groups) - groups_left_out]
        last = network.get_submodule(groups[-1])
        assert isinstance(last, nn.Sequential)
        self.conv1, self.bn1 = network.get_submodule("conv1"), network.get_submodule("bn1")
        self.maxpool = getattr(network, "maxpool", nn.Identity())
        kept = [network.get_submodule(name) for name in groups[:-1]]
        self.groups = nn.Sequential(*kept, last[: len(last) - left_out])
        self.feature_dim = network.feature_dim
        self.convolution_init, self.linear_init = network.convolution_init, network.linear_init

    def forward(self, images: Tensor) -> Tensor:
        """Images float [N, 3, H, W] to a feature map [N, C, h, w]."""
        return self.groups(self.maxpool(F.relu(self.bn1(self.conv1(images)), inplace=True)))


# --- BBN -------------------------------------------------------------------------------------------------------------


class BilateralBackbone(Backbone):
    """BBN's backbone: a shared trunk and two copies of the last block; features of both branches side by side.

    Args:
        network: A residual network; taken over.

    Raises:
        SettingError: Another kind of network.
    """

    passes = ("forward", "branch")

    def __init__(self, network: Backbone):
        super().__init__()
        self.trunk = Trunk(network, left_out=1)
        block = list(network.children())[-1][-1]  # type: ignore[index]
        self.conventional, self.rebalancing = copy.deepcopy(block), block
        self.feature_dim = 2 * network.feature_dim
        self.convolution_init, self.linear_init = network.convolution_init, network.linear_init

    def branch(self, images: Tensor, name: str) -> Tensor:
        """Pooled features [N, D / 2] of one branch, ``conventional`` or ``rebalancing``."""
        block = self.conventional if name == "conventional" else self.rebalancing
        return block(self.trunk(images)).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Features [N, D] of both branches: what the classifier reads at alpha 1/2, ``2 [f_c / 2, f_r / 2]``."""
        shared = self.trunk(images)
        return torch.cat([self.conventional(shared).mean((2, 3)), self.rebalancing(shared).mean((2, 3))], 1)


class BilateralNetwork(Network):
    """BBN: ``network(images)`` for the test, `mixed` for training."""

    def __init__(self, network: Backbone, num_classes: int):
        backbone = BilateralBackbone(network)
        super().__init__(backbone, nn.Linear(backbone.feature_dim, num_classes))

    def mixed(self, images: Tensor, reversed_images: Tensor, alpha: Tensor | float) -> Tensor:
        """Logits [B, K] of pairs of images, one from each sampler.

        Args:
            images: float [B, 3, H, W], drawn as they are.
            reversed_images: The same shape, from the reversed sampler.
            alpha: Weight of the conventional branch; a tensor on the device where the step is captured.
        """
        assert isinstance(self.backbone, BilateralBackbone)
        conventional = self.backbone.branch(images, "conventional")
        rebalancing = self.backbone.branch(reversed_images, "rebalancing")
        return self.classifier(2 * torch.cat([alpha * conventional, (1 - alpha) * rebalancing], 1))


def bbn_alpha(epoch: int, epochs: int) -> float:
    """Weight of the conventional branch: 1 in the first epoch (from 1), falling as a parabola towards 0."""
    horizon = 100 * (epochs // 100 + 1) if epochs in (90, 180) else epochs
    return 1 - ((epoch - 1) / horizon) ** 2


def bilateral(network: Backbone, num_classes: int, *, seed: int = 0, drawn: str = "all") -> BilateralNetwork:
    """BBN on a residual network, e.g. ``bilateral(models.MODELS.create("resnet32"), 100)``, with fresh weights.

    Args:
        network: Taken over.
        num_classes: K.
        seed: Of the weights.
        drawn: ``all``, or ``classifier`` where both branches begin from the network's own weights.
    """
    made = BilateralNetwork(network, num_classes)
    initialise(made, seed, None if drawn == "all" else (drawn,))
    return made


# --- ResLT -----------------------------------------------------------------------------------------------------------

RESLT_BRANCHES = ("head", "medium", "tail")


class ResidualBackbone(Backbone):
    """ResLT's backbone: three batch normalisations of one feature map, pooled, their features side by side.

    Args:
        network: A residual network; taken over.
    """

    def __init__(self, network: Backbone):
        super().__init__()
        self.trunk = Trunk(network)
        self.norms = nn.ModuleList(nn.BatchNorm2d(network.feature_dim) for _ in RESLT_BRANCHES)
        self.feature_dim = len(RESLT_BRANCHES) * network.feature_dim
        self.convolution_init, self.linear_init = network.convolution_init, network.linear_init

    def forward(self, images: Tensor) -> Tensor:
        """Images float [N, 3, H, W] to features [N, 3 D]: head, medium, tail."""
        shared = self.trunk(images)
        return torch.cat([norm(shared).mean((2, 3)) for norm in self.norms], 1)


class ResidualNetwork(Network):
    """ResLT: ``network(images)`` is the sum of the branches' logits, `branch_logits` gives each."""

    def __init__(self, network: Backbone, num_classes: int):
        width = network.feature_dim
        super().__init__(ResidualBackbone(network), nn.Linear(width, num_classes))

    def branch_logits(self, images: Tensor) -> Tensor:
        """Logits of the head, medium and tail branch, [N, 3, K]."""
        return self._branches(self.backbone(images))

    def classify(self, features: Tensor, projection: Tensor | None = None) -> Tensor:
        """Logits [N, K] from features [N, 3 D]: the sum over the branches."""
        return self._branches(features).sum(1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, K]."""
        return self.classify(self.backbone(images))

    def _branches(self, features: Tensor) -> Tensor:
        return self.classifier(features.unflatten(1, (len(RESLT_BRANCHES), -1)))


def reslt(network: Backbone, num_classes: int, *, seed: int = 0, drawn: str = "all") -> ResidualNetwork:
    """ResLT on a residual network, e.g. ``reslt(models.MODELS.create("resnet32"), 100)``; see `bilateral`."""
    made = ResidualNetwork(network, num_classes)
    initialise(made, seed, None if drawn == "all" else (drawn,))
    return made


def reslt_masks(class_counts: Sequence[int], cuts: tuple[int, int] | None = None) -> Tensor:
    """Which classes each branch learns from, bool [3, K]: all, medium and tail, tail.

    Args:
        class_counts: Images per class, in the order of the targets (any order).
        cuts: First medium and first tail class among the classes sorted by size, largest first (classes of one size in
            their order); by default the reference code's for 10 and 100 classes, else 35 and 70 percent.

    Raises:
        SettingError: Cuts that are not in order.
    """
    number = len(class_counts)
    medium, tail = cuts or RESLT_CUTS.get(number, (round(0.35 * number), round(0.7 * number)))
    if not 0 <= medium <= tail <= number:
        raise SettingError(f"cuts of reslt must be in order and at most {number}, not {medium} and {tail}")
    order = torch.as_tensor(class_counts).argsort(descending=True, stable=True)
    rank = torch.empty(number, dtype=torch.int64)
    rank[order] = torch.arange(number)
    return torch.stack([rank >= first for first in (0, medium, tail)])


def reslt_loss(branch_logits: Tensor, targets: Tensor, masks: Tensor, beta: float) -> Tensor:
    """ResLT's loss, a scalar.

    Args:
        branch_logits: float [B, 3, K].
        targets: int64 [B].
        masks: bool [3, K] on the same device, from `reslt_masks`.
        beta: Weight of the branches' own losses; 0.995 / 0.99 / 0.72 for CIFAR-100 at IF 100 / 50 / 10, 0.998 / 0.998 /
            0.96 for CIFAR-10 in the reference code.
    """
    counted = masks.T[targets].to(branch_logits.dtype)  # [B, 3]
    log_probability = branch_logits.log_softmax(2)
    own = -log_probability.gather(2, targets[:, None, None].expand(-1, len(RESLT_BRANCHES), 1)).squeeze(2)
    branches = (own * counted).sum() / counted.sum()
    return beta * branches + (1 - beta) * F.cross_entropy(branch_logits.sum(1), targets)
