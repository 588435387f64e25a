from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from torch import nn

from ltlib import embedding
from ltlib.errors import SettingError

DIGITS = load_digits()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.frozen = nn.Sequential(nn.Dropout(0.5)).eval()

    def embed(self, images: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.frozen(self.norm(images)).mean(dim=(2, 3)), None


class Set:
    """What of `Resident` features need."""

    def __init__(self, images: torch.Tensor):
        self.images, self.targets = images, torch.zeros(len(images), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        return self.images[index]


def test_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    x = embedding.pixels(images)
    assert x.shape == (2, 60)
    assert x.dtype == np.float32
    assert x[1, 3] == pytest.approx(images[1, 0, 1, 0] / 255)


def test_features_in_evaluation_mode_from_every_kind_of_source() -> None:
    network, images = Net(), torch.randn(25, 3, 4, 4)
    network.norm.running_mean += 1.0
    expected = ((images - 1) / np.sqrt(1 + 1e-5)).mean(dim=(2, 3)).numpy()
    pairs = [(images[:20], torch.zeros(20)), (images[20:], torch.zeros(5))]
    before = network.norm.running_mean.clone()
    for source in (images, Set(images), pairs, lambda: iter([images[:7], images[7:]])):
        found = embedding.features(network, source, batch_size=10)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert found.dtype == np.float32
    assert torch.equal(network.norm.running_mean, before)
    assert network.training
    assert network.norm.training
    assert not network.frozen.training  # a frozen part keeps its evaluation mode
    with pytest.raises(SettingError, match="no embed"):
        embedding.features(nn.Linear(1, 1), images)
    with pytest.raises(SettingError, match="no images"):
        embedding.features(network, [])


def test_pca_agrees_with_the_exact_solution() -> None:
    x = DIGITS.data
    for components in (2, 50):
        found = embedding.pca(x, components)
        exact = PCA(components, svd_solver="full").fit_transform(x)
        np.testing.assert_allclose(np.abs(found), np.abs(exact), atol=1e-6 * np.abs(exact).max())
        np.testing.assert_array_equal(found, embedding.pca(x, components))
    assert embedding.pca(x[:3], 50).shape == (3, 3)
    rng = np.random.default_rng(0)  # large enough for the randomised solver
    wide = rng.normal(size=(600, 5)) @ rng.normal(size=(5, 700)) * 10 + rng.normal(size=(600, 700))
    exact = PCA(2, svd_solver="full").fit_transform(wide)
    np.testing.assert_allclose(np.abs(embedding.pca(wide, 2)), np.abs(exact), atol=1e-2 * np.abs(exact).max())


def test_tsne_depends_on_content_and_not_on_the_order_of_rows(tmp_path: Path) -> None:
    x, y = DIGITS.data[:300], DIGITS.target[:300]
    first = embedding.tsne(x, y, max_points=120, progress=False)
    assert first.points.shape == (120, 2)
    assert (np.diff(first.indices) > 0).all()
    order = np.random.default_rng(1).permutation(300)
    second = embedding.tsne(x[order], y[order], max_points=120, progress=False)
    back = np.argsort(order[second.indices])
    np.testing.assert_array_equal(order[second.indices][back], first.indices)
    np.testing.assert_array_equal(second.points[back], first.points)
    # neighbours on the map are mostly of one class: a map that lost its rows' order would be at chance
    distance = np.linalg.norm(first.points[:, None] - first.points[None], axis=2) + 1e9 * np.eye(120)
    labels = y[first.indices]
    assert (labels[distance.argmin(1)] == labels).mean() > 0.8


def test_tsne_is_cached_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = DIGITS.data[:60], DIGITS.target[:60]
    made = embedding.tsne(x, y, cache=tmp_path, progress=False)
    assert len(list(tmp_path.iterdir())) == 1
    file = next(tmp_path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(embedding, "pca", lambda *_: pytest.fail("computed again"))
        found = embedding.tsne(x, y, cache=tmp_path, progress=False)
    np.testing.assert_array_equal(found.points, made.points)
    np.testing.assert_array_equal(found.indices, made.indices)
    file.write_bytes(file.read_bytes()[:50])  # damaged: made again
    np.testing.assert_array_equal(embedding.tsne(x, y, cache=tmp_path, progress=False).points, made.points)
    embedding.tsne(x + 1e-3, y, cache=tmp_path, progress=False)
    assert len(list(tmp_path.iterdir())) == 2


def test_subsample_keeps_shares_and_rare_classes() -> None:
    targets = np.repeat([0, 1, 2], [900, 99, 1])
    kept = embedding._stratified(targets, 1000, 100, 123)
    assert np.bincount(targets[kept]).tolist() == [90, 9, 1]  # shares of 90, 9.9 and 0.1
    assert len(set(kept.tolist())) == 100
    assert len(embedding._stratified(None, 1000, 100, 0)) == 100
    with pytest.raises(SettingError, match="five rows"):
        embedding.tsne(np.zeros((3, 2)))
    with pytest.raises(SettingError, match="as many targets"):
        embedding.tsne(np.zeros((9, 2)), np.zeros(3))


def slow(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    classes = sorted(set(y.tolist()))
    mean = {c: x[y == c].mean(axis=0) for c in classes}
    between = sum((y == c).sum() * ((mean[c] - x.mean(axis=0)) ** 2).sum() for c in classes)
    within = sum(((x[i] - mean[y[i]]) ** 2).sum() for i in range(len(x)))
    hits = [min(classes, key=lambda c: ((x[i] - mean[c]) ** 2).sum()) == y[i] for i in range(len(x))]
    return between / within, float(np.mean(hits))


@pytest.mark.parametrize("rows", [50, 1300])
def test_separability_against_sklearn_and_a_loop(rows: int) -> None:
    x, y = DIGITS.data[:rows], DIGITS.target[:rows] * 3  # class numbers with gaps
    found = embedding.separability(x, y)
    ratio, hits = slow(x, y)
    assert found["silhouette"] == pytest.approx(silhouette_score(x, y), abs=1e-9)
    assert found["between_within"] == pytest.approx(ratio, rel=1e-9)
    assert found["nearest_centroid"] == pytest.approx(hits)


def test_separability_with_singletons_and_a_reference() -> None:
    x = np.array([[0.0, 0], [0, 1], [5, 5], [5, 6], [9, 0]])
    y = np.array([0, 0, 1, 1, 2])
    assert embedding.separability(x, y)["silhouette"] == pytest.approx(silhouette_score(x, y))
    far = (np.array([[0.0, 0], [5, 5]]), np.array([0, 1]))
    assert embedding.separability(x, y, far)["nearest_centroid"] == 0.8  # class 2 has no mean to be near to
    assert embedding.separability(np.repeat(x[[0, 2]], 3, 0), np.repeat([0, 1], 3))["between_within"] == float("inf")
    with pytest.raises(SettingError, match="two classes"):
        embedding.separability(x, np.zeros(5))
    with pytest.raises(SettingError, match="finite"):
        embedding.separability(x * np.nan, y)


def test_the_affine_map_of_principal_components_takes_further_rows_along() -> None:
    x = np.random.default_rng(0).normal(size=(12, 5))
    points = embedding.pca(x, 2)
    along = embedding.affine(x, points)
    np.testing.assert_allclose(along(x), points, atol=1e-10)
    np.testing.assert_allclose(along(0.3 * x[:1] + 0.7 * x[1:2]), 0.3 * points[:1] + 0.7 * points[1:2], atol=1e-10)


ODD = """
import json, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from ltlib import embedding

draw = np.random.default_rng(0).normal(size=(50, 8))
rows = {
    "one point": np.full((50, 8), 0.1, np.float32),
    "one feature": np.arange(50.0)[:, None],
    "two points": np.repeat(draw[:2], 25, axis=0),
    "mostly one point": np.concatenate([np.zeros((45, 8)), draw[:5]]),
    "constant columns": np.concatenate([np.ones((50, 7)), draw[:, :1]], axis=1),
    "fewer than the perplexity": draw[:5],
    "squares below every float": draw * 1e-200,
    "squares above every float32": (draw * 1e37).astype(np.float32),
    "truth values": draw > 0,
}
found = {name: embedding.tsne(x, progress=False).points for name, x in rows.items()}
json.dump({name: points.tolist() for name, points in found.items()}, sys.stdout)
"""


@pytest.fixture(scope="module")
def odd() -> dict[str, np.ndarray]:
    """Maps of rows that scikit-learn's t-SNE does not expect: where it ends the process, that is another one."""
    done = subprocess.run([sys.executable, "-c", ODD], capture_output=True, text=True)
    assert done.returncode == 0, f"the process ended with {done.returncode}: {done.stderr[-500:]}"
    return {name: np.array(points) for name, points in json.loads(done.stdout).items()}


def test_tsne_of_any_finite_rows_is_finite(odd: dict[str, np.ndarray]) -> None:
    assert len(odd) == 9
    for name, points in odd.items():
        assert points.shape == (5 if name == "fewer than the perplexity" else 50, 2), name
        assert np.isfinite(points).all(), name


def test_collapsed_features_are_one_point_and_a_single_one_is_a_line(odd: dict[str, np.ndarray]) -> None:
    assert (odd["one point"] == 0).all()
    assert (odd["one feature"][:, 1] == 0).all()
    steps = np.abs(np.diff(odd["one feature"][:, 0]))
    assert np.median(steps) < np.ptp(odd["one feature"]) / 10  # rows that are near each other stay so


def test_collapsed_features_can_be_drawn() -> None:
    from ltlib.plots import embedding as drawn

    targets = np.repeat([0, 1], 5)
    chart = drawn.scatter(np.zeros((10, 2)), targets, ["a", "b"])
    assert "<svg" in chart._repr_svg_()


def test_principal_components_of_next_to_nothing() -> None:
    assert embedding.pca(np.ones((1, 5))).tolist() == [[0.0]]
    np.testing.assert_allclose(embedding.pca(np.arange(4.0)[:, None]).ravel(), [-1.5, -0.5, 0.5, 1.5])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert embedding.pca(np.full((4, 3), 0.1)).tolist() == [[0.0, 0.0]] * 4


def test_one_point_is_not_separated_and_two_are() -> None:
    targets = np.array([0, 0, 1, 1])
    assert embedding.separability(np.ones((4, 2)), targets)["between_within"] == 0
    assert embedding.separability(np.array([[0.0], [0.0], [1.0], [1.0]]), targets)["between_within"] == np.inf


ROWS = np.arange(12.0).reshape(6, 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: embedding.tsne(ROWS * np.nan),
        lambda: embedding.tsne(np.where(ROWS == 3, np.inf, ROWS)),
        lambda: embedding.tsne(ROWS.astype(str)),
        lambda: embedding.tsne(ROWS * 1j),
        lambda: embedding.tsne(ROWS[:, :0]),
        lambda: embedding.tsne(ROWS[:4]),
        lambda: embedding.tsne(ROWS[:, 0]),
        lambda: embedding.tsne(ROWS * 1e200),
        lambda: embedding.tsne(ROWS, max_points=4),
        lambda: embedding.tsne(ROWS, perplexity=0),
        lambda: embedding.tsne(ROWS, perplexity=np.nan),
        lambda: embedding.tsne(ROWS, seed=-1),
        lambda: embedding.tsne(ROWS, np.zeros(5)),
        lambda: embedding.pca(ROWS, 0),
        lambda: embedding.pca(ROWS * np.nan),
        lambda: embedding.separability(ROWS, np.arange(6) % 2, (ROWS[:, :1], np.arange(6) % 2)),
        lambda: embedding.separability(ROWS, np.arange(6) % 2, (ROWS, np.arange(5) % 2)),
        lambda: embedding.separability(ROWS, np.arange(6) % 2, (ROWS * np.nan, np.arange(6) % 2)),
        lambda: embedding.separability(ROWS, np.zeros(6)),
    ],
)
def test_rows_that_have_no_map_are_refused_with_a_sentence(call: Callable[[], object]) -> None:
    with pytest.raises(SettingError, match=r".{20}"):
        call()
