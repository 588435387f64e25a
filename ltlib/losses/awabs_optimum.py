"""Where the AWABS loss is smallest, and what a network there predicts at test time: ``awabs`` section 3.3.

For an image of class y the loss is ``-sum_k s_k log p_k`` with ``p = softmax(z + log n)``. It is smallest where p = s,
so up to a common constant ``z_k = log(s_k / n_k)``: ``log((1 - eps) / n_y)`` for the image's class and
``log(eps / ((K - 1) n_k))`` for each other. At test time the document predicts with softmax(z), whose largest entry is
that of the largest s_k / n_k. That is the image's own class only while ``(1 - eps) / n_y > eps / ((K - 1) n_min)``.

n are the training images of each of the K classes. Logits are known up to a common constant, taken so that their mean
is 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from ltlib.losses.smoothing import AWABS


def smoothed(target: int, epsilon: float, classes: int) -> np.ndarray:
    """The label s of Eq. 3.2, float64 [K]: ``1 - epsilon`` of the target, the rest spread over the other classes."""
    label = np.full(classes, epsilon / (classes - 1))
    label[target] = 1 - epsilon
    return label


def closed_form(class_counts: Sequence[int], target: int, epsilon: float) -> np.ndarray:
    """The logits of the smallest loss, float64 [K], with mean 0; needs 0 < epsilon < 1."""
    z = np.log(smoothed(target, epsilon, len(class_counts)) / np.asarray(class_counts, dtype=np.float64))
    return z - z.mean()


def as_printed(class_counts: Sequence[int], target: int, epsilon: float) -> np.ndarray:
    """The logits of Eq. 3.4 as printed, float64 [K], with mean 0: K for K - 1, the other classes all alike.

    ``z_y - z_k = log(K (1 - eps) / (eps n_y))``.
    """
    z = np.zeros(len(class_counts))
    z[target] = math.log(len(class_counts) * (1 - epsilon) / (epsilon * class_counts[target]))
    return z - z.mean()


def loss(logits: np.ndarray, class_counts: Sequence[int], target: int, epsilon: float) -> float:
    """The AWABS loss of one image, in nats, by the loss that trains."""
    module = _loss(class_counts, epsilon)
    return float(module.per_sample(torch.from_numpy(logits)[None], torch.tensor([target])))


def descended(class_counts: Sequence[int], target: int, epsilon: float, steps: int = 2000) -> np.ndarray:
    """The logits that gradient descent on the AWABS loss ends at, float64 [K], with mean 0.

    L-BFGS from all logits 0, on the loss that trains. It is convex in the logits, so any descent ends there.
    """
    from scipy import optimize

    module = _loss(class_counts, epsilon)
    targets = torch.tensor([target])

    def value_and_gradient(logits: np.ndarray) -> tuple[float, np.ndarray]:
        z = torch.from_numpy(logits)[None].requires_grad_()
        value = module.per_sample(z, targets).sum()
        (gradient,) = torch.autograd.grad(value, z)
        return value.item(), gradient.numpy()[0]

    # scipy's: the first optimizer of torch in a process imports its compiler, for seconds
    limits = {"maxiter": steps, "maxcor": 50, "gtol": 1e-13, "ftol": 0.0}
    found = optimize.minimize(
        value_and_gradient, np.zeros(len(class_counts)), jac=True, method="L-BFGS-B", options=limits
    ).x
    return found - found.mean()


def _loss(class_counts: Sequence[int], epsilon: float) -> AWABS:
    """AWABS with one epsilon for every class, which is that of the class in question."""
    return AWABS(class_counts, epsilon_head=epsilon, epsilon_tail=epsilon)


def at_test_time(class_counts: Sequence[int], epsilons: Sequence[float]) -> dict[str, list[float]]:
    """For an image of each class, at the smallest loss: probability in training and at test of its class, and of the
    smallest class at test (NaN for that class itself), [K] each.

    Args:
        class_counts: Training images per class, the last class the smallest.
        epsilons: Smoothing factor of each class, as `ltlib.losses.smoothing.smoothing_factors` gives them.
    """
    n = np.asarray(class_counts, dtype=np.float64)
    found: dict[str, list[float]] = {"own class, training": [], "own class, test": [], "smallest class, test": []}
    for target, epsilon in enumerate(epsilons):
        p = smoothed(target, epsilon, len(n)) / n
        p /= p.sum()
        other = p[-1] if target < len(n) - 1 else math.nan
        for key, value in zip(found, (1 - epsilon, p[target], other), strict=True):
            found[key].append(float(value))
    return found


def largest_epsilon(classes: int, imbalance_factor: float) -> float:
    """The epsilon above which the optimum for the largest class predicts the smallest: ``(K - 1) / (K - 1 + IF)``."""
    return (classes - 1) / (classes - 1 + imbalance_factor)
