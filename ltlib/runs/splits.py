"""What a run scores on the test sets of `architectures`: a balanced and a long-tailed one, and the latter's groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from ltlib import losses, metrics
from ltlib.experiment import Experiment
from ltlib.metrics import Metrics
from ltlib.training import evaluation

if TYPE_CHECKING:
    from ltlib.runs.result import Predictions


def scores(experiment: Experiment, said: Predictions, class_counts: Sequence[int]) -> dict[str, Metrics]:
    """Metrics of each of `metrics.evaluation_splits`, over the split's own images.

    Args:
        experiment: Says which loss the last stage had.
        said: Of the test images; without logits there is no loss.
        class_counts: Training images per class.

    Returns:
        By split: what `metrics.restricted` gives, and ``loss``: the method's own, reduced over the split as over a
        batch in training, so that one whose class weights divide by their sum does so here too. None where the split is
        empty or the method ends without a loss.
    """
    counts = list(class_counts)
    splits, found = metrics.evaluation_splits(said.targets, counts), {}
    for name, index in splits.items():
        found[name] = metrics.restricted(said.targets, said.predicted, len(counts), index)
    resolved = experiment.resolve()
    spec = resolved.stages[-1].loss
    if spec is None or said.logits is None:
        return {name: values | {"loss": None} for name, values in found.items()}
    loss = losses.create(spec, counts)
    epochs = resolved.epochs(len(resolved.stages) - 1)
    loss.set_epoch(epochs, epochs)
    logits, targets = loss.restore(torch.as_tensor(said.logits)), torch.as_tensor(said.targets)
    each = evaluation.each_loss(loss, logits, targets)
    for name, index in splits.items():
        own = torch.as_tensor(index)
        found[name]["loss"] = float(loss.reduce(each[own], targets[own])) if len(index) else None
    return found
