"""What a network costs: parameters, and multiply-accumulates of a forward pass. Neither needs data."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

_SHAPELESS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish, nn.Dropout)
"""Kinds of layers whose output has the shape of their input and whose operations are not counted."""


def parameter_count(network: nn.Module) -> int:
    """Number of parameters, frozen ones and the projector's included."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def count_macs(network: nn.Module, image_size: int) -> int:
    """Multiply-accumulates of convolutions, linear layers and attention for one image, as ``network(images)`` does.

    Counted by running one black image through a copy of the network on the CPU, in evaluation mode: the network is not
    changed; one on torch's meta device stays there. Normalisation, activations, pooling, biases and scales are left
    out, as in papers.
    `torch.utils.flop_counter` gives twice the same number, but it, and torch's meta device, take a second to load.
    """
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module.weight, Tensor)
        total += output.numel() * math.prod(module.weight.shape[1:])  # each output is a sum over one row of the weight

    def count_attention(module: nn.MultiheadAttention, inputs: tuple[Tensor, ...], output: object) -> None:
        """Four projections of each token (its output layer is not called as a module), and two products of tokens."""
        nonlocal total
        query, key, _ = inputs
        tokens, others = query.numel() // query.shape[-1], key.numel() // key.shape[-1]
        total += 2 * (tokens + others) * module.embed_dim**2 + 2 * tokens * others * module.embed_dim

    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    device = device if device.type == "meta" else torch.device("cpu")
    network = copy.deepcopy(network).to(device).eval()
    _leave_out(network)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
        elif isinstance(module, nn.MultiheadAttention):
            module.register_forward_hook(count_attention)
    network(torch.zeros(1, 3, image_size, image_size, device=device))
    return total


def _leave_out(network: nn.Module) -> None:
    """Put nothing in place of layers that change no shape and are not counted: they take most of the time."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, _SHAPELESS):
                setattr(module, name, nn.Identity())
