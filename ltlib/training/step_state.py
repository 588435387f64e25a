"""What a training step changes, and what a recording of it holds on to; see `ltlib.training.capture`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ltlib.batches.draws import Draw
from ltlib.training import optimizers
from ltlib.training.parts import draws_numbers
from ltlib.training.steps import EagerStep, send


class Kept:
    """What a step changes, copied so that it can be put back in place.

    Args:
        step: Its network, sums and optimizer's state are copied now, its objective by `objective`.
    """

    def __init__(self, step: EagerStep):
        self.step = step
        self.copies: list[tuple[Tensor, Tensor]] = []
        self._copy(step.learner.network)
        self._copy(step.learner.meter)
        if step.learner.average is not None:
            self._copy(step.learner.average)
        self.state = [(tensor, tensor.clone()) for _, _, tensor in optimizers.state(step.learner.optimizer)]

    @torch.no_grad()
    def objective(self, draw: Draw) -> None:
        """Copy the objective's tensors, after one look at features without learning: TSC makes its own from them."""
        step, learner = self.step, self.step.learner
        row = draw.part(0, 1).each(lambda value: send(value, step.device))
        learning = [module for module in learner.objective.modules() if module.training]
        learner.objective.eval()
        step.objective(step.batch(row, 0))
        for module in learning:
            module.training = True
        self._copy(learner.objective)

    @torch.no_grad()
    def put_back(self, keep_new: bool) -> None:
        """Write all copies back.

        Args:
            keep_new: Whether the optimizer's state that has come since stays, as zeros.
        """
        for tensor, copy in (*self.copies, *self.state):
            tensor.copy_(copy)
        old, optimizer = {id(tensor) for tensor, _ in self.state}, self.step.learner.optimizer
        for parameter, name, tensor in list(optimizers.state(optimizer)):
            if id(tensor) in old:
                continue
            own = optimizer.state[parameter]
            if keep_new:  # on this stream, and in the layout of the parameter
                own[name] = torch.zeros_like(tensor)
            else:
                del own[name]
                if not own:
                    del optimizer.state[parameter]
        optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def _copy(self, module: nn.Module) -> None:
        self.copies += [(tensor, tensor.detach().clone()) for tensor in (*module.parameters(), *module.buffers())]


def unfit(step: EagerStep) -> str | None:
    """Why a step cannot be recorded, as far as that is known beforehand; a module may say ``capturable = False``."""
    if step.data.streaming:
        return "its images are streamed from the host"
    for module in (*step.learner.network.modules(), *step.learner.objective.modules()):
        name = type(module).__name__
        if getattr(module, "capturable", True) is False:
            return f"{name} needs the host in every step"
        if draws_numbers(module):
            return f"{name} draws random numbers on the device, which a replay would draw otherwise"
    return None


def leaves(draw: Draw, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a draw by name, in a fixed order."""
    yield f"{prefix}index", draw.index
    for kind, values in (("views", draw.views), ("mix", draw.mix), ("compared", draw.compared or {})):
        for name, value in values.items():
            yield f"{prefix}{kind}.{name}", value
    if draw.second is not None:
        yield from leaves(draw.second, f"{prefix}second.")
    if draw.noise is not None:
        yield f"{prefix}noise", draw.noise


def frozen(step: EagerStep) -> Any:
    """All that a recording holds on to, to compare: places of tensors, modes, and plain numbers that Python reads."""
    learner = step.learner
    rest = [m for m in (learner.objective, learner.meter, learner.average) if m is not None]
    states = [tensor.data_ptr() for _, _, tensor in optimizers.state(learner.optimizer)]
    settings = [
        (key, value.data_ptr() if isinstance(value, Tensor) else value)
        for group in learner.optimizer.param_groups
        for key, value in group.items()
        if key != "params"
    ]
    return (
        places(learner.network),
        [places(module)[0] for module in rest] + [states, step.data.targets.data_ptr()],
        [_plain(module) for module in learner.objective.modules()],
        settings,
        (step.precision, step.mixing, step.parts, step.sharpness, None if step.rare is None else step.rare.data_ptr()),
    )


def places(network: nn.Module) -> tuple[list[int], list[bool]]:
    """Where a module's tensors lie, and its modes: which parameters take a gradient, which parts are in training.

    Asked in every chunk of steps, so without the names and the search for duplicates of torch's own walk, which take
    most of its time.
    """
    where, modes, waiting = list[int](), list[bool](), [network]
    while waiting:
        module = waiting.pop()
        modes.append(module.training)
        for tensor in module._parameters.values():
            if tensor is not None:
                where.append(tensor.data_ptr())
                modes.append(tensor.requires_grad)
        where += [tensor.data_ptr() for tensor in module._buffers.values() if tensor is not None]
        waiting += [child for child in module._modules.values() if child is not None]
    return where, modes


def _plain(module: nn.Module) -> dict[str, Any]:
    """A module's attributes that are numbers, words or tuples of them."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, bool | int | float | str | None)
        or (isinstance(value, tuple) and all(isinstance(item, bool | int | float | str) for item in value))
    }
