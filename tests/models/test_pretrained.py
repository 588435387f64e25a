"""What a network may begin from, by name, by file, by content; and what of that identifies a run."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import handmade_weights as handmade
import pytest
import torch

from ltlib import models
from ltlib.cli import components
from ltlib.errors import DataError, SettingError, UnknownName
from ltlib.models import pretrained
from ltlib.registry import Registry

EVERY = [(network, one) for network, known in pretrained.PUBLISHED.items() for one in known.values()]
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return handmade.save(tmp_path / "mine.pth")


def model(weights: object) -> str:
    return f"resnet18[stem=imagenet;weights={weights}]"


def test_every_published_file_is_torchvisions() -> None:
    """Its name, and with it the first digits of its sha256, are those of the address torchvision downloads from."""
    torchvision = pytest.importorskip("torchvision.models")
    theirs = [(network, one) for network, one in EVERY if one.torchvision]
    assert len(theirs) == 10
    for network, one in theirs:
        known = torchvision.get_weight(one.torchvision)
        assert known.url.endswith(f"/{one.file}")
        assert one.file == f"{network}-{one.sha256}.pth"
        assert len(one.sha256) == 8
        assert known in torchvision.get_model_weights(network)
        assert known.transforms().mean == [0.485, 0.456, 0.406]
        assert one.normalise == "imagenet"


def test_every_other_published_file_has_an_address_or_a_package() -> None:
    others = [one for _, one in EVERY if not one.torchvision]
    assert len(others) == 3
    for one in others:
        assert one.url.endswith(f"/{one.file}") != bool(one.folder)
        assert one.file.rpartition("-")[2] == f"{one.sha256[:8]}.pth"
        assert one.normalise in ("half", "signed")


def test_weights_of_timm_are_for_its_normalisation() -> None:
    """Timm reads a file's normalisation from its own table; (x / 255 - 0.5) / 0.5 in both."""
    timm = pytest.importorskip("timm")
    for network, name, twin in (
        ("resnet50v2", "imagenet1k", "resnetv2_50.a1h_in1k"),
        ("vit_b_16", "imagenet21k", "vit_base_patch16_224.orig_in21k"),
    ):
        known = timm.get_pretrained_cfg(twin)
        assert pretrained.PUBLISHED[network][name].normalise == "half"
        assert (known.mean, known.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_a_name_needs_no_file() -> None:
    assert models.spec(handmade.MODEL).identity() == {
        "name": "resnet18",
        "version": 1,
        "settings": {"stem": "imagenet", "weights": {"name": "imagenet1k_v1", "sha256": "f37072fd"}},
    }
    assert pretrained.kept(models.spec(handmade.MODEL)) is None  # the name says it all


def test_a_file_is_identified_by_what_is_in_it(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "renamed.pt"
    other.parent.mkdir()
    shutil.copy(file, other)
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    said = models.spec(model(file)).identity()
    assert said["settings"]["weights"] == {"sha256": content}
    assert models.spec(model(other)).identity() == said
    assert models.spec(model(f"sha256:{content}")).identity() == said
    assert pretrained.kept(models.spec(model(file))) == model(f"sha256:{content}")
    before = models.spec(model(other))
    other.write_bytes(other.read_bytes() + b"x")
    assert models.spec(model(other)) != before
    assert models.spec(model(other)).identity() != said


def test_a_path_with_the_marks_of_the_settings_syntax(file: Path, tmp_path: Path) -> None:
    odd = shutil.copy(file, tmp_path / "a+b = c (1).pth")
    assert models.spec(model(odd)).identity() == models.spec(model(file)).identity()


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("resnet18[weights=imagenet1k_v1]", SettingError, r"write resnet18\[stem=imagenet;weights=imagenet1k_v1\]"),
        (model("imagenet1k"), UnknownName, r"unknown weights of resnet18 'imagenet1k'; did you mean imagenet1k_v1\?"),
        (model("imagenet1k_v2"), UnknownName, "did you mean imagenet1k_v1"),  # only the deeper ones have a second
        (model("/gone/w.pth"), DataError, r"the file of weights /gone/w.pth is missing; restore it, .*weights=none"),
        (model("/gone/w.onnx"), DataError, r"its name must end with .safetensors, .pth, .pt$"),
        ("resnet8[weights=imagenet1k_v1]", UnknownName, "unknown setting of model resnet8: 'weights'"),
    ],
)
def test_mistakes_are_one_sentence(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        models.spec(text)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "w.pth").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        models.spec(model(tmp_path / "w.pth"))


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_network_in_one_call(tmp_path: Path, ending: str) -> None:
    """Features are torchvision's; the classifier is drawn from the seed as that of a network without weights is."""
    file = handmade.save(tmp_path / f"mine{ending}")
    network = models.create(model(file), 10, projector=16, seed=3).eval()
    torch.testing.assert_close(network.backbone(IMAGES), handmade.features(IMAGES), rtol=1e-4, atol=1e-5)
    drawn = models.create("resnet18[stem=imagenet]", 10, projector=16, seed=3)
    for part in ("classifier", "projector"):
        for key, value in drawn.parts[part].state_dict().items():
            assert torch.equal(network.parts[part].state_dict()[key], value), (part, key)
    assert not torch.equal(network.classifier.weight, models.create(model(file), 10, seed=4).classifier.weight)


