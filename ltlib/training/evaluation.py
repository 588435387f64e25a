"""A network looked at without learning: logits, losses, accuracy and calibration error of whole image sets."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from ltlib.batches.draws import generator
from ltlib.batches.resident import Resident
from ltlib.losses import Loss
from ltlib.models import Network
from ltlib.training.meters import PACKED, Meter, read
from ltlib.training.objectives import Contrastive, Objective
from ltlib.training.outcome import Evaluation
from ltlib.training.steps import autocast

BATCH = {"cpu": 125, "cuda": 2000}
"""Images of an evaluation step. On a CPU a small batch stays in its caches: 3,300 images/s against 1,900 with 1,000
(ResNet-8, 32x32, one thread). Of enlarged images fewer, see `at_once`."""
MEASURED, FEWEST = 32, 4
"""The side in pixels that `BATCH` is for, and the fewest images of a step: EfficientNet-Lite0 at 224x224 takes 24
images a second of one thread's time with 4, 22 with 8, 19 with 16 and 13 with 32."""

Predict = Callable[[Network, Resident, str, list[Tensor] | None], Tensor]
"""What `predict` does; its result is the caller's own."""


@torch.no_grad()
def predict(
    network: Network, images: Resident, precision: str = "float32", projections: list[Tensor] | None = None
) -> Tensor:
    """Logits of every image in order, float32 [N, K] on the network's device; the network is put in evaluation mode.

    A list that is given gets the projections too, in pieces of shape [n, P].
    """
    network.eval()
    logits = []
    for index in batches(images):
        found, projection = outputs(network, images, index, precision, projections is not None)
        logits.append(found)
        if projections is not None:
            assert projection is not None
            projections.append(projection)
    return torch.cat(logits)


def outputs(
    network: Network, images: Resident, index: Tensor, precision: str, projected: bool
) -> tuple[Tensor, Tensor | None]:
    """Logits [B, K] of these images in float32, and where asked for their projections [B, P]."""
    with autocast(precision, images.targets.device):
        if not projected:
            return network(images.batch(index)).float(), None
        features, projection = network.embed(images.batch(index))
        assert projection is not None
        return network.classify(features, projection).float(), projection.float()


@torch.no_grad()
def features(network: Network, images: Resident, precision: str = "float32") -> Tensor:
    """The backbone's features of every image in order, float32 [N, D]; the network is put in evaluation mode."""
    network.eval()
    found = []
    for index in batches(images):
        with autocast(precision, images.targets.device):
            found.append(network.features(images.batch(index)).float())
    return torch.cat(found)


def batch_size(device: torch.device, resize: int) -> int:
    """Images of an evaluation step there, enlarged to that side, or not where it is 0."""
    return at_once(BATCH.get(device.type, 500), resize)


def at_once(count: int, resize: int) -> int:
    """How many images to look at together where `count` of 32x32 pixels would be.

    As many of those that are enlarged as take the same room, though not below `FEWEST`: memory for activations grows
    with the area. Others are as many whatever their size.
    """
    return count if not resize else min(count, max(FEWEST, count * MEASURED**2 // resize**2))


def evaluate(
    network: Network,
    objective: Objective,
    sets: Mapping[str, Resident],
    precision: str,
    whole: int | None = None,
    predicted: Predict | None = None,
) -> Evaluation:
    """Loss, accuracy and ECE of each set as history columns, and the logits of ``test``; one transfer to the host.

    The loss is the stage's classification loss (for ``supcon_ce`` its cross-entropy, without its weight). A stage that
    classifies nothing evaluates nothing.

    Args:
        network: Put in evaluation mode.
        objective: The stage's.
        sets: The images, by name.
        precision: ``float32`` or ``bf16``.
        whole: Images of a batch in which a contrastive objective is measured too, as a column ``..._objective``: the
            mean over the images of what it is for a batch of equal views. Which images meet in a batch is drawn once
            for all epochs, as in the author's code of ``convergent``, which shuffles the test set when it is made.
        predicted: Gives the logits, `predict` by default.
    """
    if objective.loss is None:
        return Evaluation({})
    test = None
    numbers: list[Tensor] = []
    for name, images in sets.items():
        projections: list[Tensor] | None = None if whole is None else []
        raw = (predicted or predict)(network, images, precision, projections)
        logits = objective.loss.adjust(raw)
        meter = Meter(logits.device)
        with torch.no_grad():
            meter.update(each_loss(objective.loss, raw, images.targets), logits, images.targets)
        numbers.append(meter.packed())
        if projections is not None and whole is not None:
            numbers.append(_whole(objective, torch.cat(projections), raw, images.targets, whole).view(1))
        test = logits if name == "test" else test
    if test is not None:
        numbers.append(test.isfinite().all().view(1))
    return _read(torch.cat(numbers).cpu(), sets, whole is not None, test)


def _read(values: Tensor, sets: Iterable[str], objectives: bool, test: Tensor | None) -> Evaluation:
    """The columns, from the sums of each set and its objective, one after the other, and whether `test` is finite."""
    columns: dict[str, float] = {}
    for name in sets:
        columns |= {f"{name}_{key}": value for key, value in read(values[:PACKED]).items()}
        values = values[PACKED:]
        if objectives:
            columns[f"{name}_objective"] = float(values[0])
            values = values[1:]
    return Evaluation(columns, test, test is None or bool(values[0]))


def held_out(
    network: Network,
    objective: Objective,
    images: Resident | None,
    precision: str,
    selected: Mapping[str, Tensor] | None,
) -> dict[str, Tensor]:
    """What post-hoc methods are fitted on: logits [M, K] of the held-out images with the last weights, and with the
    selected ones where those are others, and the images' classes. Empty without such images or a classification.
    """
    if objective.loss is None or images is None:
        return {}
    found = {"targets": images.targets, "last": objective.loss.adjust(predict(network, images, precision))}
    if selected is not None:
        chosen = copy.deepcopy(network)
        chosen.load_state_dict(selected)
        found["selected"] = objective.loss.adjust(predict(chosen, images, precision))
    return found


def batches(images: Resident) -> tuple[Tensor, ...]:
    """Numbers of all images in order, in evaluation batches; where the images are."""
    place = images.targets.device
    index = torch.arange(len(images), device="cpu" if images.streaming else place)
    return index.split(batch_size(place, images.resize))


@torch.no_grad()
def _whole(objective: Objective, projections: Tensor, outputs: Tensor, targets: Tensor, size: int) -> Tensor:
    """Mean over the images of a contrastive objective of equal views, in drawn batches of `size`; a scalar."""
    assert isinstance(objective, Contrastive)
    order = torch.randperm(len(targets), generator=generator(0, "evaluation")).to(targets.device)
    parts = [objective.at_rest(projections[i], outputs[i], targets[i]) * len(i) for i in order.split(size)]
    return torch.stack(parts).sum() / len(targets)


def each_loss(loss: Loss, logits: Tensor, targets: Tensor) -> Tensor:
    """Each image's loss; a loss with noise gets the same numbers at every evaluation."""
    if not loss.noise:
        return loss.per_sample(logits, targets)
    noise = torch.rand(logits.shape, generator=generator(0, "evaluation")).to(logits.device)
    return loss.per_sample(logits, targets, noise)  # type: ignore[call-arg]
