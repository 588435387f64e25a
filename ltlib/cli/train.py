"""``ltlib train``: one run."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import tyro

from ltlib.cli.saying import note, say
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.processes import heap
from ltlib.progress import duration
from ltlib.registry import format_spec, parse


@dataclass(frozen=True)
class Train:
    """Train one run, or load it if it is finished; prints an epoch a line and the result.

    Attributes:
        experiment: What to train.
        epochs: Epochs instead of the recipe's.
        profile: Train what this profile trains for the experiment.
        weights: Train a run anew where only its record is there, which has no weights.
    """

    experiment: Annotated[Experiment, tyro.conf.arg(name="")]
    epochs: int | None = None
    profile: str | None = None
    weights: bool = False

    def run(self) -> int:
        from ltlib import datasets, profiles, runs
        from ltlib.runs import cost, leftovers
        from ltlib.training.loop import Stopped

        experiment = self.experiment
        if self.epochs is not None:
            name, settings = parse(experiment.recipe)
            experiment = replace(experiment, recipe=format_spec(name, settings | {"epochs": self.epochs}))
        if self.profile is not None:
            mapped = profiles.resolve(experiment, self.profile)
            if isinstance(mapped, profiles.Impossible):
                raise SettingError(mapped.reason)
            experiment = mapped
        own, run_id = datasets.as_found(experiment.dataset), experiment.run_id
        if runs.load(run_id, records=not self.weights) is None:
            heap.keep()
            leftovers.sweep_reports()
            for line in runs.describe_data(experiment).lines() if own else ():
                note(line)
            say(f"run {run_id}: about {duration(cost.estimate([experiment]))} of training (estimate, one thread)")
        with warnings.catch_warnings(), _graceful() as stop:
            if own:
                warnings.filterwarnings("ignore", "left out of")  # which is said already
            try:
                run = runs.run(experiment, report=_say_epoch, stop=stop.is_set, weights=self.weights)
            except Stopped:
                say(f"stopped; the state of run {run_id} is saved and the same command goes on from there")
                return 128 + stop.signal  # type: ignore[attr-defined]
        say(_summary(run))
        return 0


@contextlib.contextmanager
def _graceful() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second one ends the process at once."""
    event = threading.Event()

    def handle(number: int, frame: object) -> None:
        if event.is_set():
            os._exit(128 + number)
        event.signal = number  # type: ignore[attr-defined]
        event.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_epoch(row: Any) -> None:
    parts = [f"epoch {row['epoch']}/{row['epochs']}", f"{row['seconds']:.1f} s", f"train loss {row['train_loss']:.4f}"]
    if "test_accuracy" in row:
        parts.append(f"test accuracy {row['test_accuracy']:.1%}, ECE {row['test_ece']:.1%}")
    say("  ".join(([f"stage {row['stage']}"] if row["stage"] > 1 else []) + parts))


def _summary(run: Any) -> str:
    last = run.metrics["last"]
    lines = [
        f"run {run.id}: test accuracy {last['accuracy']:.2%} at the last epoch ({last['epoch']})",
        "  groups: "
        + ", ".join(
            f"{name} {group['accuracy']:.1%}" for name, group in last["groups"].items() if group["accuracy"] is not None
        ),
    ]
    if "ece" in last:
        lines[0] += f", ECE {last['ece']:.2%}"
    if run.selection != "last":
        chosen = run.metrics["selected"]
        lines.append(f"  by {run.selection.replace('_', ' ')}: {chosen['accuracy']:.2%} at epoch {chosen['epoch']}")
    lines.append(f"  {run.parameters:,} parameters, {duration(run.seconds)}, data {run.fingerprint[:12]}")
    return "\n".join(lines)
