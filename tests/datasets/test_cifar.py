"""CIFAR: a small twin in the real layout, and the real files where they are."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ltlib import datasets
from ltlib.datasets.cifar import Cifar10
from ltlib.datasets.pickles import load_arrays
from ltlib.errors import DataError

real = pytest.mark.skipif(not os.environ.get("LTLIB_DATA"), reason="set LTLIB_DATA to the folder with CIFAR")


def batch(seed: int) -> dict[bytes, object]:
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 3072), dtype=np.uint8)
    return {b"data": pixels, b"labels": [i % 10 for i in range(20)], b"batch_label": b"a batch"}


def old_pickle(content: object) -> bytes:
    """Like the real files: byte strings, the array made by `numpy.core.multiarray`."""
    return pickle.dumps(content, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Cifar10, Path, dict[str, bytes]]:
    """A set of two training batches, its archive lying in the data folder, not yet extracted."""
    names = [b"airplane", b"automobile", *[str(i).encode() for i in range(8)]]
    content = {
        "data_batch_1": batch(1),
        "data_batch_2": batch(2),
        "test_batch": batch(3),
        "batches.meta": {b"label_names": names},
    }
    files = {name: old_pickle(value) for name, value in content.items()}
    sums = {name: hashlib.md5(data, usedforsecurity=False).hexdigest() for name, data in files.items()}
    path = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    data = path.read_bytes()
    archive_sum = hashlib.md5(data, usedforsecurity=False).hexdigest()
    for fact, value in {
        "url": "https://example.org/x",
        "size": len(data),
        "md5": archive_sum,
        "train": tuple((name, sums[name]) for name in ("data_batch_1", "data_batch_2")),
        "test": (("test_batch", sums["test_batch"]),),
        "meta": ("batches.meta", sums["batches.meta"]),
    }.items():
        monkeypatch.setattr(Cifar10, fact, value)
    return Cifar10("cifar10"), tmp_path, files


def test_an_archive_lying_there_is_extracted(twin: tuple[Cifar10, Path, dict[str, bytes]]) -> None:
    cifar, root, files = twin
    assert datasets.available("cifar10", root)
    data = datasets.load("cifar10", root=root)
    assert cifar.present(root)
    assert (data.class_counts, data.class_names[:2]) == ((4,) * 10, ("airplane", "automobile"))
    planes = pickle.loads(files["data_batch_2"], encoding="bytes")[b"data"][3].reshape(3, 32, 32)
    place = data.train.indices.tolist().index(23)
    np.testing.assert_array_equal(data.train.images[place], planes.transpose(1, 2, 0))
    assert data.test.images.flags.writeable
    assert datasets.verify("cifar10", root) == []


def test_missing_says_where_to_get_it(tmp_path: Path) -> None:
    assert not datasets.available("cifar10", tmp_path)
    with pytest.raises(DataError) as caught:
        datasets.load("cifar10", root=tmp_path)
    for part in (
        "cifar10",
        str(tmp_path / "cifar-10-batches-py"),
        "https://www.cs.toronto",
        "ltlib data download cifar10",
    ):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"expected .*cifar-100-python"):
        datasets.load("cifar100", root=tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_archive_cut_short(twin: tuple[Cifar10, Path, dict[str, bytes]]) -> None:
    cifar, root, _ = twin
    path = root / cifar.filename
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="is cut short or damaged") as caught:
        datasets.load("cifar10", root=root)
    assert "\n" not in str(caught.value)
    assert not (root / cifar.folder).exists()


def test_tampered_batch_is_never_opened(
    twin: tuple[Cifar10, Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar, root, _ = twin
    datasets.load("cifar10", root=root)
    path = root / cifar.folder / "test_batch"
    marker = root / "owned"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(marker),)

    path.write_bytes(pickle.dumps({b"data": Bomb()}))
    with pytest.raises(DataError, match=r"test_batch is damaged .* run: ltlib data download cifar10"):
        datasets.load("cifar10", root=root)
    assert datasets.verify("cifar10", root) == [f"{path} is damaged (its MD5 is not {cifar.files['test_batch']})"]
    with pytest.raises(pickle.UnpicklingError, match="mkdir is not allowed"):  # and not even with the right checksum
        load_arrays(path.read_bytes())
    assert not marker.exists()


def test_fetch_repairs_damaged_files(twin: tuple[Cifar10, Path, dict[str, bytes]]) -> None:
    cifar, root, files = twin
    datasets.load("cifar10", root=root)
    (root / cifar.folder / "test_batch").write_bytes(b"")
    datasets.fetch("cifar10", root)  # the archive is whole: no network
    assert (root / cifar.folder / "test_batch").read_bytes() == files["test_batch"]
    (root / cifar.folder / "test_batch").unlink()
    with pytest.raises(DataError, match="cifar10 is incomplete"):
        datasets.load("cifar10", root=root)


def test_fetch_downloads_once(twin: tuple[Cifar10, Path, dict[str, bytes]]) -> None:
    cifar, root, _ = twin
    body = (root / cifar.filename).read_bytes()
    other = root / "other"
    asked = []

    class Answer(io.BytesIO):
        status, headers = 200, {}

    def opener(request: object, timeout: float) -> Answer:
        asked.append(request)
        return Answer(body)

    for _ in range(2):
        cifar.provide(other, fetch=True, opener=opener)
    assert len(asked) == 1
    assert sum(cifar.read(other).test.class_counts) == 20


@real
@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_real_files(name: str, classes: int) -> None:
    source = datasets.read(name)
    assert source.train.images.shape == (50_000, 32, 32, 3)
    assert set(source.train.class_counts) == {50_000 // classes}
    assert set(source.test.class_counts) == {10_000 // classes}
    known = datasets.info(name)
    assert (known.num_classes, known.train_images, known.image_size) == (classes, 50_000, 32)
    assert known.balanced
    assert known.class_names in (None, source.class_names)
    if name == "cifar10":
        mean = source.train.images.sum((0, 1, 2), dtype=np.int64) / (50_000 * 32 * 32 * 255)
        np.testing.assert_allclose(known.mean, mean, atol=1e-4)


@real
def test_real_images_are_those_of_torchvision() -> None:
    from torchvision.datasets import CIFAR100

    theirs = CIFAR100(os.environ["LTLIB_DATA"], train=False, download=False)
    ours = datasets.read("cifar100").test
    np.testing.assert_array_equal(ours.images, theirs.data)
    assert ours.targets.tolist() == theirs.targets
    assert list(ours.class_names) == theirs.classes


@real
@pytest.mark.parametrize(
    ("name", "subset", "expected"),
    [
        ("cifar10", "random", "2dda7e2338d31209f2d9b543668afb1444e3cec4bde5487ca6b89e0d3b3b1759"),
        ("cifar10", "ldam", "b660b59f0882e8bef963cd9bb05999acd03c67b8fc716d53655e3b81a94b4f2a"),
        ("cifar100", "random", "2491a4ca14a2739fe478429c8aa1a3069217f10ad5b9f6c3dc801ac0dbd063b9"),
        ("cifar100", "ldam", "46f347cddbc6a3a1654dd5bd721bd118338344c8c1a7a8a67ed0cd085b55172a"),
    ],
)
def test_golden_fingerprints(name: str, subset: str, expected: str) -> None:
    data = datasets.load(name, imbalance_factor=100, subset=subset)
    assert data.fingerprint == expected
    cut = datasets.load(name, imbalance_factor=100, subset=subset, validation="subset")
    assert cut.subset_fingerprint == expected != cut.fingerprint  # which names the images trained on
    assert cut.validation is not None
    assert len(cut.train) + len(cut.validation) == len(data.train)
    sizes = tuple(len(part) for part in data.groups.values())
    assert sizes == ((3, 4, 3) if name == "cifar10" else (36, 35, 29))
