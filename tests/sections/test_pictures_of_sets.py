"""Pictures of a set: views as training draws them, batches, maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ltlib import datasets, embedding
from ltlib.datasets.images import LongTailed
from ltlib.sections import maps, pictures


@pytest.fixture(scope="module")
def data() -> LongTailed:
    return datasets.load("digits", imbalance_factor=20)


def test_chance_of_a_batch_without_the_tail(data):
    counts = data.class_counts
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), counts)
    misses = [9 not in generator.permutation(labels)[:32] for _ in range(4000)]
    said = float(pictures.batch_sentence(data).rsplit("%", 1)[0].rsplit(" ", 1)[1]) / 100
    assert said == pytest.approx(np.mean(misses), abs=0.03)


def test_pictures_say_what_they_show(data):
    augmented = pictures.augmentations(data, ["flip", "crop1", "flip"], number=3)
    assert "2 images (flip, crop1), each with 3 augmented views" in augmented.alt
    assert "Two views (shift1) of each of 4 training images" in pictures.two_views(data, "shift1", 4).alt
    assert "Up to 2 images of each of 10 classes" in pictures.samples(data, per_class=2).alt
    assert "6 images" in pictures.random_batch(data, 6).alt


def test_only_sets_that_may_be_mirrored_are():
    assert "and no flips" in pictures.mirror_sentence("digits", "shift1")
    assert pictures.mirror_sentence("cifar10", "crop4+flip").endswith(
        "crop4+flip, anew for every image in every epoch."
    )


def test_separability_has_a_row_for_each_space(data):
    images, targets = datasets.random_batch(data.test, 120)
    x = embedding.pixels(images)
    frame = maps.separability({"pixels": x, "twice": np.concatenate([x, x], axis=1)}, targets)
    assert list(frame["dimensions"]) == [x.shape[1], 2 * x.shape[1]]
    found = embedding.separability(x, targets)
    assert frame["silhouette"].tolist() == pytest.approx([round(found["silhouette"], 3)] * 2, abs=2e-3)


def test_features_are_those_of_the_last_epoch(data, trained):
    images = data.test.images[:20]
    x = maps.features(trained, images, data)
    network = trained.network("last")
    assert trained.experiment.resolve().recipe.normalise == "unit_twice"
    with torch.no_grad():
        inputs = torch.from_numpy(images / np.float32(255) / np.float32(255)).permute(0, 3, 1, 2)
        wanted = network.eval().embed(inputs)[0].numpy()
    assert x == pytest.approx(wanted, abs=1e-4)
    assert maps.feature_title(trained) == "Penultimate features: CE, ResNet-8, Digits"
