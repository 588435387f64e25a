"""``ltlib bench step``: one whole optimizer step with each classification loss against the same with cross-entropy.

What is timed is the step that trainings run, from the images' augmentation to the optimizer, so a loss counts with what
it adds to a training and not alone. A loss passes if it takes at most `ALLOWED` times as long as cross-entropy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ltlib import datasets, losses, methods, models, recipes
from ltlib.batches import augment
from ltlib.batches.draws import SAMPLERS, Draw, epoch_draws
from ltlib.batches.resident import Resident
from ltlib.bench.common import BATCH, MEAN, STD, Arm, machine, ratio, table, threads
from ltlib.errors import SettingError
from ltlib.methods.from_losses import WITH_CLASSIFIER
from ltlib.training import accelerator, learner, objectives, steps

ALLOWED = 1.1


def names() -> list[str]:
    """The classification losses."""
    return [entry.name for entry in losses.LOSSES if not losses.create(entry.name, [2, 1]).contrastive]


def step(
    *,
    only: Sequence[str] = (),
    model: str = "resnet32",
    batch: int = BATCH,
    image_size: int = 32,
    num_classes: int = 100,
    steps: int = 1,
    rounds: int = 5,
    quiet: bool = False,
) -> dict[str, Any]:
    """A whole step (augment, forward, loss, backward, SGD, count) with each classification loss against cross-entropy.

    Cross-entropy runs right before or right after each loss in every round, with one thread, on random pixels with the
    class counts of CIFAR-LT at imbalance factor 100. Cross-entropy against itself is among the results: it shows how
    far apart two equal things come out.

    Args:
        only: Losses, all by default.
        model: Network.
        batch: Images a step.
        image_size: Their side in pixels.
        num_classes: K.
        steps: Steps an arm takes before the other one has its turn.
        rounds: Measured rounds; at least 5 for a number worth keeping.
        quiet: Print nothing.

    Returns:
        JSON-ready: ``bench``, ``model``, ``batch``, ``image_size``, ``classes``, ``steps``, ``rounds``, ``device``,
        ``allowed``, ``losses`` (by name: milliseconds and cpu_milliseconds a step, and those of the cross-entropy
        beside it), ``ratios`` (by name: median, low, high; of wall and of CPU time), ``slower`` (the losses whose
        median ratio of CPU time - on a GPU of wall time - is above what is allowed), ``machine``.

    Raises:
        SettingError: No step, no round, or a batch of fewer than two.
        UnknownName: Unknown loss or network.
    """
    if steps < 1 or rounds < 1 or batch < 2:
        raise SettingError(
            f"bench step needs a step, a round and two images a batch, not {steps}, {rounds} and {batch}"
        )
    chosen = list(only) or names()
    shape = {"model": model, "batch": batch, "image_size": image_size, "num_classes": num_classes, "steps": steps}
    ce = _arm("ce", **shape)  # type: ignore[arg-type]
    pairs = {name: (Arm(ce.run, ce.count, ce.threads), _arm(name, **shape)) for name in chosen}  # type: ignore[arg-type]
    with threads(1):
        for pair in pairs.values():
            for arm in pair:
                arm.run()
    for i in range(rounds):
        for pair in pairs.values():
            for arm in pair if i % 2 == 0 else pair[::-1]:
                arm.measure()
    device = accelerator.device()
    ratios = {name: ratio(other, beside) for name, (beside, other) in pairs.items()}
    counted = "wall" if device.type == "cuda" else "cpu"
    result = {
        "bench": "step",
        "model": model,
        "batch": batch,
        "image_size": image_size,
        "classes": num_classes,
        "steps": steps,
        "rounds": rounds,
        "device": str(device),
        "allowed": ALLOWED,
        "losses": {name: _times(batch, *pair) for name, pair in pairs.items()},
        "ratios": ratios,
        "slower": [name for name, kinds in ratios.items() if kinds[counted]["median"] > ALLOWED],
        "machine": machine(),
    }
    if not quiet:
        print(_text(result))  # noqa: T201 - a bench is run to be read
    return result


def _arm(name: str, model: str, batch: int, image_size: int, num_classes: int, steps: int) -> Arm:
    """Steps of a training with this loss."""
    device, counts = accelerator.device(), datasets.long_tailed_counts(500, num_classes, 100)
    rng = np.random.default_rng(0)
    count = steps * batch
    pixels = rng.integers(0, 256, (count, image_size, image_size, 3), dtype=np.uint8)
    targets = rng.choice(num_classes, count, p=np.array(counts) / sum(counts))
    resident = Resident(pixels, targets, padding=4, mean=MEAN, std=STD, device=device)
    network = models.create(model, num_classes, classifier="cosine" if name in WITH_CLASSIFIER else "linear")
    network = network.to(memory_format=torch.channels_last).to(device)
    objective = objectives.create(methods.Stage(loss=losses.spec(name)), counts).to(device)
    draws = epoch_draws(
        SAMPLERS.create("instance_balanced"),
        augment.create("crop4+flip"),
        resident.targets.cpu(),
        seed=0,
        stage=0,
        epoch=1,
        epochs=1,
        batch_size=batch,
        views=objective.views,
        noise=objective.noise(num_classes),
    )
    return Arm(_train(network, objective, resident, draws[0]), count, threads=1)


def _train(network: models.Network, objective: objectives.Objective, resident: Resident, draw: Draw) -> Any:
    learning = learner.create(network, objective, recipes.create("ldam"), methods.Stage().lr)
    taken = steps.EagerStep(learning, resident)
    network.train()
    objective.set_epoch(1, 1)

    def run() -> None:
        taken(draw, 1e-3)
        if resident.targets.is_cuda:
            torch.cuda.synchronize()

    return run


def _times(batch: int, ce: Arm, other: Arm) -> dict[str, float]:
    """Milliseconds a step, medians over the rounds."""
    mine, beside = other.summary(), ce.summary()
    return {
        "milliseconds": mine["microseconds_per_image"] * batch / 1000,
        "cpu_milliseconds": mine["cpu_microseconds_per_image"] * batch / 1000,
        "ce_milliseconds": beside["microseconds_per_image"] * batch / 1000,
        "ce_cpu_milliseconds": beside["cpu_microseconds_per_image"] * batch / 1000,
    }


def _text(result: Mapping[str, Any]) -> str:
    """The result as people read it."""
    rows = [[f"one {result['model']} step", "ms", "ce, ms", "ratio (range)", "CPU ratio (range)"]]
    for name, times in result["losses"].items():
        kinds = [
            f"{v['median']:.3f} ({v['low']:.2f} to {v['high']:.2f})"
            for v in (result["ratios"][name][k] for k in ("wall", "cpu"))
        ]
        rows.append([name, f"{times['milliseconds']:.1f}", f"{times['ce_milliseconds']:.1f}", *kinds])
    slower = ", ".join(result["slower"]) or "none"
    host = result["machine"]
    return "\n".join(
        [
            table(rows),
            "",
            f"more than {result['allowed']} times cross-entropy: {slower}",
            f"batch {result['batch']}, {result['image_size']}x{result['image_size']} pixels, "
            f"{result['classes']} classes, {result['steps']} steps a turn, {result['rounds']} rounds, "
            f"{result['device']}",
            f"{host['cpu']}, {host['cores']} cores, torch {host['torch']}",
        ]
    )
