"""Augmented images as bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ltlib import datasets
from ltlib.batches import augment
from ltlib.batches.views import views
from ltlib.datasets.images import LongTailed


@pytest.fixture(scope="module")
def data() -> LongTailed:
    return datasets.load("digits", imbalance_factor=20)


def test_views_are_what_their_text_says(data):
    images = data.train.images[:5]
    assert (views("none", images, 2) == images[:, None]).all()
    for text, mirrored in (("flip", images[:, :, ::-1]), ("vflip", images[:, ::-1])):
        made = views(text, images, 20)
        same = (made == images[:, None]).all(axis=(2, 3, 4))
        other = (made == mirrored[:, None]).all(axis=(2, 3, 4))
        assert (same | other).all()
        assert same.any()
        assert other.any()


def test_views_have_every_part_in_its_place(data):
    """A rotation by any angle keeps a disc's centre, a hole is black, a crop moves by at most its padding."""
    white = np.full((3, 8, 8, 3), 255, np.uint8)
    assert (views("cutout4", white, 5) == 0).any(axis=(2, 3, 4)).all()
    moved = views("shift1", white, 30)
    assert (moved[:, :, 1:7, 1:7] == 255).all()
    assert (moved[:, :, 0] == 0).any()
    grey = views("resizedcrop+jitter1", np.full((2, 8, 8, 3), 60, np.uint8), 9).reshape(18, -1)
    assert np.ptp(grey, axis=1).max() == 0
    assert len(np.unique(grey)) > 6
    made = views("resizedcrop+flip", data.train.images[:3], 9)
    assert (made != data.train.images[:3, None]).any(axis=(2, 3, 4)).sum() > 20
    assert views("randaugment9", data.train.images[:2], 3).shape == (2, 3, 8, 8, 3)


def test_cutout_as_augmentation_is_a_black_square():
    white = np.full((4, 8, 8, 3), 255, np.uint8)
    made = views("cutout4", white, 1, seed=5)[:, 0]
    draws = augment.create("cutout4").draw(torch.Generator().manual_seed(5), (4,))
    wanted = augment.cutout(torch.from_numpy(white), draws["hole_y"], draws["hole_x"], draws["hole_side"])
    assert (made == wanted.numpy()).all()
    assert (made == 0).any()
