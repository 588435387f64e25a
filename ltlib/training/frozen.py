"""A backbone that nobody trains gives every image the same features in every epoch, so they are computed once.

Where that holds (`constant`), a stage trains and is evaluated on features in place of images. They are the ones that
the network would have computed: order, draws, classifier and stored weights do not change.

Features are kept by image of the full source set in ``cache/backbones/KEY`` of the reports folder (`feature_rows`):
``train.f32`` for training and validation images, ``test.f32`` for test images, and ``about.json``, which says in words
what they are of. The key is made of what they depend on: the backbone, every one of its weights, normalisation and
size of the images, precision, and the set's digest. So another loss, another subset, another seed find theirs there,
and only images that are new are looked at. The folder can be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltlib import places, sealed
from ltlib.batches.normalising import mean_and_std
from ltlib.batches.resident_features import ResidentFeatures
from ltlib.datasets import ImageSet, LongTailed
from ltlib.errors import LockedError
from ltlib.experiment import VERSIONS, Resolved
from ltlib.files import canonical_json, digest, write_json
from ltlib.methods import Stage
from ltlib.models import Backbone, Network
from ltlib.progress import Progress
from ltlib.training import accelerator, evaluation, objectives, residents
from ltlib.training.feature_rows import Rows
from ltlib.training.loop import Stopped
from ltlib.training.residents import RunImages

PIECE = 250
"""Images whose features are kept together, or an evaluation batch where that is more: what a killed process loses."""
SOON = 5.0
"""Seconds that need no progress line."""
SOURCE = {"train": "train", "validation": "train", "test": "test"}
"""Of which part of the source set the images of a run are, where it has two."""


def constant(resolved: Resolved, i: int) -> bool:
    """Whether every image has the same features throughout stage `i`, those of the network as it was built.

    The backbone is left as it began in this stage and in those before it, each image is seen once and as it is stored.
    """
    stage, recipe = resolved.stages[i], resolved.recipe
    if stage.teaching is not None:  # the teachers look at images
        return False
    seen_plainly = not recipe.augmentation and stage.mix is None and objectives.views(stage) == 1
    one_stream = resolved.stages[0].network == stage.network == "plain" and stage.second_sampler is None
    return seen_plainly and one_stream and all(_untouched(resolved, earlier) for earlier in resolved.stages[: i + 1])


def _untouched(resolved: Resolved, stage: Stage) -> bool:
    if "backbone" in resolved.recipe.frozen or not stage.epochs:
        return True
    return "backbone" not in stage.lr and stage.batch_norm != "shift"


class Shown:
    """What a run's network is shown: its images, or their features in stages where those are constant.

    Either is loaded when a stage first wants it.

    Args:
        resolved: The run.
        data: Its images.
        target: Device.
        stop: True asks to stop; what is computed by then is kept.
    """

    def __init__(
        self, resolved: Resolved, data: LongTailed, target: torch.device, stop: Callable[[], bool] = lambda: False
    ):
        self.resolved, self.data, self.target, self.stop = resolved, data, target, stop
        self._images: RunImages | None = None
        self._features: RunImages | None = None

    def of(self, i: int, network: Network) -> RunImages:
        """For stage `i`; `network` as that stage begins, on the device.

        Raises:
            Stopped: `stop` said so.
            RunError, LockedError: Features cannot be kept.
        """
        if constant(self.resolved, i):
            if self._features is None:
                self._features = features(network, self.resolved, self.data, self.target, self.stop)
            return self._features
        if self._images is None:
            self._images = residents.load(self.data, self.resolved, self.target)
        return self._images


def features(
    network: Network,
    resolved: Resolved,
    data: LongTailed,
    target: torch.device,
    stop: Callable[[], bool] = lambda: False,
    threads: int = 1,
) -> RunImages:
    """A run's images as features of this network, on the device while its memory lasts; computed where they are not
    kept, by several threads on a CPU, which changes no number. Raises as `Shown.of`."""
    parts = {"train": data.train, "test": data.test}
    if data.validation is not None:
        parts["validation"] = data.validation
    about = identity(network.backbone, resolved, data)
    folder = cache(about)
    source = dict.fromkeys(SOURCE, "pool") if data.pooled else SOURCE
    kept_rows = {name: Rows(folder, name, network.feature_dim) for name in sorted(set(source.values()))}
    rows = {name: kept_rows[source[name]] for name in parts}
    if any(len(rows[name].missing(images.indices)) for name, images in parts.items()):
        with _turn(folder):
            write_json(folder / "about.json", about)
            _fill(network, resolved, data, target, rows, list(parts.items()), stop, threads)
    found = {name: rows[name].read(images.indices) for name, images in parts.items()}
    needed = {name: ResidentFeatures.required_bytes(values.shape) for name, values in found.items()}
    kept, note = accelerator.plan_memory(needed, target)
    if note:
        sys.stderr.write(f"ltlib: {note}\n")
    shown = {
        name: ResidentFeatures(values, parts[name].targets, device=target, max_bytes=None if name in kept else 0)
        for name, values in found.items()
    }
    return RunImages(data, shown.pop("train"), shown)


def cache(about: dict[str, Any]) -> Path:
    """The folder that keeps the features which `identity` describes."""
    return places.reports_folder() / "cache" / "backbones" / digest(canonical_json(about))[:16]


def identity(backbone: Backbone, resolved: Resolved, data: LongTailed) -> dict[str, Any]:
    """What the features of an image depend on, as JSON-ready values; of the weights, a digest of all of them."""
    recipe = resolved.recipe
    mean, std = mean_and_std(recipe.normalise, data.mean, data.std)
    backbone_spec = resolved.model.identity()
    settings = {key: value for key, value in backbone_spec["settings"].items() if key != "weights"}
    set_ = {name: resolved.data[name] for name in ("dataset", "digest", "own") if name in resolved.data}
    return {
        "format": 1,
        "batches": VERSIONS["batches"],
        "backbone": backbone_spec | {"settings": settings},
        "weights": _weights(backbone),
        "set": set_ | ({"contents": data.contents} if data.contents else {}),
        "stored": data.image_size,
        "resize": recipe.resize,
        "normalise": recipe.normalise,
        **({} if mean is None or std is None else {"mean": list(mean), "std": list(std)}),
        "precision": resolved.precision,
    }


def _weights(backbone: Backbone) -> str:
    """SHA-256 of a backbone's weights and batch statistics, wherever they lie and in whatever memory format."""
    found = hashlib.sha256()
    for name, tensor in backbone.state_dict().items():
        if tensor.is_floating_point():
            found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _fill(
    network: Network,
    resolved: Resolved,
    data: LongTailed,
    target: torch.device,
    rows: dict[str, Rows],
    parts: list[tuple[str, ImageSet]],
    stop: Callable[[], bool],
    threads: int,
) -> None:
    """Compute and keep what is missing; the turn is ours."""
    todo = list[tuple[Rows, ImageSet, Any]]()
    size = max(PIECE, evaluation.batch_size(target, resolved.recipe.resize))
    for name, images in parts:
        missing = np.sort(rows[name].missing(images.indices))
        order = np.argsort(images.indices, kind="stable")  # in the order of the source: read from a disk in one go
        positions = order[np.searchsorted(images.indices[order], missing)]
        todo += [(rows[name], images, positions[start : start + size]) for start in range(0, len(positions), size)]
    total = sum(len(positions) for *_, positions in todo)
    line = Progress(total, f"features of {resolved.model.name}, images of {data.name}", enabled=False)
    writing, ended = threading.Lock(), threading.Event()

    def compute(kept: Rows, images: ImageSet, positions: Any) -> None:
        if ended.is_set():
            return
        piece = images.select(positions)
        with accelerator.fixed_threads(target):
            values = evaluation.features(network, residents.resident(piece, data, resolved, target), resolved.precision)
        with writing:
            kept.write(piece.indices, values.cpu().numpy())
            line.enabled = time.monotonic() - line.started > SOON
            line.step(count=len(piece))
        if stop():
            raise Stopped

    if threads == 1 or target.type != "cpu":
        for one in todo:
            compute(*one)
        return
    with ThreadPoolExecutor(threads) as pool:
        try:
            for running in [pool.submit(compute, *one) for one in todo]:
                running.result()
        finally:
            ended.set()


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One process at a time computes: another that wants the same waits, and then finds it."""
    what = "features of images"
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(sealed.claim(folder / "lock", what))
        except LockedError:
            with Progress(1, "waiting for another process, which computes features of images").waiting():
                held.enter_context(sealed.claim(folder / "lock", what, wait=True))
        yield
