"""ResNets of He et al. 2016, Table 1, for small images and for photographs.

Two stems: ``small``, a 3x3 stride-1 convolution without max-pooling, is that of the SupContrast reference code and of
the author's code of ``convergent``; ``imagenet``, 7x7 with stride 2 and max-pooling, is the paper's. Everything else is
torchvision's network, module names included, so weights can be exchanged; the stride of a bottleneck is in its 3x3
convolution. It is written out because importing torchvision costs every kernel more time than importing torch.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from ltlib.errors import SettingError
from ltlib.models.network import Backbone

STEMS = {"small": 3, "imagenet": 7}
"""Height and width of the first convolution's kernel."""


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
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return F.relu(out, inplace=True)


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
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return F.relu(out, inplace=True)


def check_stem(stem: object) -> None:
    """Refuse what is no stem.

    Raises:
        SettingError: It is none.
    """
    if stem not in STEMS:
        raise SettingError(f"stem of a ResNet must be {' or '.join(STEMS)}, not {stem!r}")


class ResNet(Backbone):
    """Four groups of blocks with 64, 128, 256 and 512 channels (times the block's expansion), without classifier.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        blocks: Blocks of each group.
        stem: Name in `STEMS`.

    Raises:
        SettingError: Another stem.
    """

    has_maps = True

    def __init__(
        self, block: type[BasicBlock] | type[Bottleneck], blocks: tuple[int, int, int, int], stem: str = "small"
    ):
        super().__init__()
        check_stem(stem)
        self.stem, small = stem, stem == "small"
        self.conv1 = nn.Conv2d(3, 64, STEMS[stem], 1 if small else 2, padding=STEMS[stem] // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1)
        channels, groups = 64, []
        for width, count in zip((64, 128, 256, 512), blocks, strict=True):
            group = []
            for i in range(count):
                group.append(block(channels, width, 2 if i == 0 and width > 64 else 1))
                channels = width * block.expansion
            groups.append(nn.Sequential(*group))
        self.layer1, self.layer2, self.layer3, self.layer4 = groups
        self.feature_dim = channels

    def maps(self, images: Tensor) -> Tensor:
        """Images float [N, 3, H, W] to feature maps [N, 512, h, w] (bottlenecks: [N, 2048, h, w])."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(images)), inplace=True))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward(self, images: Tensor) -> Tensor:
        """Images float [N, 3, H, W] to features [N, 512] (bottlenecks: [N, 2048])."""
        return self.pooled(self.maps(images))

    def advice(self, found: Mapping[str, Tensor]) -> str:
        """The stem to choose, where the first convolution is another stem's."""
        kernel = found["conv1.weight"].shape[-1] if "conv1.weight" in found else None
        for stem, size in STEMS.items():
            if stem != self.stem and size == kernel:
                return f"their first convolution is {size}x{size}: set stem={stem}"
        return ""
