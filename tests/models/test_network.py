"""The parts of a network, how its weights are drawn, and what it costs."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from ltlib import models
from ltlib.errors import SettingError, UnknownName

SMALL = ["resnet8", "resnet18"]

# Sum of absolute weights, and two single ones, of seed 0: what every stored run of version 1 started from.
GOLDEN = {
    ("resnet8", 1): (4870.53046, 0.115185305, -0.219034433),
    ("resnet18", 1): (224538.455, 0.0249383505, -0.0391722433),
}


def same(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("name", SMALL)
def test_a_seed_gives_one_network(name):
    first, again, other = (models.create(name, 10, seed=seed) for seed in (3, 3, 4))
    assert same(first, again)
    assert not torch.equal(first.backbone.conv1.weight, other.backbone.conv1.weight)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)


def test_the_projector_does_not_change_the_other_parts():
    plain, with_projector = models.create("resnet8", 10), models.create("resnet8", 10, projector=32)
    assert same(plain.backbone, with_projector.backbone)
    assert same(plain.classifier, with_projector.classifier)
    on_projection = models.create("resnet8", 10, projector=32, classifier_input="projection")
    assert same(plain.backbone, on_projection.backbone)
    assert same(with_projector.projector, on_projection.projector)


def test_torchs_generator_is_left_alone_and_not_used():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first = models.create("resnet8", 10, projector=16)
    models.initialise(first, 0)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(1)
    assert same(first, models.create("resnet8", 10, projector=16))


def test_initialise_resets_a_used_network_in_place():
    network = models.create("resnet8", 10, projector=16, seed=5)
    fresh = copy.deepcopy(network)
    tensors = {k: v.data_ptr() for k, v in network.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    features, projection = network.embed(torch.randn(4, 3, 8, 8))
    (network.classify(features).square().sum() + projection[:, 0].sum()).backward()
    optimizer.step()
    assert not same(network, fresh)  # batch statistics and weights
    models.initialise(network, 5)
    assert same(network, fresh)
    assert tensors == {k: v.data_ptr() for k, v in network.state_dict().items()}


def test_initialise_draws_only_the_parts_asked_for():
    network = models.create("resnet8", 10, seed=1)
    whole = models.create("resnet8", 10, seed=2)
    backbone = copy.deepcopy(network.backbone)
    models.initialise(network, 2, parts=("classifier",))
    assert same(network.backbone, backbone)
    assert same(network.classifier, whole.classifier)
    with pytest.raises(UnknownName, match="part"):
        models.initialise(network, 0, parts=("projector",))


def test_memory_format_and_precision_do_not_change_the_draw():
    plain = models.create("resnet8", 10)
    last = models.create("resnet8", 10, seed=1).to(memory_format=torch.channels_last)
    models.initialise(last, 0)
    assert same(plain, last)
    double = models.create("resnet8", 10, seed=1).double()
    models.initialise(double, 0)
    assert torch.equal(double.backbone.conv1.weight.float(), plain.backbone.conv1.weight)


@pytest.mark.parametrize("name", SMALL)
def test_first_weights_are_the_ones_the_version_stands_for(name):
    network = models.create(name, 10)
    total = sum(float(p.detach().double().abs().sum()) for p in network.parameters())
    got = (total, network.backbone.conv1.weight[0, 0, 0, 0].item(), network.classifier.weight[9, 1].item())
    assert got == pytest.approx(GOLDEN[name, models.spec(name).version], rel=1e-5)


def test_cifar_classifier_starts_kaiming_normal_with_torchs_bias():
    """As in LDAM-DRW: variance 2 / fan_in in convolutions and classifier, the bias torch's default."""
    network = models.create("resnet32", 1000)
    weight = network.classifier.weight.detach()
    assert float(weight.var()) == pytest.approx(2 / 64, rel=0.05)
    assert float((weight / weight.std()).pow(4).mean()) == pytest.approx(3, abs=0.15)  # normal; uniform has 1.8
    assert float(network.classifier.bias.detach().abs().max()) <= 1 / 8
    convolution = network.backbone.layer3[0].conv1.weight.detach()  # 32 -> 64 channels: the two fans differ
    assert float(convolution.var()) == pytest.approx(2 / (32 * 9), rel=0.05)


