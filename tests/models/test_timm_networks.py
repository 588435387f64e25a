"""ResNet-50 V2 and ViT-B/16 against timm's, whose files of weights they load; ResNet-50 V2 also by hand."""

from __future__ import annotations

from pathlib import Path

import handmade_weights as handmade
import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from ltlib import models
from ltlib.errors import DataError
from ltlib.models import checkpoints
from ltlib.models.resnet_v2 import PreactBottleneck


@pytest.mark.parametrize(("name", "twin", "side"), [("resnet50v2", "resnetv2_50", 97), ("vit_b_16", None, 224)])
def test_features_are_timms_with_its_weights(name: str, twin: str | None, side: int) -> None:
    """Its state dict fits, the classifier's part left out; nothing is missing or left over."""
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        ours = models.MODELS.create(name).eval()
        theirs = timm.create_model(twin or "vit_base_patch16_224", num_classes=7).eval()
    handmade.scatter(theirs)
    ours.to_empty(device="cpu")
    extra = {} if twin else {"pre_logits.fc.weight": torch.zeros(768, 768), "pre_logits.fc.bias": torch.zeros(768)}
    checkpoints.fit(ours, Path("w.pth"), theirs.state_dict() | extra, name)
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs.forward_head(theirs.forward_features(images), pre_logits=True)
        torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-4)
    assert float(expected.std()) > 0.1


def test_parameters_and_macs_of_resnet50v2() -> None:
    """25.5 million parameters with 1000 classes, and the multiplications of ResNet-50 with its stride in the 3x3."""
    with torch.device("meta"):
        backbone = models.MODELS.create("resnet50v2")
        network = models.Network(backbone, torch.nn.Linear(backbone.feature_dim, 1000))
    assert models.parameter_count(network) == pytest.approx(25.55e6, abs=0.005e6)
    assert models.macs(network, image_size=224) == models.macs("resnet50[stem=imagenet]", 1000, 224)


def convolved(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """[C, H, W] with [D, C, k, k], padded with k // 2 zeros, by SciPy."""
    pad = weight.shape[-1] // 2
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    sums = [sum(correlate2d(plane, w, "valid") for plane, w in zip(x, row, strict=True)) for row in weight]
    return np.stack(sums)[:, ::stride, ::stride]


@pytest.mark.parametrize(("channels_in", "stride", "first"), [(8, 2, True), (8, 1, False)])
def test_a_block_by_hand(channels_in: int, stride: int, first: bool) -> None:
    """Figure 1 (b) of the paper; where the shape changes the shortcut reads the normalised input."""
    block = PreactBottleneck(channels_in, 16 if first else 8, stride, first).eval()
    handmade.scatter(block)
    state = {key: value.double().numpy() for key, value in block.state_dict().items()}

    def active(x: np.ndarray, name: str) -> np.ndarray:
        mean, variance, scale, shift = (
            state[f"{name}.{key}"][:, None, None] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * scale + shift, 0)

    image = torch.randn(channels_in, 6, 6, generator=torch.Generator().manual_seed(0))
    begin = active(image.double().numpy(), "norm1")
    out = active(convolved(begin, state["conv1.weight"], 1), "norm2")
    out = convolved(active(convolved(out, state["conv2.weight"], stride), "norm3"), state["conv3.weight"], 1)
    shortcut = convolved(begin, state["downsample.conv.weight"], stride) if first else image.double().numpy()
    with torch.no_grad():
        found = block(image[None])[0].double().numpy()
    np.testing.assert_allclose(found, out + shortcut, rtol=1e-4, atol=1e-4)


def test_names_of_a_vit_in_files_lead_to_its_weights(tmp_path: Path) -> None:
    """Timm's, and those of torchvision's file, which is older than its network's names; one missing is still told."""
    state = models.create("vit_b_16[size=tiny]", 2, seed=5).backbone.state_dict()
    old = {key.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): v for key, v in state.items()}
    words = {
        "class_token": "cls_token",
        "encoder.pos_embedding": "pos_embed",
        "conv_proj": "patch_embed.proj",
        "encoder.layers.encoder_layer_": "blocks.",
        "encoder.ln.": "norm.",
        "ln_": "norm",
        "self_attention.in_proj_": "attn.qkv.",
        "self_attention.out_proj": "attn.proj",
        "mlp.0": "mlp.fc1",
        "mlp.3": "mlp.fc2",
    }
    timms = {}
    for key, value in state.items():
        for ours, theirs in words.items():
            key = key.replace(ours, theirs)
        timms[key] = value
    assert {"blocks.1.attn.qkv.weight", "blocks.0.norm1.bias", "norm.weight", "blocks.1.mlp.fc2.bias"} <= set(timms)
    for names in (old, timms, state):
        file = handmade.save(tmp_path / "w.safetensors", {key: value.clone() for key, value in names.items()})
        backbone = models.create(f"vit_b_16[size=tiny;weights={file}]", 2).backbone
        assert all(torch.equal(value, state[key]) for key, value in backbone.state_dict().items())
    del timms["blocks.1.mlp.fc2.bias"]
    file = handmade.save(tmp_path / "less.safetensors", {key: value.clone() for key, value in timms.items()})
    with pytest.raises(DataError, match=r"1 missing \(encoder.layers.encoder_layer_1.mlp.3.bias\)"):
        models.create(f"vit_b_16[size=tiny;weights={file}]", 2)
