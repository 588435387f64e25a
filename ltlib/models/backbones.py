"""ImageNet-style ResNets for small images: He et al. 2016, Table 1, with a 3x3 stride-1 stem and no max-pooling.

The stem is that of the SupContrast reference code and of the author's code of ``convergent``. Everything behind it is
torchvision's network, module names included, so weights can be exchanged; the stride of a bottleneck is in its 3x3
convolution. It is written out because importing torchvision costs every kernel more time than importing torch.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ltlib.models.network import Backbone


def _shortcut(channels_in: int, channels: int, stride: int) -> nn.Module | None:
    """Where the shape changes, a 1x1 convolution with batch normalisation (option B)."""
    if stride == 1 and channels_in == channels:
        return None
    return nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut; the last widens four times."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int):
        super().__init__()
        channels = width * self.expansion
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(channels_in, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(Backbone):
    """Four groups of blocks with 64, 128, 256 and 512 channels (times the block's expansion), without classifier.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        blocks: Blocks of each group.
    """

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], blocks: tuple[int, int, int, int]):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels, groups = 64, []
        for width, count in zip((64, 128, 256, 512), blocks, strict=True):
            group = []
            for i in range(count):
                group.append(block(channels, width, 2 if i == 0 and width > 64 else 1))
                channels = width * block.expansion
            groups.append(nn.Sequential(*group))
        self.layer1, self.layer2, self.layer3, self.layer4 = groups
        self.feature_dim = channels

    def forward(self, images: Tensor) -> Tensor:
        """Images float [N, 3, H, W] to features [N, 512] (bottlenecks: [N, 2048])."""
        x = F.relu(self.bn1(self.conv1(images)))
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))
