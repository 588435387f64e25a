"""CIFAR ResNets of 6n + 2 layers: He et al. 2016, "Deep Residual Learning", section 4.2 (arXiv 1512.03385).

A 3x3 convolution of 16 channels, then three groups of n basic blocks with 16, 32 and 64 channels, the second and third
group halving the image; global average pooling. Shortcuts have no parameters (option A): where the shape changes, every
second pixel is taken and the new channels are zeros.

Sums and ReLUs overwrite what batch normalisation gave, whose gradient needs only its input: the same numbers, less to
read and to keep.

Weights are drawn as in the LDAM-DRW reference code: normal with variance 2 / fan_in in convolutions and in the
classifier. The much larger networks that other papers also call ResNet-32 are other networks; compare parameter counts.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ltlib.errors import SettingError
from ltlib.models import kernels
from ltlib.models.network import Backbone


class Block(nn.Module):
    """``y = relu(x' + BN(conv(relu(BN(conv(x))))))`` with x' the option A shortcut of x."""

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.new_channels = stride, channels - channels_in

    def shortcut(self, x: Tensor) -> Tensor:
        """x itself, or every second pixel of x with zero channels before and after."""
        if self.stride == 1 and self.new_channels == 0:
            return x
        before = self.new_channels // 2
        # pooling of 1x1 windows takes the same pixels as a slice does, but its gradient keeps the order channels_last:
        # that of a slice does not, and on a CPU all that is added to it goes through memory crosswise
        every_second = F.avg_pool2d(x, 1, self.stride)
        return F.pad(every_second, (0, 0, 0, 0, before, self.new_channels - before))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out, inplace=True)


class CifarResNet(Backbone):
    """CIFAR ResNet without its classifier; for images of any size from 4x4 up.

    Args:
        depth: Layers with weights, classifier included: 6n + 2.

    Attributes:
        own_kernels: The blocks can be trained with `ltlib.models.kernels`, which is off by default.

    Raises:
        SettingError: Another depth.
    """

    feature_dim = 64
    has_maps = True
    own_kernels = True
    convolution_init = "fan_in"
    linear_init = "kaiming_normal"

    def __init__(self, depth: int):
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise SettingError(f"a CIFAR ResNet has 6n + 2 layers (8, 14, 20, ...), not {depth}")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._group(16, 16, blocks, 1)
        self.layer2 = self._group(16, 32, blocks, 2)
        self.layer3 = self._group(32, 64, blocks, 2)

    @staticmethod
    def _group(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            Block(channels_in, channels, stride), *(Block(channels, channels, 1) for _ in range(blocks - 1))
        )

    def maps(self, images: Tensor) -> Tensor:
        """Images float [N, 3, H, W] to feature maps [N, 64, h, w]."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        blocks = [*self.layer1, *self.layer2, *self.layer3]
        if kernels.serve(x, blocks):
            return kernels.forward(x, blocks)
        return self.layer3(self.layer2(self.layer1(x)))

    def forward(self, images: Tensor) -> Tensor:
        """Images float [N, 3, H, W] to features [N, 64]."""
        return self.pooled(self.maps(images))
