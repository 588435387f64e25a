"""Where files of weights are looked for, and what of them is refused; nothing here reaches a network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import handmade_weights as handmade
import pytest
import torch

from ltlib import models
from ltlib.datasets import contents, download
from ltlib.errors import DataError
from ltlib.models import pretrained, weight_files


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[download.Archive, Path]]:
    """What would be downloaded; an address that does not answer."""
    asked: list[tuple[download.Archive, Path]] = []

    def refuse(archive: download.Archive, root: Path) -> Path:
        asked.append((archive, root))
        raise DataError(f"{archive.name} could not be downloaded (no network)")

    monkeypatch.setattr(download, "fetch", refuse)
    return asked


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return handmade.publish(tmp_path / "weights", monkeypatch)


def read(text: str = handmade.MODEL) -> tuple[Path, bytes]:
    spec = models.spec(text)
    chosen = pretrained.of(spec)
    assert chosen is not None
    return weight_files.read(spec.name, chosen)


def test_found_in_the_folder_of_weights(published: Path, fetched: list[object]) -> None:
    assert read() == (published, handmade.pth())
    assert fetched == []


def test_found_where_torch_keeps_its_downloads(
    published: Path, monkeypatch: pytest.MonkeyPatch, fetched: list[object]
) -> None:
    place = published.parent / "hub" / "checkpoints" / published.name
    place.parent.mkdir(parents=True)
    published.rename(place)
    assert read()[0] == place
    monkeypatch.delenv("LTLIB_WEIGHTS")
    assert read()[0] == place
    assert fetched == []


def test_missing_and_no_network_is_one_sentence(published: Path, fetched: list[tuple[download.Archive, Path]]) -> None:
    published.unlink()
    with pytest.raises(DataError) as caught:
        read()
    said = str(caught.value)
    digits = hashlib.sha256(handmade.pth()).hexdigest()[:8]
    for part in (
        f"the weights imagenet1k_v1 of resnet18 are missing: {handmade.FILE}, sha256 {digits}...",
        f"neither in LTLIB_WEIGHTS, {published.parent}, nor in {published.parent / 'hub' / 'checkpoints'}",
        "could not be downloaded (no network)",
        "train from random weights with weights=none",
    ):
        assert part in said
    assert "\n" not in said
    ((archive, root),) = fetched
    assert (archive.name, archive.sha256, root) == (handmade.FILE, digits, published.parent)
    assert archive.urls[0].startswith("https://")
    assert archive.urls[0].endswith(f"/{handmade.FILE}")


def test_without_the_variable_it_is_said_that_it_is_not_set(
    published: Path, fetched: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    published.unlink()
    monkeypatch.delenv("LTLIB_WEIGHTS")
    with pytest.raises(DataError, match=r"neither in LTLIB_WEIGHTS \(which is not set\) nor in .*checkpoints"):
        read()


def test_downloaded_where_there_is_a_network(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published.unlink()

    def fetch(archive: download.Archive, root: Path) -> Path:
        (root / archive.name).write_bytes(handmade.pth())
        return root / archive.name

    monkeypatch.setattr(download, "fetch", fetch)
    assert read() == (published, handmade.pth())


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-100], lambda data: data + b"x", lambda data: b"<html>not found</html>"]
)
def test_a_published_file_with_another_digest_is_refused(
    published: Path, fetched: list[object], damage: Callable[[bytes], bytes]
) -> None:
    damaged = damage(published.read_bytes())
    published.write_bytes(damaged)
    right, wrong = (hashlib.sha256(data).hexdigest()[:8] for data in (handmade.pth(), damaged))
    with pytest.raises(DataError, match=f"is not the known file: its sha256 begins with {wrong}, not with {right}"):
        models.create(handmade.MODEL, 10)
    assert fetched == []  # somebody's file is not replaced behind their back


def test_by_content_from_the_folder_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTLIB_WEIGHTS", str(tmp_path / "weights"))
    content = hashlib.sha256(handmade.pth()).hexdigest()
    text = f"resnet18[stem=imagenet;weights=sha256:{content}]"
    with pytest.raises(DataError, match=f"no file in LTLIB_WEIGHTS, {tmp_path / 'weights'}, has the sha256 {content}"):
        read(text)
    handmade.save(tmp_path / "weights" / "another.safetensors", {"x": torch.zeros(1)})
    place = handmade.save(tmp_path / "weights" / "renamed.pth")
    assert read(text) == (place, handmade.pth())


def test_a_file_that_changes_between_its_naming_and_its_loading(tmp_path: Path) -> None:
    file = handmade.save(tmp_path / "mine.pth")
    spec = models.spec(f"resnet18[stem=imagenet;weights={file}]")
    torch.save({}, file)
    with pytest.raises(DataError, match=r"mine.pth changed while a run of it began; start it again"):
        models.create(spec, 10)


def test_a_file_is_read_once_while_it_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [handmade.save(tmp_path / f"{name}.safetensors", {"x": torch.zeros(n)}) for n, name in enumerate("ab")]
    later = contents.time.time_ns() + 60_000_000_000
    monkeypatch.setattr(contents.time, "time_ns", lambda: later)
    seen: list[str] = []
    digest = contents.file_digest
    monkeypatch.setattr(contents, "file_digest", lambda path: (seen.append(path.name), digest(path))[1])
    for _ in range(2):
        for file in files:
            assert weight_files.sha256(file) == hashlib.sha256(file.read_bytes()).hexdigest()
    assert seen == ["a.safetensors", "b.safetensors"]


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = handmade.save(tmp_path / "mine.safetensors", {"x": torch.zeros(1)})

    def barred(self: Path, *args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", barred)
    with pytest.raises(DataError, match=r"mine.safetensors cannot be read: Permission denied; make it readable"):
        weight_files.sha256(file)
