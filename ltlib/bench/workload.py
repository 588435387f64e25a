"""What `bench run` and `bench grid` train: images, network and recipe, and how many operations that is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from ltlib import datasets, models
from ltlib.batches import augment, draws
from ltlib.bench.common import MEAN, STD
from ltlib.datasets import ImageSet, LongTailed
from ltlib.errors import SettingError
from ltlib.experiment import Experiment, Resolved
from ltlib.recipes import Recipe
from ltlib.training import accelerator

TINY = "tiny"
EPOCHS, IMAGES = {"cpu": 2, "cuda": 5}, {"cpu": 1280, "cuda": None}
"""Epochs of a training on 32x32 images and how many images, by default: a round takes a minute or two. None is all."""
TINY_EPOCHS = 10
PUBLISHED = (10_847, 10_000, 200)
"""Training and test images and epochs of the field's standard run, CIFAR-100-LT at imbalance factor 100."""


@dataclass(frozen=True)
class Workload:
    """One training, the same for every arm.

    Attributes:
        experiment: As a user would ask for it.
        data: Its images.
        source: Where they come from, in words.
        stored: Whether `ltlib.runs.run` finds these images; it does not find random ones.
    """

    experiment: Experiment
    data: LongTailed
    source: str
    stored: bool

    @property
    def resolved(self) -> Resolved:
        return self.experiment.resolve()

    @property
    def epochs(self) -> int:
        return self.resolved.recipe.epochs

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image's forward pass."""
        side = self.recipe().side(self.data.image_size)
        return models.macs(self.resolved.model, self.data.num_classes, side)

    def every(self, every: int, epochs: int | None = None) -> Workload:
        """The same, evaluated every so many epochs (and after the last one); of another length, if that is given."""
        recipe = _recipe(self.epochs if epochs is None else epochs, every)
        return replace(self, experiment=self.experiment.replace(recipe=recipe))

    def recipe(self) -> Recipe:
        return self.resolved.stage_recipe(0)

    def draws(self, epoch: int) -> list[draws.Draw]:
        """The random numbers of an epoch, those of a real training."""
        recipe = self.recipe()
        return draws.epoch_draws(
            draws.SAMPLERS.create("instance_balanced"),
            augment.create("+".join(recipe.augmentation) or "none"),
            torch.as_tensor(self.data.train.targets),
            seed=self.resolved.seed,
            stage=0,
            epoch=epoch,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            views=1,
        )

    def evaluated(self, epoch: int) -> bool:
        """Whether the test images are evaluated after this epoch (from 1)."""
        return epoch % self.recipe().evaluate_every == 0 or epoch == self.epochs

    def operations(self) -> int:
        """Floating-point operations of the training and its evaluations; see `operations`."""
        train, test = len(self.data.train), len(self.data.test)
        return sum(operations(self.macs, train, test, self.epochs, self.recipe().evaluate_every))


def operations(macs: int, train: int, test: int, epochs: int, every: int) -> tuple[int, int]:
    """Floating-point operations of a training and of its evaluations.

    Two for each multiply-accumulate; a backward pass takes twice the forward one.

    Args:
        macs: Of one image's forward pass.
        train: Training images an epoch.
        test: Test images.
        epochs: How many.
        every: Epochs between evaluations; the last epoch is evaluated as well.
    """
    return 2 * 3 * macs * train * epochs, 2 * macs * test * math.ceil(epochs / every)


def evaluation_share(train: int, test: int, epochs: int, every: int) -> float:
    """Evaluation's share of all operations of a run, 0..1; the network cancels out."""
    training, evaluation = operations(1, train, test, epochs, every)
    return evaluation / (training + evaluation)


def workload(
    model: str = TINY,
    *,
    epochs: int | None = None,
    images: int | None = None,
    precision: str = "float32",
    seed: int = 0,
) -> Workload:
    """What to train.

    Args:
        model: ``tiny``: ResNet-8 on the 8x8 digits (1,297 training images, 500 of the test). Else a network, on
            `images` training images of CIFAR-100 at imbalance factor 100 and as many of its test set; on random pixels
            where CIFAR-100 is not on this machine.
        epochs: Of the training; 10 for ``tiny``, else `EPOCHS` of the device.
        images: Training images of 32x32 pixels; the test set gets as many. By default `IMAGES` of the device.
        precision: ``float32`` or ``bf16``.
        seed: Of weights and draws.

    Raises:
        SettingError: No epoch, or fewer than 200 images (two of each class).
        UnknownName: Unknown network.
    """
    device = "cuda" if accelerator.device().type == "cuda" else "cpu"
    epochs = (TINY_EPOCHS if model == TINY else EPOCHS[device]) if epochs is None else epochs
    images = IMAGES[device] if images is None else images
    if epochs < 1 or (images is not None and images < 200):
        raise SettingError(f"a bench needs an epoch and 200 images (two of each class), not {epochs} and {images}")
    common = {"method": "ce", "recipe": _recipe(epochs, 1), "precision": precision, "seed": seed}
    if model == TINY:
        experiment = Experiment("digits", 1.0, model="resnet8", **common)  # type: ignore[arg-type]
        return Workload(experiment, datasets.load("digits"), "8x8 digits", True)
    models.spec(model)
    experiment = Experiment("cifar100", 100.0, model=model, limit=images, **common)  # type: ignore[arg-type]
    if datasets.available("cifar100"):
        data = datasets.load("cifar100", imbalance_factor=100.0, limit=images)
        return Workload(experiment, data, "cifar100", True)
    return Workload(experiment, random_images(images or PUBLISHED[0], seed), "random pixels", False)


def random_images(count: int, seed: int) -> LongTailed:
    """Random 32x32 pixels of a hundred classes, as many for training as for the test."""
    rng = np.random.default_rng(seed)
    names = [str(i) for i in range(100)]

    def images() -> ImageSet:
        pixels = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        return ImageSet(pixels, rng.permutation(np.arange(count) % 100), names)

    train = images()
    counts = train.class_counts
    return LongTailed("random", train, images(), None, counts, counts, tuple(names), {}, "", "", "", MEAN, STD)


def _recipe(epochs: int, every: int) -> str:
    return f"ldam[epochs={epochs};evaluate_every={every}]"
