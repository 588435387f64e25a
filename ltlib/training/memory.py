"""The device memory that a training step needs, counted without a device: shapes run through the network, no numbers.

A step holds five things at its fullest, when the forward pass is over and the backward pass begins: weights and
buffers, the gradients, what the optimizer keeps beside each weight, the images, and every tensor that autograd has
saved (activations, and under bf16 the weights in bf16). The last are counted by torch itself: the forward pass runs on
fake tensors (`torch._subclasses.FakeTensorMode`: torch's meta device that knows for which device it stands, so that
CUDA's rules of autocast hold, by which normalisations and softmax stay in float32), and each storage that a saved
tensor lies in is counted once. Attention is counted as the fused kernels keep it (query, key, value, output and a
number a row), which is what a GPU takes, not as a matrix of all pairs.

With a batch in parts (`ltlib.training.parts`) the saved tensors are those of the largest part.

Left out: gradients of activations on their way back (a few of the largest activations), kernels' workspaces, what the
allocator holds in reserve, the CUDA context (some hundred MiB), the features of a batch, its loss, and the images of
the data set. So it is what a step needs at least. Of real tensors on the CPU the tests find up to 30% more at the
fullest moment, least where activations outweigh everything else; on a GPU nothing of it was measured.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib.models import Network
from ltlib.recipes import Recipe
from ltlib.training.parts import sizes

MOMENTS = {"sgd": 1, "adam": 2, "adamw": 2, "muon": 1}
"""Numbers that an optimizer keeps beside each weight; of one that is not known here, two are assumed."""


@dataclass(frozen=True)
class StepMemory:
    """Bytes of a training step, see the module.

    Attributes:
        weights: Parameters and buffers.
        gradients: Of the parameters that are trained.
        optimizer: Its state.
        images: Of the batch, float32.
        saved: By autograd for the backward pass, of the largest part of the batch.
    """

    weights: int
    gradients: int
    optimizer: int
    images: int
    saved: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.images + self.saved

    @property
    def gib(self) -> float:
        """The total in GiB."""
        return self.total / 2**30


def step_memory(network: Network | nn.Module, recipe: Recipe, image_size: int, *, views: int = 1) -> StepMemory:
    """The memory of a training step on a GPU.

    Args:
        network: On any device, torch's meta device included; parameters that need no gradient count as frozen. It is
            called with the images alone, and not changed.
        recipe: Its batch size, parts, precision and optimizer.
        image_size: Height and width in pixels, as the network sees them.
        views: Augmented views of each image in a batch.
    """
    batch = recipe.batch_size * views
    part = max(sizes(batch, recipe.batch_parts))
    trained = sum(parameter.nbytes for parameter in network.parameters() if parameter.requires_grad)
    return StepMemory(
        weights=sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers())),
        gradients=trained,
        optimizer=moments(recipe) * trained,
        images=batch * 3 * image_size**2 * 4,
        saved=saved_bytes(network, part, image_size, recipe.precision),
    )


def moments(recipe: Recipe) -> int:
    """Numbers that a recipe's optimizer keeps beside each weight."""
    spec = recipe.optimizer_spec
    return 0 if spec.name == "sgd" and not spec.settings["momentum"] else MOMENTS.get(spec.name, 2)


def fewest_parts(
    network: Network | nn.Module, recipe: Recipe, image_size: int, limit: float, *, views: int = 1
) -> tuple[int, int] | None:
    """The `batch_parts` with which a step takes at most `limit` bytes, and how many it takes; None where none does.

    The fewest of the recipe's own, doubled as often as it needs.

    Args:
        network, recipe, image_size, views: As in `step_memory`.
        limit: Bytes.
    """
    parts = recipe.batch_parts
    while parts <= recipe.batch_size // 2:
        needed = step_memory(network, replace(recipe, batch_parts=parts), image_size, views=views).total
        if needed <= limit:
            return parts, needed
        parts *= 2
    return None


def saved_bytes(
    network: nn.Module, images: int, image_size: int, precision: str = "float32", *, device: str = "cuda"
) -> int:
    """Bytes that autograd saves in a forward pass in training mode, beyond parameters, buffers and images.

    Args:
        network: Not changed.
        images: How many.
        image_size: Height and width in pixels.
        precision: ``float32`` or ``bf16`` (autocast).
        device: Whose rules hold, ``cuda`` or ``cpu``; neither need be here.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    network = copy.deepcopy(network).train()
    saved: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage  # held, so that no other storage gets its place
        return tensor

    with FakeTensorMode() as mode, _fused_attention():
        shape = (images, 3, image_size, image_size)
        batch = torch.empty(shape, device=device, memory_format=torch.channels_last)
        own: dict[str, Tensor] = {name: _fake(buffer, device) for name, buffer in network.named_buffers()}
        for name, parameter in network.named_parameters():
            own[name] = _fake(parameter, device).requires_grad_(parameter.requires_grad)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), _autocast(precision, device):
            output = torch.func.functional_call(network, own, (batch,))
        del output, mode
    for tensor in (batch, *own.values()):
        saved.pop(tensor.untyped_storage()._cdata, None)
    return sum(storage.nbytes() for storage in saved.values())


def _fake(tensor: Tensor, device: str) -> Tensor:
    """A fake tensor of this shape and layout; images' weights in channels_last, as a training has them."""
    layout = torch.channels_last if tensor.dim() == 4 else torch.contiguous_format
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=device, memory_format=layout)


@contextlib.contextmanager
def _autocast(precision: str, device: str) -> Iterator[None]:
    """Autocast to bf16 for a device that need not be here: `torch.autocast` switches itself off without one."""
    if precision != "bf16":
        yield
        return
    before = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    torch.set_autocast_enabled(device, True)
    torch.set_autocast_dtype(device, torch.bfloat16)
    torch.autocast_increment_nesting()
    try:
        yield
    finally:
        if torch.autocast_decrement_nesting() == 0:
            torch.clear_autocast_cache()
        torch.set_autocast_enabled(device, before[0])
        torch.set_autocast_dtype(device, before[1])


def _fused_attention() -> contextlib.AbstractContextManager[Any]:
    """While a block runs, attention of fake CUDA tensors is the fused kernel's: without a GPU torch would choose none.

    Real tensors of other threads are computed as ever.
    """
    return mock.patch.object(F, "scaled_dot_product_attention", partial(_attention, F.scaled_dot_product_attention))


def _attention(usual: Any, query: Tensor, key: Tensor, value: Tensor, *more: Any, **settings: Any) -> Tensor:
    from torch._subclasses.fake_tensor import FakeTensor

    masked = any(
        item is not None and item is not False for item in (more[0] if more else None, settings.get("attn_mask"))
    )
    if not isinstance(query, FakeTensor) or query.device.type != "cuda" or masked:
        return usual(query, key, value, *more, **settings)
    if torch.is_autocast_enabled("cuda"):
        query, key, value = (each.to(torch.get_autocast_dtype("cuda")) for each in (query, key, value))
    return torch.ops.aten._scaled_dot_product_efficient_attention(query, key, value, None, True)[0]
