"""Loading by name: the embedded digits, settings, refusals, and what an import costs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ltlib import datasets
from ltlib.datasets import digits
from ltlib.errors import DataError, SettingError, UnknownName


def test_names_and_info() -> None:
    photographs = ["butterfly", "crop_disease", "mushroom", "caltech_part", "ilsvrc_part1", "ilsvrc_part2"]
    twins = ["digits_folder", *(f"digits_{name}" for name in photographs[1:])]
    assert datasets.names() == ["digits", "cifar10", "cifar100", *photographs, "moths", *twins]
    infos = [datasets.info(name) for name in datasets.names() if name != "moths"]  # known by its files alone
    assert len({info.digest for info in infos}) == len(infos)
    assert all(len(info.digest) == 64 for info in infos)
    assert {info.name for info in infos if info.flips} == {"cifar10", "cifar100", *photographs}
    assert datasets.info("cifar100").mean == datasets.info("cifar10").mean == (0.4914, 0.4822, 0.4465)


def test_unknown_name_gives_the_nearest() -> None:
    for call in (datasets.info, datasets.load, datasets.available, datasets.fetch, datasets.verify):
        with pytest.raises(UnknownName, match="unknown dataset 'cifar11'; did you mean cifar10"):
            call("cifar11")


def test_digits() -> None:
    data = datasets.load("digits")
    known = datasets.info("digits")
    assert (len(data.train), data.test.class_counts, data.image_size) == (1297, (50,) * 10, 8)
    assert (known.train_images, known.num_classes) == (1297, 10)
    pixels = data.train.images / 255
    np.testing.assert_allclose(pixels.mean((0, 1, 2)), known.mean, atol=5e-5)
    np.testing.assert_allclose(pixels.std((0, 1, 2)), known.std, atol=5e-5)
    everything = np.concatenate([data.train.images, data.test.images])[..., 0].reshape(1797, 64)
    grey, _ = digits.arrays()
    assert sorted(map(bytes, everything)) == sorted(map(bytes, grey.reshape(1797, 64)))
    assert grey.max() == 255


def test_digits_golden() -> None:
    data = datasets.load("digits", imbalance_factor=20)
    assert data.class_counts == (128, 95, 68, 48, 35, 25, 18, 12, 9, 6)
    assert data.fingerprint == "ec0f6c0dac06397f43e1d4666cb239794ddd7f31325526d8fc52a3589f178278"
    assert data.groups == {"head": (0, 1, 2), "middle": (3, 4, 5, 6), "tail": (7, 8, 9)}
    np.testing.assert_array_equal(data.test.targets, datasets.load("digits").test.targets)


def test_other_digits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "DIGEST", "0" * 64)
    with pytest.raises(DataError, match=r"digits are not the known ones .*requirements.lock"):
        datasets.load("digits")


def test_validation_keeps_subset_and_groups_and_names_the_images_trained_on() -> None:
    whole = datasets.load("digits", imbalance_factor=20)
    cut = datasets.load("digits", imbalance_factor=20, validation="subset")
    assert whole.validation is None
    assert cut.validation is not None
    assert cut.subset_counts == whole.class_counts == whole.subset_counts
    assert cut.validation.class_counts == (13, 10, 7, 5, 4, 3, 2, 1, 1, 1)
    assert np.add(cut.class_counts, cut.validation.class_counts).tolist() == list(whole.class_counts)
    assert (cut.subset_fingerprint, cut.groups) == (whole.subset_fingerprint, whole.groups)
    assert whole.fingerprint == whole.subset_fingerprint
    assert cut.fingerprint == datasets.fingerprint(cut.train.indices, cut.train.targets) != whole.fingerprint
    assert not set(cut.train.indices) & set(cut.validation.indices)


def test_settings_reach_the_subset() -> None:
    base = datasets.load("digits", imbalance_factor=20)
    for change in ({"subset_seed": 1}, {"subset": "ldam"}, {"subset": "first"}, {"imbalance_factor": 10}):
        assert datasets.load("digits", **({"imbalance_factor": 20} | change)).fingerprint != base.fingerprint
    assert datasets.load("digits", imbalance_factor=20, order="ascending").groups["head"] == (7, 8, 9)
    assert datasets.load("digits", class_counts=[5] * 9 + [0]).class_counts == (5,) * 9 + (0,)
    assert datasets.load("digits", imbalance_factor=20, groups="thresholds").groups["head"] == (0,)


def test_limit() -> None:
    data = datasets.load("digits", imbalance_factor=20, limit=64)
    assert (len(data.train), len(data.test), data.class_counts[-1]) == (64, 64, 2)
    assert data.test.class_counts == (7, 7, 7, 7, 6, 6, 6, 6, 6, 6)
    whole = datasets.load("digits", imbalance_factor=20)
    assert set(data.train.indices) < set(whole.train.indices)
    assert len(datasets.load("digits", limit=10**6).train) == 1297


def test_the_sets_are_ones_own() -> None:
    data = datasets.load("digits")
    data.train.images[:] = 0
    data.test.images[:] = 0
    assert datasets.load("digits").test.images.any()


def test_refused_settings() -> None:
    with pytest.raises(SettingError, match="imbalance_factor must be a number of at least 1"):
        datasets.load("digits", imbalance_factor=0.01)
    with pytest.raises(UnknownName, match="did you mean subset"):
        datasets.load("digits", validation="subst")
    with pytest.raises(UnknownName, match="did you mean ldam"):
        datasets.load("cifar10", subset="ldm", root="/nowhere")  # before any file is looked for
    with pytest.raises(SettingError, match="limit"):
        datasets.load("digits", limit=5)


def test_nothing_heavy_is_imported_early() -> None:
    code = (
        "import sys, ltlib.datasets as d; d.info('cifar10'); d.info('digits_mushroom'); d.names(); "
        "heavy = {'torch', 'torchvision', 'sklearn', 'pandas', 'PIL', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy; d.long_tailed_counts(500, 10, 10); assert 'torch' not in sys.modules; "
        "d.ImageSet; assert not {'torchvision', 'sklearn', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = datasets.nothing
