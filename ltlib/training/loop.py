"""The epoch loop: steps, evaluation, selection, early stopping, checkpoints, divergence.

It knows nothing of data sets, stores or notebooks: what it needs of them is passed in.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor

from ltlib.batches.draws import Draw
from ltlib.errors import DivergedError
from ltlib.recipes import Recipe
from ltlib.training.learner import Learner
from ltlib.training.outcome import Evaluation, Trained
from ltlib.training.state import State
from ltlib.training.steps import Step
from ltlib.training.tensor_lists import Copies, plain_copy

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


Evaluate = Callable[[], Evaluation]
"""Evaluates the network as it is."""


def fit(
    learner: Learner,
    step: Step,
    draws: Callable[[int], list[Draw]],
    recipe: Recipe,
    epochs: int,
    *,
    evaluate: Evaluate,
    checkpoint: Checkpoint,
    selection: str,
    report: Callable[[Mapping[str, float]], None] = lambda row: None,
    stop: Callable[[], bool] = lambda: False,
    before_epoch: Callable[[], None] = lambda: None,
    after_epoch: Callable[[], None] = lambda: None,
    renew: Callable[[int], None] = lambda epoch: None,
) -> Trained:
    """Train for `epochs` epochs, or go on where a checkpoint ends.

    Args:
        learner: Trained in place, and wholly in a checkpoint; its network ends with the last epoch's weights, or with
            their average where it has one.
        step: Trains the learner on one draw.
        draws: The draws of an epoch (from 1).
        recipe: Learning rates, patience, how often to evaluate.
        epochs: How many.
        evaluate: See `Evaluate`.
        checkpoint: Keeps the state at least once a minute.
        selection: Rule of the selected epoch, as in `Recipe`; ``last`` selects the last one.
        report: Called with each finished epoch's row.
        stop: Asked between chunks of steps; True saves the state and raises `Stopped`.
        before_epoch: Puts the network in its training mode.
        after_epoch: Changes weights between an epoch's last step and its evaluation.
        renew: Takes the statistics of the network anew over an epoch's batches, for averaged weights.

    Returns:
        History, test logits, selected weights.

    Raises:
        DivergedError: A loss is NaN or infinite. The epoch is discarded; the last good epoch's state is kept.
        Stopped: `stop` said so.
    """
    state, good = State(learner), Copies()
    saved = checkpoint.load()
    if saved is not None:
        state.restore(*saved)
    last_save = time.monotonic()
    while state.epoch < epochs and not state.patience_over(recipe.patience):
        epoch = state.epoch + 1
        started = time.monotonic()
        drawn = draws(epoch)
        rates = recipe.rates(epoch, epochs, sum(draw.steps for draw in drawn))
        lr = rates[-1] if rates else recipe.learning_rate(epoch, epochs)
        guard = _Guard(state, checkpoint, lr, good)
        before_epoch()
        learner.objective.set_epoch(epoch, epochs)
        if state.steps_done:
            state.restore_objective()
        losses = []
        for chunk in _chunks(drawn, state.steps_done, lambda: state.seconds_per_step):
            chunk_started = time.monotonic()
            losses.append(_train(step, chunk, rates[state.steps_done :][: chunk.steps]))
            state.steps_done += chunk.steps
            state.seconds_per_step = (time.monotonic() - chunk_started) / chunk.steps
            asked = stop()
            if asked or time.monotonic() - last_save > CHECKPOINT_SECONDS:
                state.seconds += time.monotonic() - started
                started = time.monotonic()
                guard.check_training(losses)
                checkpoint.save(*state.snapshot())
                last_save = time.monotonic()
                if asked:
                    raise Stopped
        guard.check_training(losses)
        after_epoch()
        if learner.average is not None:
            learner.average.after_epoch(epoch, epochs)
        row: dict[str, float] = {"epoch": epoch, "lr": lr}
        trained = learner.meter.result()
        learner.meter.reset()
        looks = epoch % recipe.evaluate_every == 0 or epoch == epochs or state.patience_over(recipe.patience, epoch)
        with learner.shown(partial(renew, epoch)) if looks else contextlib.nullcontext():
            found = evaluate() if looks else Evaluation({})
            guard.check_logits(found)
            row |= {"seconds": state.seconds + time.monotonic() - started}
            row |= {f"train_{key}": value for key, value in trained.items()} | found.columns
            state.finish_epoch(row, found.logits, selection)
        report(row)
        asked = stop()
        if asked or time.monotonic() - last_save > CHECKPOINT_SECONDS or state.epoch == epochs:
            checkpoint.save(*state.snapshot())
            last_save = time.monotonic()
            if asked and state.epoch < epochs:
                raise Stopped
    if learner.average is not None:
        learner.average.settle(partial(renew, state.epoch))
    return state.trained()


def _train(step: Step, chunk: Draw, rates: list[float]) -> Tensor:
    """The losses of a chunk's steps, each trained at its rate."""
    if len(set(rates)) == 1:
        return step(chunk, rates[0])
    return torch.cat([step(chunk.part(i, i + 1), rate) for i, rate in enumerate(rates)])


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


class _Guard:
    """Ends an epoch whose numbers are not finite, with the last good state in place of anything saved since.

    Args:
        state: As the epoch begins, or goes on in the middle.
        checkpoint: Gets the last good state where that is known.
        lr: The epoch's learning rate.
        good: Room for that state, the same for all epochs; of the last one that was whole.
    """

    def __init__(self, state: State, checkpoint: Checkpoint, lr: float, good: Copies):
        self.state, self.checkpoint, self.lr, self.good = state, checkpoint, lr, good
        self.skipped = state.steps_done
        self.known = state.steps_done == 0 and state.epoch > 0
        if self.known:
            good.take(state.moving())

    def check_training(self, losses: list[Tensor]) -> None:
        """Stop if one of the epoch's losses, or a weight after the last step, is not finite; one transfer."""
        sound = self.state.all_finite()
        *values, whole = torch.cat([*losses, sound.view(1)]).tolist()
        wrong = next((place for place, value in enumerate(values) if not math.isfinite(value)), None)
        if wrong is not None:
            self._diverged(f"the loss became {values[wrong]} at step {self.skipped + wrong + 1} of")
        elif not whole:
            self._diverged(f"the weights became NaN or infinite by step {self.state.steps_done} of")

    def check_logits(self, found: Evaluation) -> None:
        """Stop if a logit of the test images is not finite."""
        if not found.finite:
            self._diverged("the test logits became NaN or infinite after")

    def _diverged(self, what: str) -> NoReturn:
        state, epoch = self.state, self.state.epoch + 1
        if self.known:
            state.steps_done = 0
            state.seconds = 0.0
            settled = {name: plain_copy(tensor) for name, tensor in state.settled().items()}
            self.checkpoint.save(state.values(), self.good.tensors() | settled)
        raise DivergedError(
            f"{what} epoch {epoch} (learning rate {self.lr:g}); epoch {epoch} is discarded and the last good state "
            "kept; lower the learning rate, lengthen the warm-up or use float32"
        )
