"""What a training will cost, before it starts: from finished runs on this machine, else from a probe of a second.

The model is two numbers: seconds a step whatever its size (dispatch), and multiply-accumulates a second. A forward and
backward pass is three forward passes, and one more where a batch goes in parts. What an optimizer computes is left out,
Adam's some ten operations a weight too; what it keeps is not (`checkpoint_bytes`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import nn
from torch.nn import functional as F

from ltlib import datasets, models, registry
from ltlib.batches import draws, samplers
from ltlib.datasets import longtail
from ltlib.experiment import Experiment
from ltlib.files import canonical_json, digest
from ltlib.methods import Stage
from ltlib.models import experts
from ltlib.registry import Spec
from ltlib.training import accelerator, frozen, memory, objectives

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

    def __add__(self, other: Work) -> Work:
        return Work(self.steps + other.steps, self.macs + other.macs, max(self.depth, other.depth))


@dataclass(frozen=True)
class Pace:
    """What a machine does: seconds of dispatch a step and layer, and multiply-accumulates a second."""

    dispatch: float
    macs_per_second: float

    def seconds(self, work: Work) -> float:
        return work.steps * work.depth * self.dispatch + work.macs / self.macs_per_second


REFERENCE_GPU = Pace(1e-5, 38.5e12)
"""A GPU of the A100's class, for plans made where none is: 77 TFLOP/s is what a stock ResNet-18 reaches on CIFAR-10 by
the figures of KellerJordan/cifar10-airbench (32.3 PFLOP in 7 minutes, one A100). The dispatch is that of captured
steps, our estimate; nothing of it was measured here."""


def work(experiment: Experiment) -> Work:
    """Steps and multiply-accumulates of a run, without those of training its teachers; needs no data on disk. Early
    stopping is not foreseen."""
    first, *others = _own_pieces(experiment).values()
    return sum(others, first)


def pieces(experiment: Experiment) -> dict[str, Work]:
    """What a run computes, in pieces by names under which runs share them: stages that start alike, and the features of
    a backbone that stays as it was built, which are computed once (`ltlib.training.frozen`). The stages come first, in
    the order of `Resolved.every_stage`."""
    resolved = experiment.resolve()
    found = dict[str, Work]()
    for each in (*resolved.teachers, experiment):
        found |= pieces(each) if each is not experiment else _own_pieces(each)
    names = [run.stage_id(i) for run, i in resolved.every_stage()]
    return {name: found[name] for name in [*names, *(found.keys() - set(names))]}


def _own_pieces(experiment: Experiment) -> dict[str, Work]:
    resolved = experiment.resolve()
    found = {resolved.stage_id(i): work for i, work in enumerate(stage_works(experiment))}
    if name := features_name(experiment):
        info, counts = datasets.info(experiment.dataset), _class_counts(experiment)
        forward = _forward(resolved.model, info.num_classes, resolved.recipe.side(info.image_size))
        found[name] = Work(0, (sum(counts) + _test_images(experiment)) * forward, 0)
    return found


def features_name(experiment: Experiment) -> str:
    """What a run's kept features are called in `pieces`; empty where it has none."""
    resolved = experiment.resolve()
    if not any(frozen.constant(resolved, i) for i in range(len(resolved.stages))):
        return ""
    recipe, drawn = resolved.recipe, models.pretrained.of(resolved.model) is None
    pooled = resolved.stages[0].pooling
    said = [resolved.data, resolved.model.identity(), pooled, resolved.precision, recipe.resize, recipe.normalise]
    return f"features {digest(canonical_json([*said, resolved.seed if drawn else None]))[:12]}"


def _class_counts(experiment: Experiment) -> Sequence[int]:
    """Training images of each class, as far as they are known without the images."""
    info = datasets.info(experiment.dataset)
    largest = max(info.class_counts) if info.class_counts else max(1, round(info.train_images / info.num_classes))
    factor, form = experiment.imbalance_factor, experiment.imbalance_type
    known = experiment.class_counts or (info.class_counts if factor == 1 else None)
    if known is None and info.class_counts and datasets.as_found(experiment.dataset):
        known = tuple(longtail.subset_counts(info.class_counts, factor, form, by_size=True))
    counts: Sequence[int] = known or datasets.long_tailed_counts(largest, info.num_classes, factor, form)
    if experiment.limit is not None and experiment.limit < sum(counts):
        counts = longtail.limit_counts(counts, experiment.limit)
    return counts


