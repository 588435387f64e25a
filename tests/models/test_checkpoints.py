"""Files of weights: what is understood, what is refused, and that nothing in them is ever run."""

from __future__ import annotations

import argparse
import io
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from ltlib import models
from ltlib.errors import DataError
from ltlib.models import checkpoints


def backbone(seed: int = 0) -> models.Backbone:
    return models.create("resnet8", 10, seed=seed).backbone


WEIGHTS = backbone(seed=1).state_dict()
PTH, SAFE = Path("w.pth"), Path("w.safetensors")


def saved(value: object, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def loaded(path: Path, data: bytes) -> models.Backbone:
    into = backbone()
    checkpoints.fit(into, path, checkpoints.state_dict(path, data), "resnet8")
    return into


def prefixed(prefix: str, values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in values.items()}


WITH_CLASSIFIER = WEIGHTS | {"fc.weight": torch.zeros(1000, 64), "fc.bias": torch.zeros(1000)}
OURS = prefixed("backbone.", WEIGHTS) | {"classifier.weight": torch.zeros(3, 64), "projector.0.bias": torch.zeros(2)}


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (PTH, saved(WITH_CLASSIFIER)),
        (PTH, saved(WITH_CLASSIFIER, zipped=False)),
        (SAFE, safetensors.torch.save(WITH_CLASSIFIER)),
        (Path("W.SAFETENSORS"), safetensors.torch.save(WEIGHTS)),
        (PTH, saved({"state_dict": WITH_CLASSIFIER, "epoch": 90, "best": 0.5})),
        (PTH, saved({"model": WITH_CLASSIFIER, "optimizer": {"lr": 0.1}})),
        (PTH, saved({"state_dict": prefixed("module.", WITH_CLASSIFIER)})),
        (SAFE, safetensors.torch.save(OURS)),
        (PTH, saved({key: value for key, value in WEIGHTS.items() if not key.endswith("num_batches_tracked")})),
    ],
)
def test_forms_of_one_network(path: Path, data: bytes) -> None:
    for key, value in loaded(path, data).state_dict().items():
        assert torch.equal(value, WEIGHTS[key]), key


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    half = {key: value.half() if value.is_floating_point() else value for key, value in WEIGHTS.items()}
    found = loaded(SAFE, safetensors.torch.save(half))
    assert found.conv1.weight.dtype == torch.float32
    assert torch.equal(found.conv1.weight, WEIGHTS["conv1.weight"].half().float())


class Code:
    """Would make a file if it were unpickled."""

    def __init__(self, place: Path):
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.place), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    data = saved(WEIGHTS | {"extra": Code(tmp_path / "made")}, zipped)
    with pytest.raises(DataError, match=r"w.pth holds more than tensors \(.*open\).*nothing of it was run") as caught:
        loaded(PTH, data)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "made").exists()
    with pytest.raises(DataError, match=r"more than tensors \(argparse.Namespace\)"):
        loaded(PTH, saved({"state_dict": WEIGHTS, "args": argparse.Namespace(lr=0.1)}, zipped))
    pickle.loads(pickle.dumps(Code(tmp_path / "made")))  # it would have worked
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("path", "data"),
    [(PTH, saved(WEIGHTS)), (PTH, saved(WEIGHTS, zipped=False)), (SAFE, safetensors.torch.save(WEIGHTS))],
)
@pytest.mark.parametrize("part", [0.0, 1e-5, 1e-3, 0.5, 0.999])
def test_a_file_that_is_cut_short(path: Path, data: bytes, part: float) -> None:
    with pytest.raises(
        DataError, match=f"{path} is cut short, damaged or no file of weights.*; get it again"
    ) as caught:
        loaded(path, data[: int(part * len(data))])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"<html>not found</html>", b"hello\n" * 100, saved(WEIGHTS)])
def test_another_kind_of_file(data: bytes) -> None:
    with pytest.raises(DataError, match=r"w\.safetensors is cut short, damaged or no file of weights"):
        loaded(SAFE, data)
    if data[:1] in b"<h":
        with pytest.raises(DataError, match=r"w\.pth is cut short, damaged or no file of weights"):
            loaded(PTH, data)


@pytest.mark.parametrize("value", [{}, [1, 2], torch.zeros(3), {"epoch": 3}, {"state_dict": {"a": 1}}])
def test_no_dictionary_of_tensors(value: object) -> None:
    with pytest.raises(DataError, match=r"w\.pth holds no dictionary of tensors"):
        loaded(PTH, saved(value))


def test_another_network_is_named_with_the_first_few_keys_and_leaves_the_backbone() -> None:
    into = backbone()
    before = {key: value.clone() for key, value in into.state_dict().items()}
    other = dict(models.create("resnet18", 10).backbone.state_dict())
    missing = [key for key in before if key not in other]
    unexpected = [key for key in other if key not in before]
    assert missing == []
    assert len(unexpected) > 3
    del other["layer1.0.bn1.bias"]
    with pytest.raises(DataError) as caught:
        checkpoints.fit(into, PTH, other, "resnet8")
    said = str(caught.value)
    assert said.startswith(
        "the weights in w.pth do not fit resnet8: 1 missing (layer1.0.bn1.bias); "
        f"{len(unexpected)} unexpected ({', '.join(unexpected[:3])}, ...); "
    )
    assert "of another shape (conv1.weight [64, 3, 3, 3] instead of [16, 3, 3, 3], " in said
    assert "\n" not in said
    assert all(torch.equal(value, before[key]) for key, value in into.state_dict().items())


def test_an_extra_key_that_is_no_classifier_is_refused() -> None:
    with pytest.raises(DataError, match=r"1 unexpected \(fcx.weight\); name the network"):
        loaded(PTH, saved(WEIGHTS | {"fcx.weight": torch.zeros(1)}))
