"""The blocks of a CIFAR ResNet in training mode as one function with its own gradient, on the kernels of `launch`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ltlib.models.kernels import launch
from ltlib.models.kernels.launch import Gradient, Source

ORDER = ("conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight", "bn2.weight", "bn2.bias")
"""A block's parameters as `Body` takes them."""


class Block(Protocol):
    """What is read of a block of `ltlib.models.cifar_resnet`."""

    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    conv2: nn.Conv2d
    bn2: nn.BatchNorm2d
    stride: int


def forward(x: Tensor, blocks: Sequence[Any]) -> Tensor:
    """What the blocks make of x [N, C, H, W], in training mode: their running statistics move."""
    parameters = [block.get_parameter(name) for block in blocks for name in ORDER]
    out, *norms = Body.apply(x, tuple((block.stride, block.bn1.eps, block.bn2.eps) for block in blocks), *parameters)
    _follow(x, blocks, norms)
    return out


@torch.no_grad()
def _follow(x: Tensor, blocks: Sequence[Block], norms: Sequence[Tensor]) -> None:
    """Running statistics follow the batch, the variance with n - 1, as torch's do."""
    moved = [bn for block in blocks for bn in (block.bn1, block.bn2)]
    counts, (n, _, height, width) = list[int](), x.shape
    for block in blocks:
        height, width = (height - 1) // block.stride + 1, (width - 1) // block.stride + 1
        counts += [n * height * width] * 2
    unbiased = torch._foreach_mul([norm[4] for norm in norms], [count / max(1, count - 1) for count in counts])
    for momentum in {bn.momentum or 0.0 for bn in moved}:
        those = [i for i, bn in enumerate(moved) if (bn.momentum or 0.0) == momentum]
        for name, values in (("running_mean", [norm[0] for norm in norms]), ("running_var", unbiased)):
            torch._foreach_lerp_([getattr(moved[i], name) for i in those], [values[i] for i in those], momentum)
    tracked = [bn.num_batches_tracked for bn in moved if bn.num_batches_tracked is not None]
    if tracked:
        torch._foreach_add_(tracked, 1)


class Body(torch.autograd.Function):
    """Blocks of two 3x3 convolutions with batch normalisation and option A shortcuts, each
    ``y = relu(x' + norm(conv(relu(norm(conv(x))))))``.

    Kept for the gradient are x, each convolution's output, each block's input at the positions its shortcut reads, and
    five numbers a channel; activations between are computed anew where they are read.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, plan: tuple[tuple[int, float, float], ...], *parameters: Tensor) -> Any:
        """x [N, C, H, W]; stride and both eps of each block; `ORDER` of each. Gives the last block's output, and
        `Source.norm` of each normalisation, in order."""
        with torch.cuda.device_of(x):
            source = Source(x.permute(0, 2, 3, 1).contiguous())
            kept: list[Tensor] = [source.x]
            norms: list[Tensor] = []
            for i, (stride, *eps) in enumerate(plan):
                w1, gamma1, beta1, w2, gamma2, beta2 = parameters[6 * i : 6 * i + 6]
                keep = source.norm is not None or stride > 1
                y1, sums, shown = launch.convolve(source, w1, stride, keep)
                shortcut = source.x if shown is None else shown
                norm1 = launch.statistics(sums, _positions(y1), gamma1, beta1, eps[0])
                y2, sums, _ = launch.convolve(Source(y1, norm1), w2, 1)
                norm2 = launch.statistics(sums, _positions(y2), gamma2, beta2, eps[1])
                source = Source(y2, norm2, shortcut)
                kept += [shortcut, y1, y2]
                norms += [norm1, norm2]
            out = launch.activate(source)
        ctx.plan = plan
        ctx.save_for_backward(*parameters, *norms, *kept)
        ctx.mark_non_differentiable(*norms)
        return (out.permute(0, 3, 1, 2), *norms)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Of the output alone; gives the gradients of x and of all parameters."""
        saved, count = ctx.saved_tensors, len(ctx.plan)
        parameters, norms, kept = saved[: 6 * count], saved[6 * count : 8 * count], saved[8 * count :]
        given: list[Any] = [None] * len(parameters)
        sources = [Source(kept[0])] + [Source(kept[3 * i + 3], norms[2 * i + 1], kept[3 * i + 1]) for i in range(count)]
        with torch.cuda.device_of(gradients[0]):
            g, sums = launch.activation_gradient(gradients[0].permute(0, 2, 3, 1).contiguous(), sources[-1])
            for i in reversed(range(count)):
                w1, gamma1, _, w2, gamma2, _ = parameters[6 * i : 6 * i + 6]
                stride, (shortcut, y1, y2), source = ctx.plan[i][0], kept[3 * i + 1 : 3 * i + 4], sources[i]
                norm1, norm2 = norms[2 * i : 2 * i + 2]
                own = given[6 * i : 6 * i + 6]
                turn, own[4], own[5] = launch.norm_gradient(sums, _positions(y2), norm2, gamma2)
                behind, middle = Gradient(g, y2, turn), Source(y1, norm1)
                own[3] = launch.weight_gradient(middle, behind, 1, w2)
                inner, sums = launch.input_gradient(behind, w2, 1, middle)
                turn, own[1], own[2] = launch.norm_gradient(sums, _positions(y1), norm1, gamma1)
                behind = Gradient(inner, y1, turn)
                shown = Source(shortcut) if stride == 1 else source  # written down already, or computed anew
                own[0] = launch.weight_gradient(shown, behind, stride, w1)
                g, sums = launch.input_gradient(behind, w1, stride, source, g)
                given[6 * i : 6 * i + 6] = own
        return (g.permute(0, 3, 1, 2), None, *given)


def _positions(y: Tensor) -> int:
    return y.numel() // y.shape[3]