def stage_works(experiment: Experiment) -> list[Work]:
    """`work` stage by stage, without kept features; no seed changes it."""
    of_any_seed = experiment.replace(seed=0, subset_seed=0)
    return list(_stage_works(of_any_seed, datasets.info(experiment.dataset), registry.registrations()))


@lru_cache(maxsize=2**13)
def _stage_works(experiment: Experiment, info: datasets.DatasetInfo, registered: int) -> tuple[Work, ...]:
    resolved, counts = experiment.resolve(), _class_counts(experiment)
    side, own = resolved.recipe.side(info.image_size), len(resolved.stages[0].experts)
    forward = _forward(resolved.model, info.num_classes, side, own)
    found = []
    for i, stage in enumerate(resolved.stages):
        epochs, depth = resolved.epochs(i), _depth(resolved.model)
        passes = 1.0 if "backbone" not in stage.lr else 3.0 if resolved.recipe.batch_parts == 1 else 4.0
        if frozen.constant(resolved, i):
            forward, depth, passes = _feature_dim(resolved.model) * info.num_classes, 1, 3.0
        images = _epoch_images(stage, resolved.recipe.batch_size, counts)
        looks = resolved.recipe.looks
        looked_at = objectives.looked_at(stage)
        views = (objectives.views(stage) - looked_at) * passes + looked_at + _lookers(stage)
        macs = looks * epochs * images * views * forward
        if stage.loss is not None:
            shown = _test_images(experiment) + (0 if resolved.recipe.average == "none" else sum(counts))
            macs += epochs / resolved.recipe.evaluate_every * shown * forward
        steps = looks * epochs * draws.steps_per_epoch(images, resolved.recipe.batch_size)
        found.append(Work(steps, macs, depth))
    return tuple(found)


def _lookers(stage: Stage) -> int:
    """How often each image is looked at besides, without a gradient: by teachers, and where a mixing is guided."""
    return (len(stage.teaching.seeds) if stage.teaching else 0) + stage.guided


def _test_images(experiment: Experiment) -> int:
    """Test images that an evaluation sees."""
    info, each = datasets.info(experiment.dataset), experiment.test_per_class
    return info.test_images if each is None else min(info.test_images, each * info.num_classes)


def _epoch_images(stage: Stage, batch_size: int, class_counts: Sequence[int]) -> int:
    """Images of an epoch's order, of one stream and one view."""
    images = samplers.epoch_length(stage.sampler, class_counts)
    if stage.epoch_ends == "images":
        images = min(images, batch_size * draws.steps_for_images(sum(class_counts), batch_size))
    return images


def images_seen(experiment: Experiment, class_counts: Sequence[int], epochs: Mapping[int, int]) -> int:
    """Training images that pass through the network in a run: its cost, whatever the machine.

    Views of one image count each, and so do the images of a second stream, each look of sharpness-aware steps, and each
    look of a teacher. So do the images that its teachers were trained on, all of them for each student.

    Args:
        experiment: The run's experiment.
        class_counts: Its training images per class.
        epochs: Epochs that were trained, by number of the stage from 1.
    """
    total, resolved = 0, experiment.resolve()
    for number, stage in enumerate(resolved.stages, start=1):
        images = _epoch_images(stage, resolved.recipe.batch_size, class_counts)
        streams = 1 if stage.second_sampler is None else 2
        shown = objectives.views(stage) * streams + _lookers(stage)
        total += epochs.get(number, 0) * images * shown * resolved.recipe.looks
    for teacher in resolved.teachers:
        own = teacher.resolve()
        total += images_seen(teacher, class_counts, {i + 1: own.epochs(i) for i in range(len(own.stages))})
    return total


def stage_bytes(experiment: Experiment) -> int:
    """Disk that a finished stage takes: weights and test logits, twice where another epoch than the last is chosen."""
    resolved = experiment.resolve()
    info = datasets.info(experiment.dataset)
    kept = 1 if resolved.recipe.selection == "last" else 2
    numbers = _parameters(resolved.model, info.num_classes) + _test_images(experiment) * info.num_classes
    return 4 * kept * numbers


