"""Features from the places of a feature map: what is seen in front, less what is seen behind it.

The aggregation head of OFBD, whose paper is not to be had; this is its code (github.com/ChenShengHan100/OFBD,
``models/resnet32.py``). With x a feature map of C channels and p its places, in four steps:

1. Each channel is calibrated (SimAM; Yang et al. 2021): with its mean m and variance v over the places,
   ``a = sigmoid((x - m)^2 / (4 (v + 1e-4)) + 0.5)``; channels that are weak in this image, of a small norm n beside the
   strongest one's, are spared: ``x' = x (f + (1 - f) a)`` with the floor ``f = 0.55 (1 - n / max n)``.
2. A place's energy ``e_p`` is the norm of its calibrated channels.
3. It is background to ``b_p = sigmoid(-z_p / T)``, z the energies of the image made standard and T learnt, 0.1 at
   first; foreground to ``1 - b_p``.
4. The features are the mean of x' weighed by foreground, less half of the one weighed by background.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltlib.errors import SettingError

SIMAM, FLOOR, BEHIND = 1e-4, 0.55, 0.5
"""What is added to a channel's variance; the highest floor; the share of the background that is taken off."""


class ForegroundPooling(nn.Module):
    """From feature maps float [N, C, h, w] to features float32 [N, C]; it has one weight, the temperature.

    Raises:
        SettingError: A map of a single place, which has no foreground.
    """

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.full((1,), 0.1))

    def draw(self, generator: torch.Generator) -> None:
        """Begin anew: nothing is drawn."""
        self.temperature.fill_(0.1)

    def forward(self, maps: Tensor) -> Tensor:
        calibrated = self.calibrated(maps)
        behind = self.background(calibrated.norm(dim=1)).clamp(1e-6, 1)
        front = (1 - behind).clamp(1e-6, 1)
        return _mean(calibrated, front) - BEHIND * _mean(calibrated, behind)

    def calibrated(self, maps: Tensor) -> Tensor:
        """Step 1, float32 (float64 of float64) [N, C, h, w]."""
        if maps.shape[2] * maps.shape[3] < 2:
            raise SettingError("foreground pooling needs feature maps of several places: use larger images")
        x = maps if maps.dtype == torch.float64 else maps.float()
        variance, mean = torch.var_mean(x, dim=(2, 3), keepdim=True)
        attention = torch.sigmoid((x - mean).square() / (4 * (variance + SIMAM)) + 0.5)
        norm = x.flatten(2).norm(dim=2)
        floor = FLOOR * (1 - norm / (norm.amax(1, keepdim=True) + 1e-5))
        floor = floor[:, :, None, None]
        return x * (floor + (1 - floor) * attention)

    def background(self, energy: Tensor) -> Tensor:
        """Step 3: how much a place is background, [N, h, w], from its energy."""
        variance, mean = torch.var_mean(energy, dim=(1, 2), keepdim=True, correction=0)
        standard = (energy - mean) / (variance + 1e-5).sqrt()
        return torch.sigmoid(-standard / self.temperature.clamp(min=1e-3))


def _mean(maps: Tensor, weights: Tensor) -> Tensor:
    """Means over places [N, C] of [N, C, h, w], weighed by [N, h, w]."""
    total = weights.sum((1, 2))[:, None] + 1e-5
    return (maps * weights[:, None]).sum((2, 3)) / total
