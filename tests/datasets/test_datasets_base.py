"""A set of one's own: registered by a class, trained like any other; families, defaults, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ltlib
from ltlib import datasets
from ltlib.datasets import DATASETS, DatasetBuilder, DatasetInfo, ImageSet, Source
from ltlib.datasets.base import builder
from ltlib.errors import DataError, SettingError, UnknownName
from ltlib.files import digest


class Toy(DatasetBuilder):
    """Two classes of grey images, the second one lighter."""

    def info(self) -> DatasetInfo:
        return DatasetInfo(
            name=self.name,
            num_classes=2,
            image_size=8,
            train_images=60,
            test_images=60,
            digest=digest("toy: 1"),
            flips=True,
            where="nowhere",
        )

    def read(self, root: Path, fetch: bool = False) -> Source:
        targets = np.arange(60) % 2
        noise = np.random.default_rng(0).integers(0, 50, (60, 8, 8, 3))
        images = ImageSet((noise + 100 * targets[:, None, None, None]).astype(np.uint8), targets, ["dark", "light"])
        return Source(train=images, test=images)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test registers is gone after it."""
    monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS._entries))


def test_a_registered_set_is_trained(registry: None, tmp_path: Path) -> None:
    DATASETS.register("toy")(Toy)
    assert datasets.names()[-1] == "toy"
    assert datasets.available("toy", tmp_path)
    datasets.fetch("toy", tmp_path)
    assert datasets.verify("toy", tmp_path) == []
    run = ltlib.run(
        ltlib.Experiment(
            dataset="toy", imbalance_factor=5, model="resnet8", recipe="convergent[augmentation=none;epochs=1]"
        )
    )
    assert (run.class_counts, run.class_names) == ([30, 6], ["dark", "light"])
    assert len(run.history) == 1


def test_a_set_registered_anew_gives_another_run(registry: None) -> None:
    class Newer(Toy):
        def info(self) -> DatasetInfo:
            return replace(super().info(), digest=digest("toy: 2"))

    DATASETS.register("toy")(Toy)
    experiment = ltlib.Experiment(dataset="toy", recipe="convergent")
    before = experiment.run_id
    DATASETS.register("toy")(Newer)
    assert experiment.run_id != before


def test_a_family_takes_what_follows_its_colon(registry: None, tmp_path: Path) -> None:
    @DATASETS.register("grey:NUMBER")
    class Grey(Toy):
        def available(self, root: Path) -> bool:
            return self.argument != "none"

    assert "grey:NUMBER" not in datasets.names()
    known = datasets.info("grey:7:8")
    assert (known.name, known.family) == ("grey:7:8", "grey")
    assert builder("grey:7:8").argument == "7:8"
    resolved = ltlib.Experiment(dataset="grey:7", recipe="convergent").resolve()
    assert resolved.data["dataset"] == "grey"  # the digest tells two of a family apart
    with pytest.raises(DataError, match="grey:none cannot be downloaded from here: nowhere"):
        datasets.fetch("grey:none", tmp_path)
    for name in ("grey", "gray:7"):
        with pytest.raises(UnknownName, match="grey:NUMBER"):
            datasets.info(name)


def test_a_size_after_the_name_is_another_source_of_the_same_set() -> None:
    own, same, small = (datasets.info(name) for name in ("caltech_part", "caltech_part@224", "caltech_part@32"))
    assert (own.image_size, small.image_size, small.name, small.family) == (224, 32, "caltech_part@32", "caltech_part")
    assert own.digest == same.digest != small.digest

    def run_id(name: str) -> str:
        return ltlib.Experiment(dataset=name, recipe="convergent").run_id

    assert run_id("caltech_part") == run_id("caltech_part@224") != run_id("caltech_part@32")


@pytest.mark.parametrize("size", ["0", "1025", "x", "", "3.5", "-1", "032", "64@32"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(SettingError, match=f"'mushroom@{size}' asks for images of '{size}' pixels; .* from 1 to 1024"):
        datasets.info(f"mushroom@{size}")


def test_a_size_is_only_for_sets_that_can_be_read_at_another() -> None:
    for name in ("cifar10", "digits", "digits_mushroom"):
        with pytest.raises(SettingError, match=f"{name} has images of one size only .* as @32; ask for {name}"):
            datasets.info(f"{name}@32")
    with pytest.raises(UnknownName, match="'mushrom'; did you mean mushroom"):
        datasets.info("mushrom@32")


def test_a_class_that_says_too_little_is_told_so(registry: None, tmp_path: Path) -> None:
    @DATASETS.register("empty")
    class Empty(DatasetBuilder):
        """Nothing."""

    with pytest.raises(NotImplementedError, match="Empty must say what it is"):
        datasets.info("empty")
    with pytest.raises(NotImplementedError, match="Empty must read its images"):
        datasets.read("empty", tmp_path)
    assert datasets.remarks("empty", tmp_path) == []
