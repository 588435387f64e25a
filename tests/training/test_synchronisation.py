"""What a recorded step may not do: wait for the host, make tensors of Python numbers, find its tensors moved."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_capture import Repeats, everything
from test_steps import TRAINED, Watch, made
from torch import Tensor

from ltlib import losses, recipes
from ltlib.batches.draws import Draw
from ltlib.training import loop, step_state, steps
from ltlib.training.capture import CapturedStep, StaticStep
from ltlib.training.outcome import Evaluation


@pytest.mark.parametrize(("text", "index"), TRAINED)
def test_an_epoch_moves_no_tensor_and_changes_no_plain_number(text: str, index: int) -> None:
    """What changes with the epoch must be written in place, or every epoch would be recorded anew."""
    _, _, eager, draws = made(text, index)
    eager(draws[0], 0.1)
    before, values = step_state.frozen(eager)[2], everything(eager)
    places = {name: value.data_ptr() for name, value in eager.learner.objective.named_buffers()}
    for epoch in (1, 2, 9, 16):
        eager.learner.objective.set_epoch(epoch, 16)
        assert step_state.frozen(eager)[2] == before
        assert {name: value.data_ptr() for name, value in eager.learner.objective.named_buffers()} == places
    if text in ("bbn", "ldam_drw"):
        changed = everything(eager)
        assert any(not torch.equal(values[name], value) for name, value in changed.items())


@pytest.mark.parametrize("name", losses.LOSSES.names())
def test_no_loss_replaces_a_tensor_at_a_new_epoch(name: str) -> None:
    loss = losses.create(name, [50, 20, 8])
    torch.manual_seed(0)
    rows = torch.randn(12, 3 if not loss.contrastive else 8)
    targets = torch.arange(6).remainder(3).repeat(2)
    noise = (torch.rand(12, 3),) if loss.noise else ()
    loss(rows, targets, *noise)  # tsc makes its buffers here
    places = {key: value.data_ptr() for key, value in (*loss.named_buffers(), *loss.named_parameters())}
    plain = [step_state._plain(module) for module in loss.modules()]
    for epoch in (1, 2, 9, 10):
        loss.set_epoch(epoch, 10)
        loss(rows, targets, *noise)
        assert {key: value.data_ptr() for key, value in (*loss.named_buffers(), *loss.named_parameters())} == places
        assert [step_state._plain(module) for module in loss.modules()] == plain


@pytest.mark.parametrize(("text", "index"), TRAINED)
def test_a_recorded_step_makes_no_constant_and_asks_nothing_of_the_host(text: str, index: int) -> None:
    """A tensor made of Python numbers would be a transfer from the host, which a recording refuses."""
    _, _, eager, draws = made(text, index)
    static = StaticStep(eager, draws[0])
    static.load(draws[0])
    static.body()
    with Watch(constants=True) as watch:
        static.body()
    assert watch.count > 50
    assert watch.waits == []


# --- a whole training ------------------------------------------------------------------------------------------------

EPOCH_END = 4
"""Reads at an epoch's end without evaluation: the losses and the weights' verdict at once (1), the sums (3)."""


def repeated(draw: Draw, times: int) -> Draw:
    return draw.each(lambda value: torch.cat([value] * times))


class Nowhere:
    def load(self) -> None:
        return None

    def save(self, values: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        pass


@pytest.mark.parametrize(
    ("text", "index"),
    [(name, 0) for name in ("ce", "mixup", "cutmix", "supcon_ce", "bbn", "ldam_drw", "cmo", "reslt", "kcl", "tsc")]
    + [("mislas", 1), ("lws", 1)],
)
@pytest.mark.parametrize("recorded", [False, True])
def test_an_epoch_of_training_waits_a_fixed_number_of_times(text: str, index: int, recorded: bool) -> None:
    """Never in its steps, however many; at its end as often as `EPOCH_END` says."""
    waits = {}
    for longer in (1, 4):
        _, _, eager, draws = made(text, index)
        step: steps.Step = CapturedStep(eager, Repeats()) if recorded else eager
        for draw in draws:
            step(draw, 0.1)
        many = [repeated(draws[0], longer), *draws[1:]]
        inside: list[str] = []

        def watched(draw: Draw, lr: float, step: steps.Step = step, inside: list[str] = inside) -> Tensor:
            with Watch() as watch:
                losses_ = step(draw, lr)
            inside += watch.waits
            return losses_

        with Watch() as whole:
            loop.fit(
                eager.learner,
                watched,
                {1: many}.__getitem__,
                recipes.create("convergent[patience=0]"),
                1,
                evaluate=lambda: Evaluation({}),
                checkpoint=Nowhere(),
                selection="last",
            )
        assert inside == []
        waits[longer] = whole.waits
    assert waits[1] == waits[4]
    assert len(waits[1]) <= EPOCH_END
