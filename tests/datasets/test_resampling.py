"""Synthetic images for rare classes: where they lie, how many there are, and what is refused."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from ltlib.datasets import resampling
from ltlib.errors import DataError, SettingError, UnknownName

COUNTS = (60, 20, 8)
IMBLEARN = ("smote", "adasyn", "kmeans_smote")


def blobs(counts=COUNTS, width=5, spread=3.0, seed=0):
    rng = np.random.default_rng(seed)
    features = np.concatenate([rng.normal(i * spread, 1.0, (n, width)) for i, n in enumerate(counts)])
    return features, np.repeat(np.arange(len(counts)), counts)


@pytest.fixture
def imblearn():
    return pytest.importorskip("imblearn", reason='needs imbalanced-learn: pip install "ltlib[imblearn]"')


def between(point, members) -> float:
    """Distance of a point from the nearest segment between two of the members."""
    best = np.inf
    for a in members:
        direction = members - a
        length = (direction**2).sum(1).clip(1e-12)
        t = (((point - a) * direction).sum(1) / length).clip(0, 1)
        best = min(best, np.linalg.norm(a + t[:, None] * direction - point, axis=1).min())
    return best


# --- the document's own ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["cluster", "cluster[clusters=1]", "cluster[clusters=3]", "cluster_oversampling"])
def test_cluster_fills_every_class_up(text):
    features, targets = blobs()
    more, classes = resampling.resample(text, features, targets, seed=1)
    assert np.bincount(classes).tolist() == [60, 60, 60]
    np.testing.assert_array_equal(more[:88], features)
    np.testing.assert_array_equal(classes[:88], targets)
    again, _ = resampling.resample(text, features, targets, seed=1)
    np.testing.assert_array_equal(more, again)


def test_cluster_keeps_to_the_clusters_of_the_largest_class():
    """Two clusters far apart; a rare class has three images at the one and one at the other."""
    rng = np.random.default_rng(0)
    largest = np.concatenate([rng.normal(0, 0.5, (30, 2)), rng.normal(20, 0.5, (10, 2))])
    rare = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [20.0, 19.0]])
    features, targets = np.concatenate([largest, rare]), np.repeat([0, 1], [40, 4])
    more, classes = resampling.resample("cluster[clusters=2]", features, targets, seed=3)
    made = more[44:]
    assert (classes[44:] == 1).all()
    near = made[made[:, 0] < 10]
    assert len(near) == 27  # 36 missing, shared 3 to 1
    np.testing.assert_allclose(made[made[:, 0] > 10], np.tile(rare[3], (9, 1)))  # alone in its cluster: copies
    assert max(between(point, rare[:3]) for point in near) < 1e-9
    assert len(np.unique(near, axis=0)) == 27


def test_cluster_copies_a_class_of_one_image():
    features, targets = blobs((10, 1))
    more, classes = resampling.resample("cluster", features, targets)
    assert (more[classes == 1] == features[10]).all()
    assert np.bincount(classes).tolist() == [10, 10]


def test_shares_are_whole_and_proportional():
    assert resampling._shares(np.array([3, 1, 0]), 36).tolist() == [27, 9, 0]
    shares = resampling._shares(np.array([1, 1, 1]), 10)
    assert shares.sum() == 10
    assert shares.max() - shares.min() == 1


def test_pixels_keep_their_type_and_shape():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 4, 4, 3), dtype=np.uint8)
    targets = np.repeat([0, 1], [25, 5])
    more, classes = resampling.resample("cluster[clusters=2]", images, targets)
    assert more.dtype == np.uint8
    assert more.shape == (50, 4, 4, 3)
    np.testing.assert_array_equal(more[:30], images)
    own = images[25:].reshape(5, -1).astype(float)
    worst = max(between(image.reshape(-1).astype(float), own) for image in more[30:])
    assert worst <= 0.5 * np.sqrt(48)  # rounded from a point between two images
    assert np.bincount(classes).tolist() == [25, 25]


def test_balanced_sets_and_single_classes_stay_as_they_are():
    features, targets = blobs((7, 7))
    more, classes = resampling.resample("cluster", features, targets)
    np.testing.assert_array_equal(more, features)
    np.testing.assert_array_equal(classes, targets)
    alone, _ = resampling.resample("smote", features[:7], targets[:7])  # nothing to fill up: no extra is asked for
    np.testing.assert_array_equal(alone, features[:7])


# --- imbalanced-learn ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IMBLEARN)
def test_made_points_lie_between_two_of_their_class(imblearn, name):
    features, targets = blobs()
    if name == "adasyn":  # makes nothing where no other class is near
        features, targets = blobs(spread=1.0)
    more, classes = resampling.resample(name, features, targets, seed=1)
    np.testing.assert_array_equal(more[:88], features)
    counts = np.bincount(classes)
    assert counts[0] == 60
    assert np.abs(counts - 60).max() <= (0 if name == "smote" else 8)
    for c in (1, 2):
        for point in more[88:][classes[88:] == c]:
            assert between(point, features[targets == c]) < 1e-6
    again, _ = resampling.resample(name, features, targets, seed=1)
    np.testing.assert_array_equal(more, again)


def test_smote_is_imbalanced_learns(imblearn):
    from imblearn.over_sampling import SMOTE

    features, targets = blobs()
    ours = resampling.resample("smote[neighbours=3]", features, targets, seed=4)
    theirs = SMOTE(k_neighbors=3, random_state=4).fit_resample(features, targets)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("name", "neighbours"), [("smote", 8), ("adasyn", 9), ("kmeans_smote", 8)])
def test_a_class_smaller_than_its_neighbours_is_refused(name, neighbours):
    """Before imbalanced-learn is asked for, so the sentence is the same with and without it."""
    features, targets = blobs()
    with pytest.raises(DataError, match=r"class 2 has 8: set neighbours to at most 7"):
        resampling.resample(f"{name}[neighbours={neighbours}]", features, targets)
    with pytest.raises(DataError, match="class 1 has only one"):
        resampling.resample(name, *blobs((10, 1)))


def test_what_imbalanced_learn_cannot_do_is_said_in_a_sentence(imblearn):
    features, targets = blobs((40, 8), spread=50.0)  # no other class is near: adasyn has nothing to go by
    with pytest.raises(DataError, match="adasyn cannot fill up"):
        resampling.resample("adasyn", features, targets)


def test_without_the_extra_it_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("imblearn"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for name in IMBLEARN:
        with pytest.raises(DataError, match=r"ltlib\[imblearn\]"):
            resampling.resample(name, *blobs())


# --- bad input -------------------------------------------------------------------------------------------------------


def test_bad_input_is_refused():
    features, targets = blobs()
    with pytest.raises(DataError, match="do not fit"):
        resampling.resample("cluster", features[1:], targets)
    with pytest.raises(DataError, match="whole numbers"):
        resampling.resample("cluster", features, targets.astype(float))
    broken = features.copy()
    broken[3, 1] = np.nan
    with pytest.raises(DataError, match="NaN"):
        resampling.resample("cluster", broken, targets)
    with pytest.raises(UnknownName, match="smote"):
        resampling.resample("smoted", features, targets)
    for text in ("cluster[clusters=0]", "smote[neighbours=0]", "kmeans_smote[clusters=0]"):
        with pytest.raises(SettingError, match="at least 1"):
            resampling.resample(text, features, targets)
