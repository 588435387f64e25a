"""The kernels as functions of tensors. Needs triton; see `ltlib.models.kernels.jit` for what each computes."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from ltlib.models.kernels import jit

BLOCKS = {16: 128, 32: 128, 64: 64}
"""Positions a program, by the channels it writes; not tuned on a GPU."""
PARTS = {16: 128, 32: 64, 64: 32}
"""Most parts of a weight gradient, by its output channels. Sums depend on it, so it does not depend on the device."""
ADDED = (16, 64)
"""Parts and numbers of them that a program adds at once."""
ROWS = 64
"""Blocks whose sums the last kernel of a reduction reads at once."""


class Source(NamedTuple):
    """What a convolution reads: x [N, H, W, C] as it is, or ``relu(norm(x) + residual)``.

    Attributes:
        x: As it is, or the output of the convolution before.
        norm: float32 [5, C], see `jit`; None for x as it is.
        res: [N, H, W, C'], C' at most C, its channels in the middle of the others (option A); None for none.
    """

    x: Tensor
    norm: Tensor | None = None
    res: Tensor | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What the kernels are told about it."""
        fewer = self.x.shape[3] if self.res is None else self.res.shape[3]
        return {"CRES": fewer, "BEFORE": (self.x.shape[3] - fewer) // 2, "RES": self.res is not None}

    @property
    def pointers(self) -> tuple[Tensor, Tensor, Tensor]:
        """Tensors for the kernels; what there is none of is never read."""
        return self.x, self.x if self.norm is None else self.norm, self.x if self.res is None else self.res


class Gradient(NamedTuple):
    """The gradient of a convolution's output y: ``a g + b + c y`` by channel.

    Attributes:
        g: [N, H, W, C], behind the normalisation.
        y: [N, H, W, C].
        turn: float32 [3, C]: a, b, c.
    """

    g: Tensor
    y: Tensor
    turn: Tensor


def wide(x: Tensor) -> bool:
    """Whether to multiply in float32: such numbers, and Triton's interpreter, which runs on a CPU and knows no bf16."""
    return x.dtype == torch.float32 or not x.is_cuda


def convolve(source: Source, weight: Tensor, stride: int, keep: bool = False) -> tuple[Tensor, Tensor, Tensor | None]:
    """3x3, padding 1: output [N, H', W', C'], statistics of its blocks [blocks, 2, C'], and the activation [N, H', W',
    C] in the middle of each window where it is to be kept."""
    n, height, width, cin = source.x.shape
    cout, high, across = weight.shape[0], (height - 1) // stride + 1, (width - 1) // stride + 1
    positions, block = n * high * across, BLOCKS[cout]
    blocks = triton.cdiv(positions, block)
    y = source.x.new_empty(n, high, across, cout)
    kept = source.x.new_empty(n, high, across, cin) if keep else None
    sums = source.x.new_empty(blocks, 2, cout, dtype=torch.float32)
    jit.convolve[(blocks,)](
        *source.pointers,
        weight,
        y,
        y if kept is None else kept,
        sums,
        *(height, width, high, across, positions),
        *weight.stride(),
        CIN=cin,
        COUT=cout,
        STRIDE=stride,
        NORM=source.norm is not None,
        KEEP=keep,
        BLOCK=block,
        WIDE=wide(y),
        **source.settings,
    )
    return y, sums, kept


def statistics(sums: Tensor, positions: int, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    """`Source.norm` of a convolution's output from the statistics of its blocks."""
    blocks, _, channels = sums.shape
    norm = sums.new_empty(5, channels)
    jit.statistics[(1,)](sums, gamma, beta, norm, blocks, positions, eps, C=channels, BLOCK=BLOCKS[channels], ROWS=ROWS)
    return norm


def norm_gradient(sums: Tensor, positions: int, norm: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`Gradient.turn`, and the gradients of gamma and beta, from the sums of blocks."""
    blocks, _, channels = sums.shape
    turn = sums.new_empty(3, channels)
    of_gamma, of_beta = torch.empty_like(gamma), torch.empty_like(gamma)
    jit.norm_gradient[(1,)](sums, norm, gamma, turn, of_gamma, of_beta, blocks, positions, C=channels, ROWS=ROWS)
    return turn, of_gamma, of_beta


def input_gradient(
    grad: Gradient, weight: Tensor, stride: int, source: Source, extra: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The gradient [N, H, W, C] before the ReLU of a source (of x itself where that is as it is), and of a normalised
    one the sums of its blocks [blocks, 2, C].

    Args:
        grad: Of the convolution's output.
        weight: Its weight.
        stride: Its stride.
        source: Its input.
        extra: What comes back through the shortcut, [N, H', W', C''].
    """
    n, height, width, cin = source.x.shape
    _, high, across, cout = grad.g.shape
    positions, block = n * height * width, BLOCKS[cin]
    blocks = triton.cdiv(positions, block)
    out = torch.empty_like(source.x)
    sums = source.x.new_empty(blocks, 2, cin, dtype=torch.float32)
    more = cin if extra is None else extra.shape[3]
    jit.input_gradient[(blocks,)](
        *grad,
        weight,
        out if extra is None else extra,
        *source.pointers,
        out,
        sums,
        *(height, width, high, across, positions),
        *weight.stride(),
        CIN=cin,
        COUT=cout,
        CX=more,
        BEFORE_X=(more - cin) // 2,
        STRIDE=stride,
        NORM=source.norm is not None,
        EXTRA=extra is not None,
        BLOCK=block,
        WIDE=wide(out),
        **source.settings,
    )
    return out, sums


def weight_gradient(source: Source, grad: Gradient, stride: int, weight: Tensor) -> Tensor:
    """The gradient of a convolution's weight, in its layout and precision."""
    n, height, width, cin = source.x.shape
    _, high, across, cout = grad.g.shape
    positions, block = n * high * across, BLOCKS[cout]
    steps = triton.cdiv(triton.cdiv(positions, block), PARTS[cout])
    count = triton.cdiv(positions, block * steps)
    parts = source.x.new_empty(count, 9 * cin * cout, dtype=torch.float32)
    jit.weight_gradient[(count, 3)](
        *source.pointers,
        *grad,
        parts,
        *(height, width, high, across, positions, steps),
        CIN=cin,
        COUT=cout,
        STRIDE=stride,
        NORM=source.norm is not None,
        BLOCK=block,
        WIDE=wide(source.x),
        **source.settings,
    )
    out = torch.empty_like(weight)
    jit.add_parts[(triton.cdiv(9 * cin * cout, ADDED[1]),)](
        parts, out, count, *out.stride(), CIN=cin, COUT=cout, ROWS=ADDED[0], BLOCK=ADDED[1]
    )
    return out


def activate(source: Source) -> Tensor:
    """A normalised source written down."""
    out = torch.empty_like(source.x)
    positions, channels = out.numel() // out.shape[3], out.shape[3]
    block = BLOCKS[channels]
    jit.activate[(triton.cdiv(positions, block),)](
        *source.pointers, out, positions, C=channels, BLOCK=block, **source.settings
    )
    return out


def activation_gradient(grad: Tensor, source: Source) -> tuple[Tensor, Tensor]:
    """The gradient before the ReLU of `activate`, and the sums of its blocks."""
    out = torch.empty_like(source.x)
    positions, channels = out.numel() // out.shape[3], out.shape[3]
    blocks = triton.cdiv(positions, BLOCKS[channels])
    sums = out.new_empty(blocks, 2, channels, dtype=torch.float32)
    jit.activation_gradient[(blocks,)](
        grad, *source.pointers, out, sums, positions, C=channels, BLOCK=BLOCKS[channels], **source.settings
    )
    return out, sums
