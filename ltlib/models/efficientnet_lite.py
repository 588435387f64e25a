"""EfficientNet-Lite0: Tan and Le 2019 (arXiv 1905.11946), Table 1, as its authors changed it for phones in 2020.

The changes (github.com/tensorflow/tpu, models/official/efficientnet/lite): no squeeze-and-excitation, ReLU6 instead of
swish. It was trained in TensorFlow, so a stride-2 convolution pads right and below first ("same" padding), batch
normalisation has eps 1e-3, and pixels come as (x - 127) / 128.

Left out: dropout and stochastic depth, 0.2 each in their training, because every random number here is derived from
the run's seed. Running statistics move by torch's 0.1 a step, not by TensorFlow's 0.01, which is for long trainings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib.models.network import Backbone, fill

EPS = 1e-3


@dataclass(frozen=True)
class Widths:
    """Channels and blocks of one size.

    Attributes:
        stem: Channels of the first convolution.
        groups: Of each group of blocks: kernel, stride of the first, expansion, channels, blocks.
        features: Channels of the last convolution.
    """

    stem: int
    groups: tuple[tuple[int, int, int, int, int], ...]
    features: int


SIZES = {
    "full": Widths(
        32,
        (
            (3, 1, 1, 16, 1),
            (3, 2, 6, 24, 2),
            (5, 2, 6, 40, 2),
            (3, 2, 6, 80, 3),
            (5, 1, 6, 112, 3),
            (5, 2, 6, 192, 4),
            (3, 1, 6, 320, 1),
        ),
        1280,
    ),
    "tiny": Widths(8, ((3, 1, 1, 8, 1), (3, 2, 3, 12, 2), (5, 2, 3, 16, 1)), 64),
}


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: ceil(side / stride) outputs, the odd pixel right and below."""

    def forward(self, x: Tensor) -> Tensor:
        above, below = self._padding(x.shape[2])
        left, right = self._padding(x.shape[3])
        if above == below and left == right:  # the convolution pads, without a copy
            return F.conv2d(x, self.weight, None, self.stride, (above, left), 1, self.groups)
        return F.conv2d(F.pad(x, (left, right, above, below)), self.weight, None, self.stride, 0, 1, self.groups)

    def _padding(self, side: int) -> tuple[int, int]:
        """Pixels before and after."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        both = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
        return both // 2, both - both // 2


class Block(nn.Module):
    """Inverted bottleneck: 1x1 to more channels, a convolution of each channel alone, 1x1 to few without activation."""

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = channels_in * expansion
        self.expands, self.residual = expansion != 1, stride == 1 and channels_in == channels
        if self.expands:
            self.expand_conv = nn.Conv2d(channels_in, inner, 1, bias=False)
            self.bn0 = nn.BatchNorm2d(inner, EPS)
        self.depthwise_conv = SameConv2d(inner, inner, kernel, stride, groups=inner, bias=False)
        self.bn1 = nn.BatchNorm2d(inner, EPS)
        self.project_conv = nn.Conv2d(inner, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels, EPS)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        out = F.relu6(self.bn1(self.depthwise_conv(out)))
        out = self.bn2(self.project_conv(out))
        return out + x if self.residual else out


class EfficientNetLite(Backbone):
    """EfficientNet-Lite0 without its classifier; for images of any size from 16x16 up.

    Args:
        size: Name in `SIZES`: ``full``, or ``tiny`` for tests and the quick profile.
    """

    published_classifier = ("_fc.",)

    def __init__(self, size: str = "full"):
        super().__init__()
        widths = SIZES[size]
        self.conv_stem = SameConv2d(3, widths.stem, 3, 2, bias=False)
        self.bn0 = nn.BatchNorm2d(widths.stem, EPS)
        channels, blocks = widths.stem, []
        for kernel, stride, expansion, width, count in widths.groups:
            for i in range(count):
                blocks.append(Block(channels, width, kernel, stride if i == 0 else 1, expansion))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.conv_head = nn.Conv2d(channels, widths.features, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths.features, EPS)
        self.feature_dim = widths.features

    def forward(self, images: Tensor) -> Tensor:
        """Images float [N, 3, H, W] to features [N, 1280] (tiny: [N, 64])."""
        x = self.blocks(F.relu6(self.bn0(self.conv_stem(images))))
        return F.relu6(self.bn1(self.conv_head(x))).mean((2, 3))

    def renamed(self, found: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The published file's names begin with an underscore, ``_blocks.0._bn1.weight``."""
        return {re.sub(r"(^|\.)_", r"\1", name): value for name, value in found.items()}

    def draw_module(self, module: nn.Module, generator: torch.Generator) -> bool:
        """Convolutions normal with variance 2 / fan_out, as in their code; of a depthwise 3x3 it is 9."""
        if not isinstance(module, nn.Conv2d):
            return False
        outputs = module.out_channels // module.groups * math.prod(module.kernel_size)
        fill(module.weight, lambda new: new.normal_(0, math.sqrt(2 / outputs), generator=generator))
        return True
