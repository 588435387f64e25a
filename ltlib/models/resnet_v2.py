"""ResNet-50 V2: He et al. 2016b (arXiv 1603.05027), normalisation and activation before each convolution.

The names of the modules are those of timm's ``resnetv2_50``, and so is the network: the stride of a block is in its 3x3
convolution (in the authors' code in the first 1x1), and the first block of every group has a convolution in its
shortcut, which reads the normalised input. The convolutions' weights are drawn as those of the ResNets in `backbones`.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from ltlib.models.network import Backbone

SIZES = {"full": (64, (256, 512, 1024, 2048), (3, 4, 6, 3)), "tiny": (8, (32, 64, 128), (1, 1, 2))}
"""Channels of the stem; channels and blocks of each group."""


class PreactBottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut, each after normalisation and ReLU; nothing after the sum."""

    def __init__(self, channels_in: int, channels: int, stride: int, first: bool):
        super().__init__()
        width = channels // 4
        self.downsample = (
            nn.Sequential(OrderedDict(conv=nn.Conv2d(channels_in, channels, 1, stride, bias=False))) if first else None
        )
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x))
        shortcut = x if self.downsample is None else self.downsample(active)
        out = self.conv2(F.relu(self.norm2(self.conv1(active))))
        return self.conv3(F.relu(self.norm3(out))) + shortcut


class ResNetV2(Backbone):
    """ResNet-50 with pre-activation blocks, without its classifier; for images of any size.

    Args:
        size: Name in `SIZES`: ``full``, or ``tiny`` for tests and the quick profile.
    """

    published_classifier = ("head.",)

    def __init__(self, size: str = "full"):
        super().__init__()
        stem, widths, blocks = SIZES[size]
        self.stem = nn.Sequential(
            OrderedDict(conv=nn.Conv2d(3, stem, 7, 2, padding=3, bias=False), pool=nn.MaxPool2d(3, 2, padding=1))
        )
        channels, groups = stem, []
        for group, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            made = []
            for i in range(count):
                made.append(PreactBottleneck(channels, width, 2 if i == 0 and group > 0 else 1, i == 0))
                channels = width
            groups.append(nn.Sequential(OrderedDict(blocks=nn.Sequential(*made))))
        self.stages = nn.Sequential(*groups)
        self.norm = nn.BatchNorm2d(channels)
        self.feature_dim = channels

    def forward(self, images: Tensor) -> Tensor:
        """Images float [N, 3, H, W] to features [N, 2048] (tiny: [N, 128])."""
        return F.relu(self.norm(self.stages(self.stem(images)))).mean((2, 3))
