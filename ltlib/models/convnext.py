"""ConvNeXt-B: Liu et al. 2022 (arXiv 2201.03545), torchvision's network without its classifier.

Left out: stochastic depth, of up to 0.5 in torchvision's ``convnext_base``, because every random number here is derived
from the run's seed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltlib.models.network import Backbone, fill

SIZES = {"full": ((128, 256, 512, 1024), (3, 3, 27, 3)), "tiny": ((16, 32, 48), (1, 1, 2))}
"""Channels and blocks of each group; ``full`` is the paper's ConvNeXt-B, section 3."""
LAYER_SCALE = 1e-6
"""What the residual branches start times: section A.1, Table 5."""


class ConvNeXt(Backbone):
    """ConvNeXt without its classifier, whose layer normalisation of the pooled features is still part of it.

    For images of 32x32 and more (``tiny``: 16x16).

    Args:
        size: Name in `SIZES`: ``full``, or ``tiny`` for tests and the quick profile.
    """

    published_classifier = ("classifier.2.",)

    def __init__(self, size: str = "full"):
        super().__init__()
        from torchvision.models import ConvNeXt as Whole  # slow to import
        from torchvision.models.convnext import CNBlockConfig

        channels, blocks = SIZES[size]
        after = (*channels[1:], None)
        groups = [CNBlockConfig(*group) for group in zip(channels, after, blocks, strict=True)]
        whole = Whole(groups, stochastic_depth_prob=0.0, layer_scale=LAYER_SCALE, num_classes=1)
        self.features, self.avgpool = whole.features, whole.avgpool
        self.classifier = whole.classifier[:2]  # normalisation and flattening, under the names the files have
        self.feature_dim = channels[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Images float [N, 3, H, W] to features [N, 1024] (tiny: [N, 48])."""
        return self.classifier(self.avgpool(self.features(images)))

    def draw_module(self, module: nn.Module, generator: torch.Generator) -> bool:
        """As torchvision draws: truncated normal of 0.02 and no bias; layer scale at `LAYER_SCALE`."""
        if isinstance(module, nn.Conv2d | nn.Linear):
            fill(module.weight, lambda new: nn.init.trunc_normal_(new, std=0.02, generator=generator))
            assert module.bias is not None
            nn.init.zeros_(module.bias)
            return True
        if isinstance(scale := getattr(module, "layer_scale", None), nn.Parameter):
            nn.init.constant_(scale, LAYER_SCALE)
            return True
        return False
