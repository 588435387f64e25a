"""The baseline of `bench run`: the training loop of most long-tail code, written afresh after LDAM-DRW's protocol.

Pillow images behind a `DataLoader` whose workers are started anew for each epoch, torchvision's transforms, memory in
torch's default order, `SGD` with its defaults, the loss and the accuracy of every step read on the host, and the test
images evaluated in batches of 100, each batch's predictions moved to the host (Cao et al. 2019, ``cifar_train.py``).
What that code does besides is left out in the baseline's favour: a checkpoint and log files at every epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from ltlib.bench.workload import Workload
from ltlib.datasets import LongTailed
from ltlib.errors import SettingError
from ltlib.models import Network
from ltlib.training import assembly

TEST_BATCH = 100
Note = Callable[[Tensor], Any]
"""Hears of losses, for those who compare what the loops compute."""


def train(
    work: Workload, target: torch.device, workers: int, *, order: Any = None, note: Note = lambda losses: None
) -> Network:
    """Train and evaluate as the baseline does.

    Args:
        work: What to train.
        target: Device.
        workers: Processes that prepare batches; 0 prepares them here.
        order: A sampler of a `DataLoader`; by default images are shuffled anew in each epoch.
        note: Hears of the loss of each step.
    """
    recipe, data = work.recipe(), work.data
    network = assembly.build(work.resolved, data.num_classes)
    network = network.to(memory_format=torch.contiguous_format).to(target)
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    options: dict[str, Any] = {"num_workers": workers, "pin_memory": target.type == "cuda"}
    shuffled = {"shuffle": True} if order is None else {"sampler": order}
    generator = torch.Generator().manual_seed(work.resolved.seed)
    loader = DataLoader(
        data.train.with_transform(transform(data, recipe.augmentation)),
        batch_size=recipe.batch_size,
        generator=generator,
        **shuffled,
        **options,
    )
    test = DataLoader(data.test.with_transform(transform(data, ())), batch_size=TEST_BATCH, **options)
    for epoch in range(1, work.epochs + 1):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate(epoch, recipe.epochs)
        network.train()
        for images, targets in loader:
            images, targets = images.to(target, non_blocking=True), targets.to(target, non_blocking=True)
            logits = network(images)
            loss = F.cross_entropy(logits, targets)
            _read(loss, logits, targets)
            note(loss.detach())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if work.evaluated(epoch):
            evaluate(network, test, target)
    return network


@contextmanager
def usual_settings(target: torch.device) -> Iterator[None]:
    """What training code usually has on CUDA, whatever this process has set: kernels chosen by timing, TF32
    convolutions. Nothing on a CPU; what was set comes back at the end.
    """
    if target.type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    precision, name = (cudnn.conv, "fp32_precision") if hasattr(cudnn, "conv") else (cudnn, "allow_tf32")
    usual = "tf32" if name == "fp32_precision" else True
    before = cudnn.benchmark, cudnn.deterministic, getattr(precision, name)
    cudnn.benchmark, cudnn.deterministic = True, False
    setattr(precision, name, usual)
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before[:2]
        setattr(precision, name, before[2])


def transform(data: LongTailed, augmentation: tuple[str, ...]) -> Callable[[Any], Tensor]:
    """torchvision's transforms of one Pillow image: crop with padding 4 and flip where asked for, then normalise.

    Raises:
        SettingError: An augmentation this baseline does not have.
    """
    from torchvision import transforms

    known = {
        "crop4": transforms.RandomCrop(data.image_size, padding=4),
        "flip": transforms.RandomHorizontalFlip(),
    }
    if unknown := set(augmentation) - set(known):
        raise SettingError(f"the bench's baseline has no augmentation {', '.join(sorted(unknown))}")
    steps = [known[name] for name in augmentation]
    return transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(data.mean, data.std)])


@torch.no_grad()
def evaluate(network: Network, test: DataLoader, target: torch.device) -> np.ndarray:
    """Share of each class that is predicted right, float64 [K]: NaN for a class without a test image."""
    network.eval()
    predicted, true = [], []
    for images, targets in test:
        images, targets = images.to(target, non_blocking=True), targets.to(target, non_blocking=True)
        logits = network(images)
        _read(F.cross_entropy(logits, targets), logits, targets)
        predicted.append(logits.argmax(1).cpu().numpy())
        true.append(targets.cpu().numpy())
    classes = logits.shape[1]
    answers = np.concatenate(true)
    right = answers[np.concatenate(predicted) == answers]
    with np.errstate(invalid="ignore"):
        return np.bincount(right, minlength=classes) / np.bincount(answers, minlength=classes)


def _read(loss: Tensor, logits: Tensor, targets: Tensor) -> tuple[float, float]:
    """The loss and the accuracy on the host: on a GPU, each waits for the step."""
    return loss.item(), (logits.argmax(1) == targets).float().mean().item()
