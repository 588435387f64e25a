"""Any network of timm as a backbone: its features, its file of weights, and what is said without timm."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ltlib import models, sealed
from ltlib.compare import experiments
from ltlib.errors import DataError, SettingError, UnknownName
from ltlib.models import timm_network


@pytest.fixture(autouse=True)
def _gone_afterwards() -> Iterator[None]:
    """Other tests go through all networks."""
    yield
    models.MODELS._entries.pop("timm", None)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_050"])
def test_features_are_timms(name: str, tmp_path: Path) -> None:
    """MobileNet-V3 has a layer between pooling and classifier, which belongs to the features."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(5)
    theirs = timm.create_model(name).eval()
    file = tmp_path / "their weights.safetensors"
    sealed.write_tensors(file, {key: value.contiguous() for key, value in theirs.state_dict().items()})
    front = experiments.front(f"timm:{name}", weights=str(file))
    assert front.size == 224
    assert ("normalise=half" in front.recipe) == name.startswith("vit")
    ours = models.create(front.model, 3).eval()
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs.forward_head(theirs.forward_features(images), pre_logits=True)
        torch.testing.assert_close(ours.features(images), expected)
    assert ours.feature_dim == expected.shape[1]
    assert models.spec(front.model).identity()["settings"]["name"] == name
    # an exported model is read back without the file
    bare = models.create(f"timm[name={name}]", 3, load=False)
    bare.load_state_dict(ours.state_dict())


def test_weights_of_another_network(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    state = timm.create_model("resnet18").state_dict()
    sealed.write_tensors(tmp_path / "w.safetensors", {k: v for k, v in state.items() if "layer4" not in k})
    with pytest.raises(DataError, match=r"do not fit timm: .* missing"):
        models.create(experiments.front("timm:resnet18", weights=str(tmp_path / "w.safetensors")).model, 3)


def test_random_features_are_refused() -> None:
    pytest.importorskip("timm")
    for full in (False, True):
        with pytest.raises(SettingError, match=r"random weights.*--weights"):
            experiments.front("timm:resnet18", full)
    with pytest.raises(UnknownName, match="resnet18"):
        timm_network.check("resnet81")
    assert str(models.spec("timm[name=resnet18]")) == "timm[name=resnet18;weights=none]"


def test_without_timm_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    (tmp_path / "w.pth").write_bytes(b"")
    with pytest.raises(SettingError, match="pip install timm"):
        experiments.front("timm:resnet18", weights=str(tmp_path / "w.pth"))
