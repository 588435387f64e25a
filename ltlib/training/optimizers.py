"""What a training does with an optimizer, whichever it is: its groups of parameters, its rates, its state.

On CUDA every optimizer is torch's fused form with learning rates in tensors on the device: numbers would be frozen in a
recording (`ltlib.training.capture`), and in any other form a tensor is read by the host. The state is whatever tensors
torch keeps beside a parameter: the momentum of SGD, the moments and the step of Adam.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ltlib.models import Network
from ltlib.recipes import OPTIMIZERS, Recipe


def create(
    network: Network, recipe: Recipe, factors: Mapping[str, float], *, fused: bool | None = None
) -> torch.optim.Optimizer:
    """The recipe's optimizer over the parts that are trained; a part without a factor is frozen (no gradients).

    Args:
        network: Its ``parts`` are the names `factors` uses.
        recipe: Optimizer and weight decay.
        factors: Learning rate factor per part; ``scales`` for a classifier's learnable scales, else the classifier's.
        fused: Whether as on CUDA, with rates in tensors; by default where the network is there.
    """
    groups = []
    for name, part in network.parts.items():
        trained = name in factors
        own = getattr(part, "train_parts", None)  # a classifier that keeps a piece of itself frozen
        part.requires_grad_(trained)
        parameters = list(part.parameters()) if own is None else own(trained)
        scales = getattr(part, "scales", None) if "scales" in factors else None
        for key, chosen in (
            (name, [parameter for parameter in parameters if parameter is not scales]),
            ("scales", [parameter for parameter in parameters if parameter is scales]),
        ):
            if trained and chosen:
                groups.append({"params": chosen, "factor": factors[key], "part": name})
    if fused is None:
        fused = any(parameter.is_cuda for parameter in network.parameters())
    made = OPTIMIZERS.create(recipe.optimizer_spec).make(groups, recipe.lr, recipe.weight_decay, fused)
    if fused:
        for group in made.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=group["params"][0].device)
    return made


def set_rates(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Each group's learning rate: `lr` times its factor, written in place where it is a tensor."""
    for group in optimizer.param_groups:
        rate = lr * group["factor"]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def state(optimizer: torch.optim.Optimizer) -> Iterator[tuple[Tensor, str, Tensor]]:
    """The state there is so far: parameter, name in torch's state, tensor."""
    for parameter in _parameters(optimizer):
        for name, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                yield parameter, name, value


def named_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state under names that outlive the process: the parameter's number and torch's name, ``3.exp_avg``."""
    numbers = {id(parameter): i for i, parameter in enumerate(_parameters(optimizer))}
    return {f"{numbers[id(parameter)]}.{name}": value for parameter, name, value in state(optimizer)}


def restore_state(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back a `named_state`, as the optimizer itself would have made it: in its parameters' layout, on the device.

    Raises:
        IndexError: It is the state of more parameters.
    """
    places = [(group, parameter) for group in optimizer.param_groups for parameter in group["params"]]
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        group, parameter = places[int(number)]
        if name == "step" and not (group.get("fused") or group.get("capturable")):
            made = value.cpu()  # torch counts on the host there
        elif value.shape == parameter.shape:
            made = torch.empty_like(parameter).copy_(value)
        else:
            made = value.to(parameter.device)
        optimizer.state[parameter][name] = made


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]
