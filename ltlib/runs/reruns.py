"""Stored runs made again, wholly or in part, and compared: evaluated from their weights, or trained anew."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from ltlib import datasets, places, sealed
from ltlib.errors import LtlibError
from ltlib.files import scratch_folder
from ltlib.runs import provenance, store
from ltlib.runs.result import SELECTIONS, Run
from ltlib.training import accelerator, evaluation, objectives, residents

CLOSE = {"float32": 1e-3, "bf16": 5e-2}
"""How far stored and new logits may differ, absolutely and as a part of them: another device adds in another order."""
_SAME = ("weights.safetensors", "selected.safetensors", "logits.safetensors", "held_out.safetensors")


def sample(wanted: Callable[[Run], str], count: int) -> tuple[list[Run], list[str]]:
    """Some of the full runs here, the same at every call, and why others were passed over.

    Args:
        wanted: Why a run is not one of those, empty where it is.
        count: How many; fewer where there are not as many.
    """
    here = [run for run in store.finished() if run.folder is not None and store.made_by(run) == run.id]
    reasons = {run.id: wanted(run) for run in here}
    fit = sorted((run for run in here if not reasons[run.id]), key=lambda run: run.id)
    return random.Random(0).sample(fit, min(count, len(fit))), sorted({reason for reason in reasons.values() if reason})


def evaluated(run: Run) -> tuple[bool, str]:
    """Whether the logits of a run's stored weights are those that are stored, and a sentence on it.

    Raises:
        LtlibError: The weights or the images cannot be read.
    """
    resolved, target = run.experiment.resolve(), accelerator.device()
    data = store.load_data(run.experiment)
    images = residents.resident(data.test, data, resolved, target)
    objective = objectives.create(resolved.stages[-1], data.class_counts).to(target)
    furthest, close = 0.0, True
    with accelerator.fixed_threads(target):
        for selection in SELECTIONS:
            network = run.network(selection).to(target)
            logits = evaluation.evaluate(network, objective, {"test": images}, resolved.precision).logits
            stored = run.predictions[selection].logits
            assert logits is not None
            assert stored is not None
            new, open_ = logits.cpu().numpy(), CLOSE[resolved.precision]
            furthest = max(furthest, float(np.abs(new - stored).max()))
            close = close and np.allclose(new, stored, rtol=open_, atol=open_)
    exact = (
        "are the stored ones to the bit" if not furthest else f"differ from the stored ones by at most {furthest:.2g}"
    )
    return close, f"run {run.id} evaluated again from its weights: its logits {exact}"


def images_missing(run: Run) -> str:
    """Why a run cannot be evaluated here; empty where it can."""
    return "" if datasets.available(run.experiment.dataset) else f"the images of {run.experiment.dataset} are not here"


def other_machine(run: Run) -> str:
    """Why a run cannot be expected to come out the same to the bit; empty where it can.

    That holds on embedded data, for the machine, versions and threads that made it.
    """
    if not run.experiment.dataset.startswith("digits"):
        return "runs on images that are not part of the package are not trained again"
    now = provenance.describe(accelerator.device())
    for name in ("device", "torch", "numpy", "python", "system"):
        if run.provenance.get(name) != now[name]:
            return f"runs made with {name} {run.provenance.get(name)} are not trained again with {now[name]}"
    return ""


def retrained(run: Run, scratch: Path) -> tuple[bool, str]:
    """Whether training a run anew gives the same weights and logits to the bit, and a sentence on it.

    Args:
        run: A full run.
        scratch: An empty folder, for the new one.

    Raises:
        LtlibError: It cannot be trained.
    """
    assert run.folder is not None
    new = store.train_anew(run.experiment, scratch)
    for name in run.stages:
        old, made = (sealed.files_of(top / "stages" / name) for top in (run.folder.parent, scratch))
        for file in _SAME:
            if old.get(file) != made.get(file):
                return False, f"run {run.id} trained again has another {file} in stage {name} than the stored one"
    histories = [found.history.drop(columns="seconds") for found in (run, new)]
    if not histories[0].equals(histories[1]):
        return False, f"run {run.id} trained again has another history than the stored one"
    return True, f"run {run.id} trained again: weights, logits and history are the stored ones to the bit"


def again(evaluate: int, retrain: int) -> Iterator[tuple[bool, str]]:
    """Make some of the stored runs again: whether each came out the same, and a sentence on it.

    Args:
        evaluate: How many to evaluate from their weights.
        retrain: How many to train anew.
    """
    if evaluate:
        yield from _each(*sample(images_missing, evaluate), evaluated, "evaluated")
    if retrain:
        with scratch_folder(places.runs_folder()) as scratch, torch.random.fork_rng(devices=[]):
            yield from _each(
                *sample(other_machine, retrain), lambda run: retrained(run, scratch / f"{run.id} anew"), "trained"
            )


def _each(
    found: Sequence[Run], passed: Sequence[str], check: Callable[[Run], tuple[bool, str]], word: str
) -> Iterator[tuple[bool, str]]:
    if not found:
        yield True, f"no run is {word} again: " + ("; ".join(passed) or "none is here in full")
    for run in found:
        try:
            yield check(run)
        except LtlibError as error:
            yield False, f"run {run.id} cannot be {word} again: {error}"
