"""Batch normalisation's statistics taken anew, for weights that no step has led to.

One pass over the training images, as they are stored, in batches of the recipe's size and in an order drawn once; every
batch counts alike. `torch.optim.swa_utils.update_bn` does the same with the images that a loader gives it, augmented
ones as a rule. Parts whose statistics do not move in training keep theirs.
"""

from __future__ import annotations

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from ltlib.batches.draws import generator
from ltlib.batches.resident import Resident
from ltlib.models import Network
from ltlib.training.steps import autocast


@torch.no_grad()
def renew_statistics(network: Network, images: Resident, batch_size: int, precision: str) -> None:
    """Take the statistics of the batch normalisations that are in training mode anew, with the weights as they are.

    Args:
        network: Its statistics are replaced by the means over the batches.
        images: The training images; they are not augmented.
        batch_size: Images of a batch; a single one that is left over is left out.
        precision: ``float32`` or ``bf16``.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.training]
    if not norms:
        return
    momenta = [module.momentum for module in norms]
    order = torch.randperm(len(images.targets), generator=generator(0, "statistics")).to(images.targets.device)
    try:
        for number, index in enumerate(order.split(batch_size), start=1):
            if len(index) < 2 and number > 1:
                continue
            for module in norms:
                module.momentum = 1 / number  # the mean of all so far, without torch's look at its counter on the host
            with autocast(precision, images.targets.device):
                shown = images.batch(index)
                network.embed(shown) if network.projector is not None else network(shown)
    finally:
        for module, momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum
