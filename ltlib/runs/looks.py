"""What more looks at a test image, or several networks, make of the same trainings: a column apart, never the headline.

A prediction is the mean of probabilities: over an image and its mirror image, or, where a set must not be mirrored,
over five places of the image (as it is, and moved by a pixel up, down, left and right, its edge repeated); or over the
networks of several seeds (Lakshminarayanan et al. 2017). A paper that counts such looks in prints another number.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib import calibration, datasets, places, sealed
from ltlib.errors import LtlibError, RunError

if TYPE_CHECKING:
    from ltlib.models import Network
    from ltlib.runs import Run


class Looks(nn.Module):
    """Mean probabilities [N, K] of several looks at images [N, 3, H, W].

    Args:
        network: Gives logits.
        mirrored: Whether an image may be mirrored; else it is moved.
    """

    def __init__(self, network: nn.Module, mirrored: bool):
        super().__init__()
        self.network, self.mirrored = network, mirrored

    def forward(self, images: Tensor) -> Tensor:
        if self.mirrored:
            seen = [images, images.flip(3)]
        else:
            wide, (height, width) = F.pad(images, (1, 1, 1, 1), mode="replicate"), images.shape[2:]
            corners = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
            seen = [wide[:, :, top : top + height, left : left + width] for top, left in corners]
        return torch.stack([self.network(one).float().softmax(1) for one in seen]).mean(0)


def accuracy(runs: Sequence[Run]) -> float:
    """Mean accuracy of the last epoch's networks with more looks; NaN where the weights or the images are not here."""
    try:
        return float(np.mean([(_probabilities(run).argmax(1) == _targets(run)).mean() for run in runs]))
    except LtlibError:
        return math.nan


def ensemble(runs: Sequence[Run]) -> float:
    """Accuracy of the runs' mean probabilities after the last epoch, one look each; NaN for one, or without logits."""
    logits = [run.predictions["last"].logits for run in runs]
    targets = _targets(runs[0])
    if len(runs) < 2 or any(one is None for one in logits) or any((_targets(run) != targets).any() for run in runs):
        return math.nan
    mean = np.mean([calibration.probabilities(one) for one in logits if one is not None], axis=0)
    return float((mean.argmax(1) == targets).mean())


def _targets(run: Run) -> np.ndarray:
    return run.predictions["last"].targets


def _probabilities(run: Run) -> np.ndarray:
    """Of every test image, float32 [N, K]; kept.

    Raises:
        RunError: Only the record of the run is here, which has no weights.
        DataError: The images are not here.
    """
    place = places.reports_folder() / "cache" / "looks" / f"{run.id}.npz"
    with contextlib.suppress(RunError, KeyError):  # a damaged cache is made again
        return sealed.read_arrays(place)["probabilities"]
    from ltlib import runs
    from ltlib.runs import store
    from ltlib.training import accelerator, evaluation, residents

    other = store.other_images(run)
    if other is not None:
        raise RunError(other)
    network = Looks(run.network("last"), datasets.info(run.experiment.dataset).flips)
    data, target = runs.load_data(run.experiment), accelerator.device()
    resolved = run.experiment.resolve()
    with accelerator.fixed_threads(target):
        images = residents.resident(data.test, data, resolved, target)
        found = evaluation.predict(cast("Network", network.to(target)), images, resolved.precision).cpu().numpy()
    sealed.write_arrays(place, probabilities=found)
    return found
