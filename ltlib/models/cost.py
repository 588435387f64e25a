"""What a network costs: parameters, and multiply-accumulates of a forward pass. Neither needs data."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn


def parameter_count(network: nn.Module) -> int:
    """Number of parameters, frozen ones and the projector's included."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def count_macs(network: nn.Module, image_size: int) -> int:
    """Multiply-accumulates of convolutions and linear layers for one image, as ``network(images)`` runs them.

    Counted by running one black image through a copy of the network on the CPU, in evaluation mode: the network is not
    changed; one on torch's meta device stays there. Batch normalisation, activations, pooling and biases are left out,
    as in papers.
    `torch.utils.flop_counter` gives twice the same number, but it, and torch's meta device, take a second to load.
    """
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module.weight, Tensor)
        total += output.numel() * math.prod(module.weight.shape[1:])  # each output is a sum over one row of the weight

    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    device = device if device.type == "meta" else torch.device("cpu")
    network = copy.deepcopy(network).to(device).eval()
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    network(torch.zeros(1, 3, image_size, image_size, device=device))
    return total
