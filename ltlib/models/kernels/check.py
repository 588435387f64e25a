"""Whether the kernels compute on a device what torch does, and the same bits twice. Needs triton."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from ltlib.models.kernels import launch
from ltlib.models.kernels.launch import Gradient, Source

SHAPES = ((16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1))
"""Channels in and out, stride: all that a CIFAR ResNet has."""
IMAGES, SIDE = 5, 9
"""No multiple of a block, and an odd side at stride 2."""
ALLOWED = {torch.bfloat16: 1e-2, torch.float32: 1e-4}
"""Relative error, the length of the difference over that of torch's."""

Named = tuple[str, Tensor, Tensor]


def trouble(device: torch.device, dtype: torch.dtype = torch.bfloat16, images: int = IMAGES, side: int = SIDE) -> str:
    """The first kernel that is not what it should be, in words; empty where all are.

    Args:
        device: Where they are to run.
        dtype: Of the images between the layers.
        images: How many.
        side: Theirs in pixels.
    """
    for shape in SHAPES:
        case = Case(device, dtype, shape, images, side)
        for (name, found, expected), (_, again, _) in zip(case.compared(), case.compared(), strict=True):
            what = f"{name} with {shape[0]} to {shape[1]} channels at stride {shape[2]}"
            error = float((found.float() - expected.float()).norm() / expected.float().norm())
            if not error < ALLOWED[dtype]:
                return f"{what} differs from torch's in float32 by {error:.1g} of its size"
            if not torch.equal(found, again):
                return f"{what} gives other bits the second time"
    return ""


class Case:
    """One convolution on random numbers: its input normalised, with a residual of half the channels."""

    def __init__(self, device: torch.device, dtype: torch.dtype, shape: tuple[int, int, int], images: int, side: int):
        cin, cout, self.stride = shape
        draw = torch.Generator().manual_seed(0)

        def normal(*size: int, like: torch.dtype = torch.float32) -> Tensor:
            return torch.randn(*size, generator=draw).to(device, like)

        high = (side - 1) // self.stride + 1
        self.x, self.res = normal(images, side, side, cin, like=dtype), normal(images, side, side, cin // 2, like=dtype)
        self.gamma, self.beta = 1 + 0.2 * normal(cout), 0.2 * normal(cout)
        mean, inverse, gamma = 0.3 * normal(cin), 1 + 0.2 * normal(cin).abs(), 1 + 0.2 * normal(cin)
        self.norm = torch.stack((mean, inverse, gamma * inverse, 0.3 * normal(cin) - mean * gamma * inverse, mean))
        self.own_gamma = gamma
        self.weight = (normal(cout, cin, 3, 3) / (9 * cin) ** 0.5).to(memory_format=torch.channels_last)
        self.g, self.y = (normal(images, high, high, cout, like=dtype) for _ in range(2))
        self.turn = torch.stack((1 + 0.2 * normal(cout), 0.1 * normal(cout), 0.1 * normal(cout)))
        self.extra = normal(images, high, high, cout, like=dtype)

    def compared(self) -> Iterator[Named]:
        """Each kernel's result and torch's in float32."""
        source = Source(self.x, self.norm, self.res)
        cin, cout = self.x.shape[3], self.weight.shape[0]
        before, stride = (cin - cin // 2) // 2, self.stride
        shortcut = F.pad(self.res.float(), (before, cin - cin // 2 - before))
        summed = self.x.float() * self.norm[2] + self.norm[3] + shortcut
        shown = summed.relu()
        y, sums, kept = launch.convolve(source, self.weight, stride, keep=True)
        assert kept is not None
        yield "the convolution", y, _last(F.conv2d(_second(shown), self.weight, None, stride, 1))
        yield "the kept input", kept, shown[:, ::stride, ::stride]
        norm = launch.statistics(sums, y.numel() // cout, self.gamma, self.beta, 1e-5)
        rows = y.float().view(-1, cout)
        variance, mean = torch.var_mean(rows, 0, correction=0)
        inverse = (variance + 1e-5).rsqrt()
        scale = self.gamma * inverse
        yield "the statistics", norm, torch.stack((mean, inverse, scale, self.beta - mean * scale, variance))
        yield "the activation", launch.activate(source), shown
        gradient = Gradient(self.g, self.y, self.turn)
        whole = _second(self.turn[0] * self.g.float() + self.turn[1] + self.turn[2] * self.y.float())
        weights = launch.weight_gradient(source, gradient, stride, self.weight)
        yield (
            "the gradient of the weight",
            weights,
            conv2d_weight(_second(shown), tuple(self.weight.shape), whole, stride, 1),
        )
        inputs, sums = launch.input_gradient(gradient, self.weight, stride, source, self.extra)
        behind = _last(conv2d_input(tuple(_second(shown).shape), self.weight, whole, stride, 1))
        skipped = (cout - cin) // 2
        behind[:, ::stride, ::stride] += self.extra.float()[..., skipped : skipped + cin]
        yield "the gradient of the input", inputs, behind * (summed > 0)
        yield from self._normalised(inputs, sums)
        ended, sums = launch.activation_gradient(self.x, source)
        yield "the gradient of the activation", ended, self.x * (summed > 0)
        yield from self._normalised(ended, sums)

    def _normalised(self, inputs: Tensor, sums: Tensor) -> Iterator[Named]:
        """The normalisation's own gradients, from the sums that came with a gradient."""
        rows, channels = inputs.float().flatten(0, 2), inputs.shape[3]
        found = launch.norm_gradient(sums, len(rows), self.norm, self.own_gamma)
        mean, inverse = self.norm[0], self.norm[1]
        plain = rows.sum(0)
        times = (rows * (self.x.float().view(-1, channels) - mean) * inverse).sum(0)
        a = self.own_gamma * inverse
        c = -a * inverse * times / len(rows)
        expected = (torch.stack((a, -a * plain / len(rows) - c * mean, c)), times, plain)
        yield (
            "the normalisation's gradient",
            torch.cat([part.flatten() for part in found]),
            torch.cat([part.flatten() for part in expected]),
        )


def _second(x: Tensor) -> Tensor:
    """[N, C, H, W] of [N, H, W, C]."""
    return x.permute(0, 3, 1, 2)


def _last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).contiguous()
