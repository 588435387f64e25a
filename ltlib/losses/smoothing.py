"""Smoothed labels: the same for every class, by class size, and with balanced softmax (AWABS).

z are the logits, y is the class of n_y training images, K the number of classes, eps_y its smoothing factor:

``l(z, y) = -sum_k s_k log p_k``, ``s_y = 1 - eps_y``, ``s_k = eps_y / (K - 1)`` for k != y

- ``label_smoothing``: p = softmax(z), one eps for all (Szegedy et al. 2016, arXiv 1512.00567, section 7).
- ``label_aware_smoothing``: p = softmax(z), eps_y = f(n_y) (Zhong et al. 2021, MiSLAS, arXiv 2104.00466, section 3).
- ``awabs``: p = softmax(z + log n), eps_y = f(n_y) (``awabs`` Eqs. 3.1-3.3 and 3.11-3.13).

With ``r = (n_y - n_min) / (n_max - n_min)``, eps_head of the largest class and eps_tail of the smallest:

- ``concave``: ``f = eps_tail + (eps_head - eps_tail) sin(r pi / 2)``
- ``linear``: ``f = eps_tail + (eps_head - eps_tail) r``
- ``convex``: ``f = eps_head + (eps_head - eps_tail) sin(3 pi / 2 + r pi / 2)``

and 0 <= eps_tail <= eps_head <= 0.5 (``awabs`` section 4.4). If all classes are equally large r is 0 / 0; it is taken
as 1, every class being the largest.

Where others differ, and what ``spread`` says:

- ``others``: eps over the K - 1 other classes, as above: ``awabs`` Eq. 3.2 and the MiSLAS paper. Default of ``awabs``
  and of ``label_aware_smoothing``.
- ``all``: eps / K on every class, so ``s_y = 1 - eps + eps / K``: the MiSLAS code, Szegedy et al. and torch. Default of
  ``label_smoothing``. An eps of ``all`` is one of eps (K - 1) / K of ``others``.
- ``prior``, for ``awabs`` alone and from no source: eps over the other classes by their counts, ``s_k = eps_y n_k /
  (N - n_y)`` with N images in all. Then the loss is smallest where the other classes' logits are all alike, as Eq. 3.4
  has them, and softmax(z) gives them equal probabilities at test time; with ``others`` it is smallest where they differ
  by log n_k, so that the rarest class gets nearly all of eps.
- Which form ``awabs`` used is not stated; MiSLAS uses the concave one, the default. Its epsilons are not stated either;
  `mislas_epsilons` has MiSLAS's.
- The optimum that ``awabs`` Eq. 3.4 gives has K for K - 1 and leaves out the other classes' counts; the loss is
  unaffected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ltlib.errors import SettingError
from ltlib.losses.base import Loss, checked_choice, checked_counts, checked_share, working_precision

FORMS = ("concave", "linear", "convex")
ENDS = ("head", "tail")
SPREADS = ("others", "all")
AWABS_SPREADS = (*SPREADS, "prior")
_MISLAS = {
    10: {10: (0.1, 0.0), 50: (0.2, 0.0), 100: (0.3, 0.0)},
    100: {10: (0.2, 0.0), 50: (0.3, 0.0), 100: (0.4, 0.1)},
}


def mislas_epsilons(num_classes: int, imbalance_factor: float) -> tuple[float, float]:
    """eps_head and eps_tail of MiSLAS's configuration files for CIFAR-10-LT and CIFAR-100-LT.

    A factor between or beyond those of the files (10, 50, 100) takes the nearest on a logarithmic scale, and another
    number of classes the nearer of 10 and 100: our choice, needed for imbalance 200.
    """
    classes = min(_MISLAS, key=lambda k: abs(math.log(num_classes / k)))
    table = _MISLAS[classes]
    return table[min(table, key=lambda factor: abs(math.log(imbalance_factor / factor)))]


def smoothing_factors(
    class_counts: Sequence[int],
    form: str = "concave",
    *,
    epsilon_head: float,
    epsilon_tail: float,
    smoothed: str = "head",
) -> Tensor:
    """eps_c of each class, float64 [K].

    With ``smoothed="tail"`` the two ends change places: r is 1 for the smallest class and 0 for the largest.

    Raises:
        SettingError: An unknown form, epsilons above 0.5 or out of order, a class without images.
    """
    checked_choice("form", form, FORMS)
    checked_choice("smoothed", smoothed, ENDS)
    head = checked_share("epsilon_head", epsilon_head, most=0.5)
    tail = checked_share("epsilon_tail", epsilon_tail, most=0.5)
    if tail > head:
        raise SettingError(f"epsilon_tail must not exceed epsilon_head: {tail:g} is above {head:g}")
    counts = torch.tensor(checked_counts(class_counts), dtype=torch.float64)
    span = counts.max() - counts.min()
    r = (counts - counts.min()) / span if span > 0 else torch.ones_like(counts)
    r = r if smoothed == "head" else 1 - r
    if form == "concave":
        return tail + (head - tail) * torch.sin(r * math.pi / 2)
    if form == "linear":
        return tail + (head - tail) * r
    return head + (head - tail) * torch.sin((3 + r) * math.pi / 2)


class LabelSmoothing(Loss):
    """Label smoothing: the true class has 1 - eps of the label, the rest is spread evenly.

    Args:
        class_counts: Not used.
        epsilon: eps, 0 to 0.5; at 0 this is cross-entropy.
        spread: ``all`` or ``others``, over which classes.

    Raises:
        SettingError: eps outside its range, or an unknown word.
    """

    def __init__(self, class_counts: Sequence[int] | None = None, *, epsilon: float = 0.1, spread: str = "all"):
        super().__init__()
        self.epsilon = checked_share("epsilon of label_smoothing", epsilon, most=0.5)
        self.spread = checked_choice("spread", spread, SPREADS)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        return smoothed_cross_entropy(working_precision(logits), targets, self.epsilon, self.spread)


class LabelAwareSmoothing(Loss):
    """Label-aware smoothing: the larger a class, the more its labels are smoothed.

    Args:
        class_counts: Training images per class.
        form: How eps grows with the class: ``concave``, ``linear`` or ``convex``.
        epsilon_head: eps of the largest class, at most 0.5.
        epsilon_tail: eps of the smallest class, from 0 to `epsilon_head`.
        spread: ``others`` or ``all``, over which classes.
        smoothed: ``head``, or ``tail`` for the two epsilons exchanged, which no source has: a reading to be tried.

    Raises:
        SettingError: Epsilons above 0.5 or out of order, an unknown word, a class without images.
    """

    spreads: ClassVar[tuple[str, ...]] = SPREADS
    epsilons: Tensor

    def __init__(
        self,
        class_counts: Sequence[int],
        *,
        form: str = "concave",
        epsilon_head: float = 0.3,
        epsilon_tail: float = 0.0,
        spread: str = "others",
        smoothed: str = "head",
    ):
        super().__init__()
        self.spread = checked_choice("spread", spread, self.spreads)
        factors = smoothing_factors(
            class_counts, form, epsilon_head=epsilon_head, epsilon_tail=epsilon_tail, smoothed=smoothed
        )
        self.set_constant("epsilons", factors)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = working_precision(logits)
        epsilon = self.constant("epsilons", logits).gather(0, targets)
        return smoothed_cross_entropy(logits, targets, epsilon, self.spread)


class AWABS(LabelAwareSmoothing):
    """Balanced softmax under label-aware smoothing (adaptive weight adjustment with balanced softmax).

    Arguments and errors as in `LabelAwareSmoothing`; `spread` may be ``prior`` too.
    """

    spreads: ClassVar[tuple[str, ...]] = AWABS_SPREADS
    shift: Tensor
    prior: Tensor

    def __init__(
        self,
        class_counts: Sequence[int],
        *,
        form: str = "concave",
        epsilon_head: float = 0.3,
        epsilon_tail: float = 0.0,
        spread: str = "others",
        smoothed: str = "head",
    ):
        super().__init__(
            class_counts,
            form=form,
            epsilon_head=epsilon_head,
            epsilon_tail=epsilon_tail,
            spread=spread,
            smoothed=smoothed,
        )
        counts = torch.tensor(checked_counts(class_counts), dtype=torch.float64)
        self.set_constant("shift", counts.log())
        self.set_constant("prior", counts / counts.sum())

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = working_precision(logits)
        shifted = logits + self.constant("shift", logits)
        if self.spread != "prior":
            return super().per_sample(shifted, targets)
        epsilon, prior = self.constant("epsilons", logits).gather(0, targets), self.constant("prior", logits)
        minus_log = -shifted.log_softmax(1)
        true, own = minus_log.gather(1, targets.unsqueeze(1)).squeeze(1), prior.gather(0, targets)
        return (1 - epsilon) * true + epsilon * (minus_log @ prior - own * true) / (1 - own)


def smoothed_cross_entropy(logits: Tensor, targets: Tensor, epsilon: Tensor | float, spread: str) -> Tensor:
    """``-sum_k s_k log softmax(z)_k``, [B], with eps per sample, [B], or one number."""
    minus_log = -logits.log_softmax(1)
    true = minus_log.gather(1, targets.unsqueeze(1)).squeeze(1)
    if spread == "all":
        return (1 - epsilon) * true + epsilon * minus_log.mean(1)
    return (1 - epsilon) * true + epsilon * (minus_log.sum(1) - true) / max(1, logits.shape[1] - 1)
