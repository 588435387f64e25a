"""What a training will cost, before it starts: from finished runs on this machine, else from a probe of a second.

The model is two numbers: seconds a step whatever its size (dispatch), and multiply-accumulates a second. A forward and
backward pass is three forward passes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch.nn import functional as F

from ltlib import datasets, models, samplers, sampling, stages
from ltlib.datasets import longtail
from ltlib.experiment import Experiment
from ltlib.objectives import Contrastive
from ltlib.registry import Spec

LAYERS_PROBED = 8
"""The probe's network has eight layers; dispatch grows with depth."""


@dataclass(frozen=True)
class Work:
    """What one run computes.

    Attributes:
        steps: Optimizer steps.
        macs: Multiply-accumulates of training and evaluation.
        depth: Layers of the network, for the dispatch.
    """

    steps: int
    macs: float
    depth: int


@dataclass(frozen=True)
class Pace:
    """What this machine does: seconds of dispatch a step and layer, and multiply-accumulates a second."""

    dispatch: float
    macs_per_second: float

    def seconds(self, work: Work) -> float:
        return work.steps * work.depth * self.dispatch + work.macs / self.macs_per_second


def work(experiment: Experiment) -> Work:
    """Steps and multiply-accumulates of a run; needs no data on disk. Early stopping is not foreseen."""
    resolved = experiment.resolve()
    info = datasets.info(experiment.dataset)
    size = info.train_images / info.num_classes
    counts: Sequence[int] = experiment.class_counts or datasets.long_tailed_counts(
        max(1, round(size)), info.num_classes, experiment.imbalance_factor, experiment.imbalance_type
    )
    if experiment.limit is not None and experiment.limit < sum(counts):
        counts = longtail.limit_counts(counts, experiment.limit)
    forward = _forward(resolved.model, info.num_classes, info.image_size)
    steps, macs = 0, 0.0
    for i, stage in enumerate(resolved.stages):
        epochs = resolved.epochs(i)
        images = samplers.epoch_length(stage.sampler, counts)
        views = Contrastive.views if stage.contrastive is not None else 1
        steps += epochs * sampling.steps_per_epoch(images, resolved.recipe.batch_size)
        macs += epochs * images * views * forward * (3 if "backbone" in stage.lr else 1)
        if stage.loss is not None:
            macs += epochs / resolved.recipe.evaluate_every * info.test_images * forward
    return Work(steps, macs, _depth(resolved.model.name))


@cache
def _forward(model: Spec, num_classes: int, image_size: int) -> int:
    """Multiply-accumulates of one image, counted once for each network: a hundred runs of a plan share a handful.

    A small network is counted in milliseconds. A deep one takes a second, and there are a dozen in the paper profile:
    shapes without numbers give the same count, but the first use of torch's meta device takes two seconds to load.
    """
    if _depth(model.name) <= LAYERS_PROBED:
        return models.macs(model, num_classes, image_size)
    with torch.device("meta"):
        backbone = models.MODELS.create(model)
    return models.count_macs(backbone, image_size) + backbone.feature_dim * num_classes


def estimate(experiments: Iterable[Experiment]) -> float:
    """Seconds that training these runs takes in one process of one thread, or on the GPU."""
    pace = measure()
    return sum(pace.seconds(work(experiment)) for experiment in experiments)


@cache
def measure() -> Pace:
    """Probe this machine: ResNet-8, batches of 32, at 8x8 and at 32x32 pixels."""
    target = stages.device()
    network = models.create("resnet8", 10).to(memory_format=torch.channels_last).to(target)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        small, large = (_step_seconds(network, optimizer, size, target) for size in (8, 32))
    finally:
        torch.set_num_threads(threads)
    work = [3 * 32 * models.macs("resnet8", 10, size) for size in (8, 32)]
    rate = (work[1] - work[0]) / max(large - small, 1e-6)
    return Pace(max(small - work[0] / rate, 1e-5) / LAYERS_PROBED, rate)


def _step_seconds(network: torch.nn.Module, optimizer: torch.optim.Optimizer, size: int, target: torch.device) -> float:
    """The fastest of a few optimizer steps."""
    images = torch.randn(32, 3, size, size, device=target).to(memory_format=torch.channels_last)
    targets = torch.zeros(32, dtype=torch.int64, device=target)
    best = float("inf")
    for _ in range(8):
        if target.type == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(network(images), targets).backward()
        optimizer.step()
        if target.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return best


def _depth(model: str) -> int:
    digits = "".join(c for c in model if c.isdigit())
    return int(digits) if digits else LAYERS_PROBED
