"""Where a network looks: Grad-CAM of a convolutional one, attention rollout of a vision transformer.

Pure functions of a network and a batch that is normalised as the network was trained. Maps are as coarse as the
network's last feature map or its grid of patches; whoever shows them enlarges them. Each is divided by its largest
value, so maps of two images or two networks say where, not how much.

- **Grad-CAM** (Selvaraju et al. 2017, Eqs. 1 and 2): with A_k the k-th channel of the last feature map and y_c the
  logit of class c, ``map = relu(sum_k a_k A_k)``, ``a_k = mean over places of d y_c / d A_k``.
- **Attention rollout** (Abnar and Zuidema 2020, section 3): with W_l the attention of layer l, averaged over heads,
  ``R = product over layers of (W_l + I) / 2``, the later ones on the left; the map is the class token's row of R over
  the patches. It knows no class: it is the same whatever the network is asked for.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib.errors import SettingError
from ltlib.models.network import evaluating


def look(network: nn.Module, images: Tensor, classes: Tensor | None = None) -> tuple[str, Tensor]:
    """The map that fits the network, and its name: ``attention rollout`` where it attends, else ``Grad-CAM``.

    Args:
        network, images, classes: As in `grad_cam`.
    """
    if any(isinstance(module, nn.MultiheadAttention) for module in network.modules()):
        return "attention rollout", attention_rollout(network, images)
    return "Grad-CAM", grad_cam(network, images, classes)


def grad_cam(network: nn.Module, images: Tensor, classes: Tensor | None = None) -> Tensor:
    """Which places of the last feature map speak for a class, float32 [N, h, w] in 0..1; all 0 where none does.

    The last feature map is the last output of a module that has four dimensions and more than one place, so the last
    one before the pooling. An activation after it that is no module is then not part of it.

    Args:
        network: ``network(images)`` are logits [N, K]; looked at in evaluation mode and left as it was.
        images: float [N, 3, H, W].
        classes: int64 [N]; by default those the network predicts.

    Raises:
        SettingError: The network has no feature map.
    """
    last: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2] * output.shape[3] > 1:
            last[:] = [output]

    with _watched(network, nn.Module, keep), torch.enable_grad():
        # images that want a gradient: also the features of a frozen backbone then have one
        logits = network(images.detach().clone().requires_grad_())
        if not last:
            raise SettingError(f"Grad-CAM needs a network with a feature map; {type(network).__name__} has none")
        chosen = logits.argmax(1) if classes is None else classes
        (gradient,) = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), last)
    features = last[0].detach().float()
    weights = gradient.float().mean((2, 3), keepdim=True)
    return _to_one((weights * features).sum(1).relu())


@torch.no_grad()
def attention_rollout(network: nn.Module, images: Tensor) -> Tensor:
    """How much of each patch reaches the class token through all layers, float32 [N, h, w] in 0..1.

    Args:
        network: Its self-attentions are `nn.MultiheadAttention`, batch first, called in the order of its layers; token
            0 is the class token, the others a square grid of patches. Looked at in evaluation mode, left as it was.
        images: float [N, 3, H, W].

    Raises:
        SettingError: No attention, or patches that are no square grid.
    """
    layers: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        assert isinstance(module, nn.MultiheadAttention)
        layers.append(attention(module, inputs[0]))

    with _watched(network, nn.MultiheadAttention, keep):
        network(images)
    if not layers:
        raise SettingError(f"attention rollout needs a network that attends; {type(network).__name__} does not")
    tokens = layers[0].shape[-1]
    side = math.isqrt(tokens - 1)
    if side**2 != tokens - 1:
        raise SettingError(f"attention rollout needs a class token and a square grid of patches, not {tokens} tokens")
    identity = torch.eye(tokens, device=layers[0].device)
    rolled = identity
    for weights in layers:
        rolled = (weights + identity) / 2 @ rolled
    return _to_one(rolled[:, 0, 1:].unflatten(1, (side, side)))


def attention(module: nn.MultiheadAttention, tokens: Tensor) -> Tensor:
    """The self-attention of a layer, averaged over its heads: float32 [N, T, T], rows of sum 1.

    Computed from the layer's weights, because torchvision calls it with ``need_weights=False``.

    Args:
        module: Batch first, without masks.
        tokens: Its input, float [N, T, D].
    """
    width = module.embed_dim
    bias = None if module.in_proj_bias is None else module.in_proj_bias[: 2 * width]
    both = F.linear(tokens, module.in_proj_weight[: 2 * width], bias).float()
    query, key = both.unflatten(2, (2, module.num_heads, -1)).permute(2, 0, 3, 1, 4)  # each [N, heads, T, D / heads]
    return (query @ key.mT / math.sqrt(width // module.num_heads)).softmax(-1).mean(1)


@contextlib.contextmanager
def _watched(network: nn.Module, kind: type[nn.Module], hook: Any) -> Iterator[None]:
    """The network in evaluation mode, with a hook on what its modules of a kind give; as it was after the block."""
    hooks = [module.register_forward_hook(hook) for module in network.modules() if isinstance(module, kind)]
    try:
        with evaluating(network):
            yield
    finally:
        for each in hooks:
            each.remove()


def _to_one(maps: Tensor) -> Tensor:
    """Each map divided by its largest value."""
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