def test_a_name_in_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handmade.publish(tmp_path, monkeypatch)
    network = models.create(handmade.MODEL, 10).eval()
    torch.testing.assert_close(network.backbone(IMAGES), handmade.features(IMAGES), rtol=1e-4, atol=1e-5)


def test_without_loading_no_file_is_needed() -> None:
    """Costs and shapes, and the network that a finished run's own weights are put into."""
    network = models.create(handmade.MODEL, 10, seed=1, load=False)
    drawn = models.create("resnet18[stem=imagenet]", 10, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), drawn.parameters(), strict=True))
    assert models.macs(handmade.MODEL, 10, 64) == models.macs(drawn, image_size=64)


def test_the_small_stem_is_named_where_it_does_not_fit(file: Path) -> None:
    with pytest.raises(DataError, match=r"conv1.weight \[64, 3, 7, 7\] instead of \[64, 3, 3, 3\].*set stem=imagenet"):
        models.create(f"resnet18[weights={file}]", 10)


def test_ones_own_network_takes_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of what MobileNetV2 or ViT need: a setting, `instead`, and how their classifier is called."""

    class Tiny(models.Backbone):
        feature_dim, published_classifier = 4, ("heads.",)

        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 1, bias=False)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.conv(images).mean((2, 3))

    registry = Registry[models.Backbone]("model")
    monkeypatch.setattr(models, "MODELS", registry)

    @registry.register("tiny", version=1, instead=pretrained.instead("tiny"))
    def tiny(*, weights: str | None = None) -> models.Backbone:
        "A network."
        return Tiny()

    weight = torch.arange(12.0).reshape(4, 3, 1, 1)
    tensors = {"conv.weight": weight, "heads.head.weight": torch.zeros(1000, 4)}
    file = handmade.save(tmp_path / "tiny.safetensors", tensors)
    assert torch.equal(models.create(f"tiny[weights={file}]", 2).backbone.conv.weight, weight)
    assert set(models.spec(f"tiny[weights={file}]").identity()["settings"]["weights"]) == {"sha256"}


def test_the_command_line_shows_them() -> None:
    lines = "\n".join(components.describe("resnet50", ()))
    assert "  stem = small\n  weights = none\n" in lines
    for one in pretrained.PUBLISHED["resnet50"].values():
        assert f"  resnet50[stem=imagenet;weights={one.name}]: {one.file}, sha256 {one.sha256}..." in lines
    assert "BSD-3-Clause" in lines