def checkpoint_bytes(experiment: Experiment) -> int:
    """Disk that a run takes while it trains, besides its finished stages: weights, and the optimizer's state."""
    resolved = experiment.resolve()
    numbers = _parameters(resolved.model, datasets.info(experiment.dataset).num_classes)
    kept = 1 if resolved.recipe.selection == "last" else 2
    return 4 * numbers * (kept + memory.moments(resolved.recipe))


@cache
def _parameters(model: Spec, num_classes: int) -> int:
    """Numbers a network holds, batch statistics included."""
    with torch.device("meta"):
        backbone = models.MODELS.create(model)
    return sum(t.numel() for t in backbone.state_dict().values()) + (backbone.feature_dim + 1) * num_classes


def _forward(model: Spec, num_classes: int, image_size: int, own: int = 0) -> int:
    """Multiply-accumulates of one image with a linear classifier, or with one for each of `own` experts on shared
    layers; the branches of BBN and ResLT are not counted."""
    return _backbone_macs(model, image_size, own) + max(own, 1) * _feature_dim(model) * num_classes


@cache
def _backbone_macs(model: Spec, image_size: int, own: int = 0) -> int:
    """Counted once for each network: a hundred runs of a plan share a handful.

    A small network is counted in milliseconds. A deep one takes a second, and there are a dozen in the paper profile:
    shapes without numbers give the same count, but the first use of torch's meta device takes two seconds to load.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu" if _depth(model) <= LAYERS_PROBED else "meta"):
        backbone = models.MODELS.create(model)
        return models.count_macs(experts.ExpertBackbone(backbone, own) if own else backbone, image_size)


@cache
def _feature_dim(model: Spec) -> int:
    with torch.device("meta"):
        return models.MODELS.create(model).feature_dim


def estimate(experiments: Iterable[Experiment]) -> float:
    """Seconds that training these runs takes in one process of one thread, or on the GPU; what they share counts once.

    Features that are kept already are not looked for: they count.
    """
    return estimates(experiments)[0]


def estimates(*several: Iterable[Experiment]) -> list[float]:
    """`estimate` of several lists of runs; a run that is in more than one is looked at once."""
    pace, known, totals = measure(), dict[Experiment, dict[str, Work]](), []
    for experiments in several:
        found = dict[str, Work]()
        for experiment in experiments:
            if experiment not in known:
                known[experiment] = pieces(experiment)
            found |= known[experiment]
        totals.append(sum(pace.seconds(work) for work in found.values()))
    return totals


@cache
def measure() -> Pace:
    """Probe this machine: ResNet-8, batches of 32, at 8x8 and at 32x32 pixels."""
    target = accelerator.device()
    network = models.create("resnet8", 10).to(memory_format=torch.channels_last).to(target)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        small, large = (_step_seconds(network, size, target) for size in (8, 32))
    finally:
        torch.set_num_threads(threads)
    work = [3 * 32 * models.macs("resnet8", 10, size) for size in (8, 32)]
    rate = (work[1] - work[0]) / max(large - small, 1e-6)
    return Pace(max(small - work[0] / rate, 1e-5) / LAYERS_PROBED, rate)


def _step_seconds(network: torch.nn.Module, size: int, target: torch.device) -> float:
    """The fastest of a few steps; by hand, because torch's optimizers import its compiler, which takes longer."""
    weights: list[torch.Tensor] = list(network.parameters())
    images = torch.randn(32, 3, size, size, device=target).to(memory_format=torch.channels_last)
    targets = torch.zeros(32, dtype=torch.int64, device=target)
    best = float("inf")
    for _ in range(8):
        if target.type == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        gradients = torch.autograd.grad(F.cross_entropy(network(images), targets), weights)
        with torch.no_grad():
            torch._foreach_add_(weights, gradients, alpha=-1e-3)
        if target.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return best


@cache
def _depth(model: Spec) -> int:
    """Layers with weights: a ResNet's name says how many, those of another network are counted."""
    if named := re.fullmatch(r"resnet(\d+)", model.name):
        return int(named[1])
    with torch.device("meta"):
        backbone = models.MODELS.create(model)
    return sum(isinstance(module, nn.Conv2d | nn.Linear) for module in backbone.modules()) + 1  # and the classifier
