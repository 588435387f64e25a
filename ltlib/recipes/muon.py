"""Muon: momentum whose matrices are made orthogonal before each step (Jordan et al. 2024; KellerJordan/Muon).

A weight of two axes and more is a matrix G of shape [rows, everything else]; a convolution's rows are its filters.

    m = mu m + (1 - mu) g,    u = (1 - mu) g + mu m  (Nesterov; without it u = m)
    w = w - lr (decay w + sqrt(max(1, rows / columns)) O(u))

O(u) has the singular vectors of u and singular values near one: u / |u| through some rounds of
``X = a X + (b X X^T + c (X X^T)^2) X``, the Newton-Schulz iteration with the authors' coefficients, whose values do not
settle at one: in five rounds every one from 0.005 |u| upwards ends between 0.68 and 1.16.

Where the authors' code differs: it computes the rounds in bfloat16 (here with ``bf16``), and takes the factor of a
convolution from the height and width of its filters, so that it is always one (here from rows and columns, as their
text has it). Other parameters (batch normalisation, biases, the classifier) go to Adam there; here to SGD with Nesterov
momentum, as in their code for CIFAR-10 (cifar10-airbench), and with the decay of the weights beside the step too. That
code also scales each filter to one norm at every step, decays no filter, has momentum 0.6 and three rounds, and a first
convolution that is not trained.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b and c of a round."""
_SMALLEST = 1e-7
"""Beside a matrix's norm; the authors'."""


def orthogonalised(matrices: Tensor, steps: int = 5) -> Tensor:
    """Matrices with the same singular vectors and singular values near one, [N, rows, columns], in their precision.

    Args:
        matrices: float [N, rows, columns].
        steps: Rounds of the iteration.
    """
    a, b, c = COEFFICIENTS
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + _SMALLEST)
    if wide := x.shape[1] > x.shape[2]:
        x = x.mT
    for _ in range(steps):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if wide else x


class Muon(torch.optim.Optimizer):
    """Muon on the matrices of the backbone and the projector, SGD on everything else.

    Each group of parameters has ``orthogonal``, which of the two it is for, and a rate of its own. The momentum is the
    only state, zeros at first. Nothing is read by the host, and rates may be tensors on the device.

    Args:
        groups: With ``params`` and ``orthogonal``.
        lr: Of groups without one.
        momentum: mu, of both kinds.
        nesterov: Of the matrices.
        weight_decay: Decoupled, of both kinds.
        steps: Rounds of the iteration.
        bf16: Whether they are computed in bfloat16.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float,
        *,
        momentum: float,
        nesterov: bool,
        weight_decay: float,
        steps: int,
        bf16: bool,
    ):
        defaults = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(groups, {"lr": lr, **defaults, "steps": steps, "bf16": bf16})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step with the gradients that are there."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            updates = self._orthogonal(group, weights) if group["orthogonal"] else self._plain(group, weights)
            torch._foreach_add_(updates, weights, alpha=group["weight_decay"])
            torch._foreach_sub_(weights, list(torch._foreach_mul(updates, group["lr"])))

    def _momenta(self, weights: list[Tensor]) -> list[Tensor]:
        for weight in weights:
            if "momentum_buffer" not in self.state[weight]:
                self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        return [self.state[weight]["momentum_buffer"] for weight in weights]

    def _orthogonal(self, group: dict[str, Any], weights: list[Tensor]) -> list[Tensor]:
        """What is taken off the matrices, before the rate: those of one shape go through the iteration together."""
        mu, momenta = group["momentum"], self._momenta(weights)
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        torch._foreach_lerp_(momenta, gradients, 1 - mu)
        used = list(torch._foreach_lerp(gradients, momenta, mu)) if group["nesterov"] else momenta
        shapes: dict[tuple[int, int], list[int]] = {}
        for i, weight in enumerate(weights):
            shapes.setdefault((len(weight), weight[0].numel()), []).append(i)
        found: list[Tensor] = list(used)
        for (rows, columns), places in shapes.items():
            flat = torch.stack([used[i].reshape(rows, columns) for i in places])
            made = orthogonalised(flat.bfloat16() if group["bf16"] else flat, group["steps"]).to(flat.dtype)
            made = made * max(1.0, rows / columns) ** 0.5
            for i, one in zip(places, made.unbind(), strict=True):
                found[i] = one.reshape(weights[i].shape)
        return found

    def _plain(self, group: dict[str, Any], weights: list[Tensor]) -> list[Tensor]:
        """What SGD with Nesterov momentum takes off, before the rate: v = mu v + g, then g + mu v."""
        mu, momenta = group["momentum"], self._momenta(weights)
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        torch._foreach_mul_(momenta, mu)
        torch._foreach_add_(momenta, gradients)
        return list(torch._foreach_add(gradients, momenta, alpha=mu))
