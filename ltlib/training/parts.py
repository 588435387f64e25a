"""A batch through the network in parts: the whole batch's loss and gradient with the activations of one part.

Only the backbone sees parts. Each part's forward pass keeps its images and its features alone; the features of all
parts are put together, and classifier, projector and loss see the whole batch once. So it is the whole batch's loss,
whatever that is: divided by the sum of the batch's weights, of mixed labels, or contrasting every view with every
other. In the backward pass a part is computed once more, with all it keeps, just before its own gradient, and the
gradients of the parts add up. That is gradient checkpointing (Chen et al. 2016, arXiv 1604.06174) over parts of a
batch; Gao et al. 2021 (arXiv 2101.06983) describe it for contrastive losses. A step takes one forward pass more.

The numbers are those of the whole batch up to the order of sums (tests hold 1e-5 in float32), with one exception:

- Batch normalisation in training mode normalises by a part, which is another function, and moves its running
  statistics once for each part, so ``batch_parts`` times a step; computing a part again moves nothing.

A network that draws random numbers in its forward pass (dropout, stochastic depth) would draw others the second time,
and is refused. Parts are as equal as can be and never of one image, which batch normalisation cannot take: a short
batch has fewer of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ltlib.errors import SettingError
from ltlib.models import Network


@contextlib.contextmanager
def in_parts(network: Network, parts: int) -> Iterator[None]:
    """While the block runs, the network's backbone takes a batch in so many parts.

    Args:
        network: Its backbone's `passes` are shadowed and freed again; gradients may be computed after the block.
        parts: At least 1, which changes nothing.
    """
    if parts == 1:
        yield
        return
    backbone = network.backbone
    for name in backbone.passes:
        setattr(backbone, name, partial(_parted, backbone, getattr(backbone, name), parts))
    try:
        yield
    finally:
        for name in backbone.passes:
            delattr(backbone, name)


def sizes(images: int, parts: int) -> list[int]:
    """Images of each part: as equal as can be, and at least two where there are two."""
    number = max(1, min(parts, images // 2))
    return [images // number + (i < images % number) for i in range(number)]


def _parted(backbone: nn.Module, whole: Callable[..., Tensor], parts: int, images: Tensor, *more: object) -> Tensor:
    """`whole` of each part of the images, put together."""
    from torch.utils.checkpoint import checkpoint

    found = []
    for part in images.split(sizes(len(images), parts)):
        found.append(
            checkpoint(
                whole,
                part,
                *more,
                use_reentrant=False,
                preserve_rng_state=False,  # nothing is drawn, and the generator's state cannot be read in a recording
                context_fn=lambda: (contextlib.nullcontext(), _StatisticsKept(backbone)),
            )
        )
        torch.clear_autocast_cache()  # the parts' gradients are then added in float32, not in a shared bf16 weight
    return torch.cat(found)


class _StatisticsKept:
    """While a block runs, batch normalisation in training mode moves no running statistics.

    Its momentum is 0 and it counts no batch. That it does not track them at all would keep other tensors for the
    gradient, which checkpointing refuses.
    """

    def __init__(self, module: nn.Module):
        self.norms = [norm for norm in module.modules() if isinstance(norm, _BatchNorm) and norm.training]
        self.kept: list[tuple[float | None, Tensor | None]] = []

    def __enter__(self) -> None:
        self.kept = [(norm.momentum, norm.num_batches_tracked) for norm in self.norms]
        for norm in self.norms:
            norm.momentum, norm.num_batches_tracked = 0.0, None

    def __exit__(self, *error: object) -> None:
        for norm, (momentum, count) in zip(self.norms, self.kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def draws_numbers(module: nn.Module) -> bool:
    """Whether this module by itself draws random numbers in training mode: dropout and stochastic depth of any kind."""
    name = type(module).__name__.lower()
    return ("drop" in name or "stochasticdepth" in name) and bool(
        getattr(module, "p", None) or getattr(module, "drop_prob", None)
    )


def check_parts(network: nn.Module, parts: int) -> None:
    """Refuse a network whose parts cannot be computed twice alike.

    Raises:
        SettingError: More than one part, and a module of the network draws random numbers.
    """
    drawing = next((type(module).__name__ for module in network.modules() if draws_numbers(module)), None)
    if parts > 1 and drawing is not None:
        raise SettingError(
            f"recipe setting batch_parts={parts} computes each part of a batch twice, and {drawing} of this network "
            "would draw other random numbers the second time; set its probability to 0, or batch_parts to 1"
        )
