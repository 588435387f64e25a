"""MobileNetV2: Sandler et al. 2018 (arXiv 1801.04381), torchvision's network without its classifier.

Left out: the dropout of 0.2 before torchvision's classifier, because every random number here is derived from the run's
seed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltlib.models.network import Backbone, fill

SIZES: dict[str, tuple[float, list[list[int]]]] = {
    "full": (
        1.0,
        [
            [1, 16, 1, 1],
            [6, 24, 2, 2],
            [6, 32, 3, 2],
            [6, 64, 4, 2],
            [6, 96, 3, 1],
            [6, 160, 3, 2],
            [6, 320, 1, 1],
        ],
    ),
    "tiny": (0.5, [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 2]]),
}
"""Factor of all widths; expansion, channels, blocks and first stride of each group: Table 2 of the paper."""


class MobileNetV2(Backbone):
    """MobileNetV2 without its classifier; for images of any size.

    Args:
        size: Name in `SIZES`: ``full``, or ``tiny`` for tests and the quick profile.
    """

    published_classifier = ("classifier.",)

    def __init__(self, size: str = "full"):
        super().__init__()
        from torchvision.models import MobileNetV2 as Whole  # slow to import

        factor, groups = SIZES[size]
        whole = Whole(num_classes=1, width_mult=factor, inverted_residual_setting=groups)
        self.features = whole.features
        self.feature_dim = whole.last_channel

    def forward(self, images: Tensor) -> Tensor:
        """Images float [N, 3, H, W] to features [N, 1280], of either size."""
        return self.features(images).mean((2, 3))

    def draw_module(self, module: nn.Module, generator: torch.Generator) -> bool:
        """Convolutions as torchvision's: fan_out over all channels, in a depthwise convolution too."""
        if not isinstance(module, nn.Conv2d):
            return False
        fill(module.weight, lambda new: nn.init.kaiming_normal_(new, mode="fan_out", generator=generator))
        return True
