"""Kernels for small networks, in Triton: 3x3 convolutions of 16, 32 and 64 channels with their batch normalisation.

Off unless ``LTLIB_KERNELS`` is ``auto``. Then a CUDA device runs them in the training of CIFAR ResNets in bf16, where a
check on that very device passes first (`check`): every kernel against torch in float32 on random numbers, and twice for
the same bits. Everything else, float32, evaluation and CPUs included, stays on torch; so does a device on which the
check fails, with one warning. A run's identity does not say which it was, its provenance does.

A convolution's kernel also adds up its output's statistics, and the next one normalises, adds the residual and cuts off
as it reads (`jit`). What that leaves of a ResNet-32 step is four kernels a layer in the backward pass and two in the
forward one.

The numbers are tested through Triton's interpreter, on small shapes against float64, and the code compiles for compute
capability 8.0 and 9.0. On a GPU all this is untried: neither speed nor accuracy of a training with it is measured.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ltlib import places
from ltlib.errors import SettingError

LARGEST = 2**31
"""Numbers of a tensor that the kernels can count."""
_CHECKING = threading.Lock()
_found: dict[str, str] = {}
"""By device what a check found: the kernels' name, or nothing where torch's stay."""
_ready: dict[str, str] = {}
"""Those of them that run now."""


def prepare(device: torch.device) -> None:
    """Decide whether trainings on this device use the kernels, before the first step; checked once in a process.

    Raises:
        SettingError: ``LTLIB_KERNELS`` is neither ``off`` nor ``auto``.
    """
    wanted = places.variable("LTLIB_KERNELS") or "off"
    if wanted not in ("off", "auto"):
        raise SettingError(f"LTLIB_KERNELS must be off or auto, not {wanted!r}")
    key = _key(device)
    if wanted == "off" or device.type != "cuda":
        _ready.pop(key, None)
        return
    with _CHECKING:
        if key not in _found:
            _found[key] = _checked(device)
        if _found[key]:
            _ready[key] = _found[key]


def facts(backbone: nn.Module, precision: str, device: torch.device) -> dict[str, Any]:
    """For a run's provenance: the kernels that its backbone is trained with there; empty where they are torch's."""
    name = _ready.get(_key(device))
    return {"kernels": name} if name and precision == "bf16" and getattr(backbone, "own_kernels", False) else {}


def serve(x: Tensor, blocks: Sequence[Any]) -> bool:
    """Whether the kernels take x [N, C, H, W] through these blocks: ready there, bf16, and all of it in training."""
    if not _ready or _key(x.device) not in _ready:
        return False
    return (
        x.dtype == torch.bfloat16
        and torch.is_grad_enabled()
        and x.numel() * 4 < LARGEST  # a later group has at most as many numbers
        and all(block.bn1.training and block.bn2.training for block in blocks)
        and all(parameter.requires_grad for block in blocks for parameter in block.parameters())
    )


def forward(x: Tensor, blocks: Sequence[Any]) -> Tensor:
    """What the blocks make of x, where they `serve`; see `body.forward`."""
    from ltlib.models.kernels import body

    return body.forward(x, blocks)


def _checked(device: torch.device) -> str:
    """The kernels' name, or nothing and one warning where they cannot be used."""
    try:
        import triton

        from ltlib.models.kernels import check

        trouble = check.trouble(device)
    except Exception as error:  # whatever a compiler or a driver says: torch's kernels do not need it
        said = str(error).strip().splitlines()
        trouble = f"{type(error).__name__}: {said[0] if said else 'no reason'}"
    if trouble:
        warnings.warn(f"LTLIB_KERNELS=auto: trainings on {device} stay with torch's kernels: {trouble}", stacklevel=4)
        return ""
    return f"cifar_resnet, triton {triton.__version__}"


def _key(device: torch.device) -> str:
    if device.type == "cuda" and device.index is None and torch.cuda.is_available():
        return f"cuda:{torch.cuda.current_device()}"
    return str(device)
