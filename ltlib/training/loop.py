"""The epoch loop: steps, evaluation, selection, early stopping, checkpoints, divergence.

It knows nothing of data sets, stores or notebooks: what it needs of them is passed in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor, nn

from ltlib.batches.draws import Draw
from ltlib.errors import DivergedError
from ltlib.recipes import Recipe
from ltlib.training.meters import Meter
from ltlib.training.state import Outcome, State
from ltlib.training.steps import Step

CHECKPOINT_SECONDS = 45.0
"""A checkpoint at least every minute: a chunk of steps is shorter than the rest of it."""
CHUNK_SECONDS = 5.0


class Checkpoint(Protocol):
    """Where the loop keeps its state; implemented by the run store."""

    def load(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """The last good state, as JSON-ready values and tensors, or None."""

    def save(self, values: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Replace the state, wholly or not at all."""


class Stopped(Exception):
    """Training was asked to stop; its state is saved."""


Evaluate = Callable[[], tuple[dict[str, float], Tensor | None]]
"""Evaluates the network as it is: history columns (test_loss, ...) and the test logits, or None."""


def fit(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: Step,
    meter: Meter,
    draws: Callable[[int], list[Draw]],
    recipe: Recipe,
    epochs: int,
    *,
    evaluate: Evaluate,
    checkpoint: Checkpoint,
    selection: str,
    report: Callable[[Mapping[str, float]], None] = lambda row: None,
    stop: Callable[[], bool] = lambda: False,
    new_epoch: Callable[[int], None] = lambda epoch: None,
    before_epoch: Callable[[], None] = lambda: None,
    objective: nn.Module | None = None,
) -> Outcome:
    """Train for `epochs` epochs, or go on where a checkpoint ends.

    Args:
        network: Trained in place; ends with the last epoch's weights.
        optimizer: The step's; its state is part of a checkpoint.
        step: Trains on one draw.
        meter: The step's; read once an epoch.
        draws: The draws of an epoch (from 1).
        recipe: Learning rates, patience, how often to evaluate.
        epochs: How many.
        evaluate: See `Evaluate`.
        checkpoint: Keeps the state at least once a minute.
        selection: Rule of the selected epoch, as in `Recipe`; ``last`` selects the last one.
        report: Called with each finished epoch's row.
        stop: Asked between chunks of steps; True saves the state and raises `Stopped`.
        new_epoch: Called with the epoch's number before its steps (deferred re-weighting and the like).
        before_epoch: Puts the network in its training mode.
        objective: Where it learns something of its own (class centres), that is kept and resumed too.

    Returns:
        History, test logits, selected weights.

    Raises:
        DivergedError: A loss is NaN or infinite. The epoch is discarded; the last good epoch's state is kept.
        Stopped: `stop` said so.
    """
    state = State(network, optimizer, meter, objective)
    saved = checkpoint.load()
    if saved is not None:
        state.restore(*saved)
    last_save = time.monotonic()
    while state.epoch < epochs and not state.patience_over(recipe.patience):
        epoch = state.epoch + 1
        lr = recipe.learning_rate(epoch, epochs)
        started = time.monotonic()
        good = state.tensors() if state.steps_done == 0 else None
        before_epoch()
        new_epoch(epoch)
        skip = state.steps_done
        if skip:
            state.restore_objective()
        losses = []
        for chunk in _chunks(draws(epoch), skip, lambda: state.seconds_per_step):
            chunk_started = time.monotonic()
            losses.append(step(chunk, lr))
            state.steps_done += chunk.steps
            state.seconds_per_step = (time.monotonic() - chunk_started) / chunk.steps
            asked = stop()
            if asked or time.monotonic() - last_save > CHECKPOINT_SECONDS:
                state.seconds += time.monotonic() - started
                started = time.monotonic()
                _refuse_nan(losses, network, epoch, skip, lr, state, good, checkpoint)
                checkpoint.save(*state.snapshot())
                last_save = time.monotonic()
                if asked:
                    raise Stopped
        _refuse_nan(losses, network, epoch, skip, lr, state, good, checkpoint)
        row: dict[str, float] = {"epoch": epoch, "lr": lr}
        trained = meter.result()
        meter.reset()
        logits = None
        if epoch % recipe.evaluate_every == 0 or epoch == epochs or state.patience_over(recipe.patience, epoch):
            evaluated, logits = evaluate()
            if logits is not None and not bool(logits.isfinite().all()):
                _diverged("the test logits became NaN or infinite after", epoch, lr, state, good, checkpoint)
        else:
            evaluated = {}
        row |= {"seconds": state.seconds + time.monotonic() - started}
        row |= {f"train_{key}": value for key, value in trained.items()} | evaluated
        state.finish_epoch(row, logits, selection)
        report(row)
        asked = stop()
        if asked or time.monotonic() - last_save > CHECKPOINT_SECONDS or state.epoch == epochs:
            checkpoint.save(*state.snapshot())
            last_save = time.monotonic()
            if asked and state.epoch < epochs:
                raise Stopped
    return state.outcome()


def _chunks(draws: list[Draw], skip: int, seconds_per_step: Callable[[], float]):
    """Cut draws into pieces of a few seconds, leaving out the first `skip` steps."""
    for draw in draws:
        start = min(skip, draw.steps)
        skip -= start
        while start < draw.steps:
            pace = seconds_per_step()
            size = draw.steps if pace == 0 else max(1, int(CHUNK_SECONDS / pace))
            size = min(size if pace else 8, draw.steps - start)  # the first chunk finds the pace
            yield draw.part(start, start + size)
            start += size


def _refuse_nan(
    losses: list[Tensor],
    network: nn.Module,
    epoch: int,
    skip: int,
    lr: float,
    state: State,
    good: dict[str, Tensor] | None,
    checkpoint: Checkpoint,
) -> None:
    """Stop if a loss since the last look, or a weight after the last step, is not finite; two transfers."""
    values = torch.cat(losses).cpu() if losses else torch.zeros(0)
    wrong = ~values.isfinite()
    if bool(wrong.any()):
        place = int(wrong.int().argmax())
        what = f"the loss became {values[place].item()} at step {skip + place + 1} of"
    elif not bool(torch.stack([tensor.isfinite().all() for tensor in network.state_dict().values()]).all()):
        what = f"the weights became NaN or infinite by step {state.steps_done} of"
    else:
        return
    _diverged(what, epoch, lr, state, good, checkpoint)


def _diverged(
    what: str, epoch: int, lr: float, state: State, good: dict[str, Tensor] | None, checkpoint: Checkpoint
) -> NoReturn:
    """Put the last good state in place of anything saved since, where it is known, and raise."""
    if good is not None and state.epoch > 0:
        state.steps_done = 0
        state.seconds = 0.0
        checkpoint.save(state.values(), good)
    raise DivergedError(
        f"{what} epoch {epoch} (learning rate {lr:g}); epoch {epoch} is discarded and the last good state kept; "
        "lower the learning rate, lengthen the warm-up or use float32"
    )
