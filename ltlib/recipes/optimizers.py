"""Optimizers by name, as recipes name them: ``sgd``, ``adam[beta1=0.8]``.

They stand beside the recipes, below the training, because a recipe is checked and a run identified without one. What a
training does with any of them (groups, rates on the device, state in checkpoints) is in `ltlib.training.optimizers`.

A new one is a frozen dataclass of its settings, registered with one line, whose ``make`` gives torch's optimizer. Two
things are asked of that: it keeps its state in tensors beside each parameter, and those begin as zeros at the first
step (a recorded training starts from zeros, see `ltlib.training.step_state`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from ltlib.errors import SettingError
from ltlib.limits import BELOW_ONE, POSITIVE, Limit, check_limits
from ltlib.registry import Registry

Groups = list[dict[str, Any]]
"""Parameters in torch's form: each group has ``params``, and here the ``factor`` of its learning rate and the ``part``
of the network that it is of."""


class Optimizer(Protocol):
    """The settings of an optimizer."""

    def make(self, groups: Groups, lr: float, weight_decay: float, fused: bool) -> torch.optim.Optimizer:
        """Torch's optimizer over these parameters.

        Args:
            groups: What is trained.
            lr: Learning rate to begin with; it is set before each draw of steps.
            weight_decay: Of every parameter.
            fused: A form whose rates may be tensors on the device and which a CUDA graph can hold; else torch's choice.
        """


OPTIMIZERS = Registry[Optimizer]("optimizer")


@OPTIMIZERS.register("sgd", source="Sutskever et al. 2013, in the form of torch.optim.SGD")
@dataclass(frozen=True, kw_only=True)
class Sgd:
    """Stochastic gradient descent with momentum: v = momentum v + g, w = w - lr v, with g = gradient + decay w.

    With ``nesterov`` the step is lr (g + momentum v).
    """

    momentum: float = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        check_limits({"momentum": BELOW_ONE}, "optimizer sgd", vars(self))
        if self.nesterov and not self.momentum:
            raise SettingError("setting nesterov of optimizer sgd needs a momentum above 0")

    def make(self, groups: Groups, lr: float, weight_decay: float, fused: bool) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            groups,
            lr=lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=weight_decay,
            fused=fused or None,
        )


@OPTIMIZERS.register("adam", source="Kingma and Ba 2015, arXiv 1412.6980, in the form of torch.optim.Adam")
@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam; the weight decay is added to the gradient (L2), and so divided by its second moment as well."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        limits = {"beta1": BELOW_ONE, "beta2": BELOW_ONE, "eps": POSITIVE}  # eps 0: no gradient yet is 0 / 0
        check_limits(limits, "optimizer adam", vars(self))

    def make(self, groups: Groups, lr: float, weight_decay: float, fused: bool) -> torch.optim.Optimizer:
        return self._torch(torch.optim.Adam, groups, lr, weight_decay, fused)

    def _torch(
        self, kind: type[torch.optim.Adam], groups: Groups, lr: float, weight_decay: float, fused: bool
    ) -> torch.optim.Optimizer:
        # capturable: torch refuses to record any other form, the fused one too
        return kind(
            groups,
            lr=lr,
            betas=(self.beta1, self.beta2),
            eps=self.eps,
            weight_decay=weight_decay,
            fused=fused or None,
            capturable=fused,
        )


@OPTIMIZERS.register("adamw", source="Loshchilov and Hutter 2019, arXiv 1711.05101, in the form of torch.optim.AdamW")
@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: w = w (1 - lr decay) before each step."""

    def make(self, groups: Groups, lr: float, weight_decay: float, fused: bool) -> torch.optim.Optimizer:
        return self._torch(torch.optim.AdamW, groups, lr, weight_decay, fused)


@OPTIMIZERS.register("muon", source="Jordan et al. 2024, and the code of Jordan 2024")
@dataclass(frozen=True, kw_only=True)
class Muon:
    """Momentum made orthogonal, for the matrices of the backbone and the projector; SGD for the rest.

    The recipe's rate is the matrices'; batch normalisation, biases and the classifier have `others_lr` times it. The
    recipe's weight decay acts beside the step: w = w (1 - rate decay).
    """

    momentum: float = 0.95
    nesterov: bool = True
    steps: int = 5
    bf16: bool = False
    others_momentum: float = 0.9
    others_lr: float = 5.0

    def __post_init__(self) -> None:
        limits = {
            "momentum": BELOW_ONE,
            "others_momentum": BELOW_ONE,
            "steps": Limit(1, whole=True),
            "others_lr": POSITIVE,
        }
        check_limits(limits, "optimizer muon", vars(self))

    def make(self, groups: Groups, lr: float, weight_decay: float, fused: bool) -> torch.optim.Optimizer:
        from ltlib.recipes import muon

        kinds: Groups = []
        for group in groups:
            parameters = list(group["params"])
            hidden = group.get("part") != "classifier"
            matrices = [p for p in parameters if hidden and p.ndim > 1]
            others = [p for p in parameters if not (hidden and p.ndim > 1)]
            factor = float(group.get("factor", 1.0))
            if matrices:
                kinds.append({**group, "params": matrices, "orthogonal": True, "lr": lr * factor})
            if others:
                own = {"factor": factor * self.others_lr, "lr": lr * factor * self.others_lr}
                kinds.append({**group, **own, "params": others, "orthogonal": False, "momentum": self.others_momentum})
        return muon.Muon(
            kinds,
            lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=weight_decay,
            steps=self.steps,
            bf16=self.bf16,
        )
