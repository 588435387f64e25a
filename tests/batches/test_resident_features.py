"""Features in the place of images: the same rows, on the device or streamed, and no augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ltlib import models
from ltlib.batches.resident_features import ResidentFeatures
from ltlib.errors import DataError, SettingError

VALUES = np.random.default_rng(0).standard_normal((9, 64)).astype(np.float32)


@pytest.mark.parametrize("max_bytes", [None, 0])
def test_batches_are_rows(max_bytes: int | None) -> None:
    made = ResidentFeatures(VALUES, np.arange(9) % 4, max_bytes=max_bytes)
    assert made.streaming == (max_bytes == 0)
    assert (len(made), made.targets.tolist()) == (9, [0, 1, 2, 3, 0, 1, 2, 3, 0])
    index = torch.tensor([8, 0, 8])
    assert torch.equal(made.batch(index), torch.from_numpy(VALUES[[8, 0, 8]]))
    assert torch.equal(made.batch(index[None]), torch.from_numpy(VALUES[[8, 0, 8]]))
    assert made.nbytes == 72 + (0 if made.streaming else 9 * 64 * 4)


def test_a_network_lets_features_through() -> None:
    network = models.create("resnet8", 5, projector=16).eval()
    images = torch.randn(3, 3, 8, 8)
    features = network.backbone(images)
    assert torch.equal(network.features(features), features)
    assert torch.equal(network(features), network(images))
    assert torch.equal(network.embed(features)[1], network.embed(images)[1])


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(SettingError, match="without angle, flip"):
        ResidentFeatures(VALUES, [0] * 9).batch(torch.arange(2), {"flip": torch.ones(2), "angle": torch.ones(2)})
    for values, targets in ((VALUES[:0], []), (VALUES.astype(float), [0] * 9), (VALUES[0], [0] * 64)):
        with pytest.raises(DataError, match="features must be float32"):
            ResidentFeatures(values, targets)
    with pytest.raises(DataError, match="9 images but 3 targets"):
        ResidentFeatures(VALUES, [0, 1, 2])