def test_embedding_of_contrastive_training():
    network = models.create("resnet8", 10, projector=128)
    images = torch.randn(4, 3, 8, 8)
    features, projection = network.embed(images)
    assert features.shape == (4, 64)
    assert projection.shape == (4, 128)
    torch.testing.assert_close(projection.norm(dim=1), torch.ones(4))
    hidden = F.relu(F.linear(features, network.projector[0].weight, network.projector[0].bias))
    out = F.linear(hidden, network.projector[2].weight, network.projector[2].bias)
    torch.testing.assert_close(projection, out / out.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("classifier_input", ["features", "projection"])
def test_what_the_classifier_reads(classifier_input):
    network = models.create("resnet8", 10, projector=128, classifier_input=classifier_input).eval()
    images = torch.randn(4, 3, 8, 8)
    features, projection = network.embed(images)
    read = features if classifier_input == "features" else projection
    logits = read @ network.classifier.weight.T + network.classifier.bias
    torch.testing.assert_close(network.classify(features, projection), logits)
    torch.testing.assert_close(network(images), logits)


def test_parts_cover_every_parameter_once():
    network = models.create("resnet8", 10, projector=16)
    assert list(network.parts) == ["backbone", "classifier", "projector"]
    ids = [id(p) for part in network.parts.values() for p in part.parameters()]
    assert sorted(ids) == sorted(id(p) for p in network.parameters())
    assert list(models.create("resnet8", 10).parts) == ["backbone", "classifier"]


@pytest.mark.parametrize("name", ["resnet8", "resnet32", "resnet18", "resnet50"])
def test_macs_are_half_of_torchs_flops(name):
    network = models.create(name, 10, projector=16, classifier_input="projection")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copy.deepcopy(network).eval()(torch.zeros(1, 3, 8, 8))
    assert models.macs(network, image_size=8) == counter.get_total_flops() // 2


def test_macs_leave_the_network_as_it_was():
    network = models.create("resnet8", 10)
    before = copy.deepcopy(network)
    models.macs(network, image_size=8)
    assert network.training
    assert same(network, before)
    assert not any(m._forward_hooks for m in network.modules())


@pytest.mark.parametrize("name", SMALL)
def test_channels_last_stays_and_gives_the_same(name):
    network = models.create(name, 10)
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = network(images)
    expected.square().mean().backward()
    gradient = network.backbone.conv1.weight.grad.clone()
    last = models.create(name, 10).to(memory_format=torch.channels_last)
    formats = []
    for module in last.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda m, i, o: formats.append(
                    i[0].is_contiguous(memory_format=torch.channels_last)
                    and o.is_contiguous(memory_format=torch.channels_last)
                )
            )
    logits = last(images.contiguous(memory_format=torch.channels_last))
    assert all(formats)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    logits.square().mean().backward()
    torch.testing.assert_close(last.backbone.conv1.weight.grad, gradient, rtol=1e-3, atol=1e-4)


def test_bfloat16_autocast_trains():
    network = models.create("resnet8", 10, projector=16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features, projection = network.embed(torch.randn(4, 3, 8, 8))
        loss = network.classify(features).float().square().mean() + projection.float()[:, 0].mean()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_classes": 0},
        {"num_classes": 2.5},
        {"projector": -1},
        {"classifier_input": "logits"},
        {"classifier_input": "projection"},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(SettingError):
        models.create("resnet8", **({"num_classes": 10} | wrong))


def test_unknown_names_list_the_nearest():
    with pytest.raises(UnknownName, match="resnet32"):
        models.create("resnet23", 10)
    with pytest.raises(UnknownName, match="did you mean linear"):
        models.create("resnet8", 10, classifier="liner")


def test_every_model_presents_itself():
    for entry in models.MODELS:
        assert entry.summary.endswith(".")
        assert entry.source
        assert models.spec(entry.name).identity()["settings"] == {}
