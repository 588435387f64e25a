"""The memory of a step, counted without numbers: by hand, against real tensors, and against what a real step holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from ltlib import models, recipes
from ltlib.training import memory, steps
from ltlib.training.parts import in_parts


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
    )


def test_saved_tensors_by_hand() -> None:
    """16 images of 12x12: the ReLU's output and the classifier's input; in bf16 also images and weights as cast."""
    pixels = 16 * 144
    assert memory.saved_bytes(small(), 16, 12) == 4 * (8 * pixels + 8 * 16)
    casts = 3 * pixels + 8 * 3 * 9 + 8 * 5
    assert memory.saved_bytes(small(), 16, 12, "bf16") == 2 * (8 * pixels + 8 * 16 + casts)


def test_the_parts_of_a_step_by_hand() -> None:
    recipe = recipes.create("ldam[batch_size=16]")
    found = memory.step_memory(small(), recipe, 12)
    weights = 4 * (8 * 27 + 8 * 5 + 5)
    saved = 4 * (8 * 16 * 144 + 8 * 16)
    assert (found.weights, found.gradients, found.optimizer) == (weights,) * 3
    assert (found.images, found.saved) == (4 * 3 * 16 * 144, saved)
    assert found.total == 3 * weights + 4 * 3 * 16 * 144 + saved
    assert (
        memory.step_memory(small(), recipes.create("ldam[batch_size=16;optimizer=adam]"), 12).optimizer == 2 * weights
    )
    assert memory.step_memory(small(), replace(recipe, momentum=0.0), 12).optimizer == 0
    assert memory.step_memory(small(), replace(recipe, batch_parts=4), 12).saved == saved // 4
    assert memory.step_memory(small(), recipe, 12, views=2).saved == 2 * saved
    frozen = small()
    frozen[0].requires_grad_(False)  # type: ignore[index]
    found = memory.step_memory(frozen, recipe, 12)
    assert (found.gradients, found.saved) == (4 * 45, 4 * 8 * 16)


def real(network: nn.Module, images: Tensor, precision: str) -> int:
    """The same count of real tensors on the CPU."""
    own = {t.untyped_storage().data_ptr() for t in (images, *network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t), steps.autocast(precision, torch.device("cpu")):
        output = network(images)
    assert output.requires_grad
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_shapes_count_as_real_tensors_do(precision: str) -> None:
    """Exactly; under bf16 a real batch normalisation keeps its means and deviations in float32, the shapes say bf16."""
    network = models.create("resnet32", 10).to(memory_format=torch.channels_last)
    images = torch.randn(8, 3, 32, 32).to(memory_format=torch.channels_last)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    network.eval()
    counted = memory.saved_bytes(network, 8, 32, precision, device="cpu")
    assert not network.training
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    channels = sum(m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert real(network.train(), images, precision) - counted == (4 * channels if precision == "bf16" else 0)
    assert memory.saved_bytes(models.shapes("resnet32", 10), 8, 32, precision, device="cpu") == counted


class Live(TorchDispatchMode):
    """The most bytes that tensors made in a block held at once."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for tensor in output if isinstance(output, (tuple, list)) else (output,):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self.found[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        if sum(size for _, size in self.found.values()) > self.peak:
            self.found = {place: kept for place, kept in self.found.items() if not kept[0].expired()}
            self.peak = max(self.peak, sum(size for _, size in self.found.values()))
        return output


@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.parametrize(("name", "precision"), [("resnet32", "float32"), ("resnet8", "bf16")])
def test_a_real_step_holds_what_was_counted_and_little_more(name: str, precision: str, number: int) -> None:
    """The tensors alive at the fullest moment of a step; gradients on their way back come on top."""
    recipe = recipes.create(f"ldam[batch_size=32;optimizer=adam;precision={precision};batch_parts={number}]")
    network = models.create(name, 10).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), foreach=False)
    size = 16
    with Live() as live:
        weights = [torch.zeros_like(p) for p in (*network.parameters(), *network.buffers())]  # as large as the network
        images = torch.randn(32, 3, size, size).to(memory_format=torch.channels_last)
        for _ in range(2):
            live.peak = 0
            with steps.autocast(precision, torch.device("cpu")), in_parts(network, number):
                loss = nn.functional.cross_entropy(network(images).float(), torch.zeros(32, dtype=torch.int64))
            optimizer.zero_grad()
            loss.backward()
            del loss
            optimizer.step()
    assert weights
    found = memory.step_memory(network, recipe, size)
    assert found.total <= live.peak <= 1.3 * found.total


class Attends(nn.Module):
    """Each pixel is a token."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.attention = nn.Linear(3, 8), nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.inside(images.flatten(2).transpose(1, 2))
        return self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_attention_is_counted_without_a_matrix_of_all_pairs(precision: str) -> None:
    """Four times the tokens keep four times as much, weights cast to bf16 aside."""
    usual = nn.functional.scaled_dot_product_attention
    few, many = (memory.saved_bytes(Attends(), 2, size, precision) for size in (8, 16))
    casts = 2 * (8 * 3 + 4 * 8 * 8 + 8 + 4 * 8) if precision == "bf16" else 0
    assert 3.9 * (few - casts) < many - casts < 4.1 * (few - casts)
    assert many > 2 * 256 * 8 * (2 if precision == "bf16" else 4) * 5, "tokens, queries, keys, values, output"
    assert nn.functional.scaled_dot_product_attention is usual


def test_a_network_within_a_limit() -> None:
    network = models.shapes("resnet8", 10)
    recipe = recipes.create("ldam")
    whole = memory.step_memory(network, recipe, 32)
    assert memory.fewest_parts(network, recipe, 32, whole.total) == (1, whole.total)
    halves = memory.step_memory(network, replace(recipe, batch_parts=2), 32)
    assert memory.fewest_parts(network, recipe, 32, whole.total - 1) == (2, halves.total)
    fewer = memory.fewest_parts(network, recipe, 32, halves.total - 1)
    assert fewer is not None
    assert fewer[0] == 4
    assert fewer[1] < halves.total
    assert memory.fewest_parts(network, recipe, 32, whole.weights) is None


@pytest.mark.parametrize("name", ["convnext_base", "vit_b_16"])
def test_networks_for_photographs(name: str) -> None:
    """At 128 images of 224 pixels in bf16 both fit in 40 GiB; their activations are gigabytes, four parts take less."""
    network = models.shapes(name, 100)
    recipe = recipes.create("ldam[optimizer=adam;precision=bf16]")
    found = memory.step_memory(network, recipe, 224)
    assert found.weights == 4 * models.parameter_count(network)
    assert found.optimizer == 2 * found.gradients == 2 * found.weights
    assert found.images == 128 * 3 * 224 * 224 * 4
    assert 8 < found.gib < 20
    parts = memory.step_memory(network, replace(recipe, batch_parts=4), 224)
    assert parts.saved < 0.3 * found.saved
