"""Losses that shift or scale the logits by the training prior: balanced softmax, logit adjustment, vector scaling.

z_c are the logits, n_c the training images of class c, N their sum, ``pi_c = n_c / N``:

- ``balanced_softmax``: ``CE(z + log n, y)`` (Ren et al. 2020, arXiv 2007.10740; ``awabs`` section 2.2.4).
- ``logit_adjustment``: ``CE(z + tau log pi, y)`` (Menon et al. 2021, arXiv 2007.07314). With ``inverse`` also
  ``- inverse log pi'``, pi' the shares of the classes dealt out in the opposite order of their sizes: what is learnt is
  then made for a test set with a long tail the other way round (Zhang et al. 2022; SADE's third expert).
- ``vs``: ``CE(z / Delta + tau log pi, y)``, ``Delta_c = (n_max / n_c)^gamma`` (Kini et al. 2021, arXiv 2103.01550).

At test time z is used as it is, for a balanced test set.

Where others differ:

- n and pi differ by one number for all classes, which softmax ignores: balanced softmax is logit adjustment with tau 1.
- Kini et al. write ``Delta_c z_c + iota_c`` with multiplicative Delta; their code divides by ``(n_max / n_c)^gamma``,
  which is the same thing. Defaults are the code's, gamma 0.3 and tau 1. Their weights omega_c are not built.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.losses.base import Loss, checked_counts, checked_number, working_precision
from ltlib.losses.weights import log_prior


class BalancedSoftmax(Loss):
    """Balanced softmax, ``-log(n_y exp(z_y) / sum_k n_k exp(z_k))``.

    Args:
        class_counts: Training images per class.

    Raises:
        SettingError: A class without images.
    """

    shift: Tensor

    def __init__(self, class_counts: Sequence[int]):
        super().__init__()
        self.set_constant("shift", torch.tensor(checked_counts(class_counts), dtype=torch.float64).log())

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = working_precision(logits)
        return F.cross_entropy(logits + self.constant("shift", logits), targets, reduction="none")


class LogitAdjustment(Loss):
    """Logit-adjusted cross-entropy, ``CE(z + tau log pi, y)``.

    Args:
        class_counts: Training images per class.
        tau: Strength, >= 0; at 0 this is cross-entropy.
        inverse: Of the shift the other way, >= 0: ``CE(z + tau log pi - inverse log pi', y)``.

    Raises:
        SettingError: A strength is negative, or a class has no images.
    """

    shift: Tensor

    def __init__(self, class_counts: Sequence[int], *, tau: float = 1.0, inverse: float = 0.0):
        super().__init__()
        self.tau = checked_number("tau of logit_adjustment", tau)
        self.inverse = checked_number("inverse of logit_adjustment", inverse)
        prior = log_prior(class_counts)
        turned = torch.empty_like(prior)
        order = prior.argsort(stable=True)
        turned[order] = prior[order.flip(0)]
        self.set_constant("shift", self.tau * prior - self.inverse * turned)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = working_precision(logits)
        return F.cross_entropy(logits + self.constant("shift", logits), targets, reduction="none")

    def soft(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits = working_precision(logits)
        return F.cross_entropy(logits + self.constant("shift", logits), labels.to(logits.dtype))


class VectorScaling(Loss):
    """Vector-scaling loss, ``CE(z / Delta + tau log pi, y)`` with ``Delta_c = (n_max / n_c)^gamma``.

    Args:
        class_counts: Training images per class.
        gamma: Exponent of the factors, >= 0; at 0 this is `LogitAdjustment`. 0.3 is the code's default argument, which
            divides the rarest class's logits by 4 on CIFAR-100 at 100; DDC's code has 0.05 there.
        tau: Strength of the shift, >= 0.

    Raises:
        SettingError: gamma or tau negative, or a class without images.
    """

    delta: Tensor
    shift: Tensor

    def __init__(self, class_counts: Sequence[int], *, gamma: float = 0.3, tau: float = 1.0):
        super().__init__()
        self.gamma, self.tau = checked_number("gamma of vs", gamma), checked_number("tau of vs", tau)
        counts = torch.tensor(checked_counts(class_counts), dtype=torch.float64)
        self.set_constant("delta", (counts.max() / counts) ** self.gamma)
        self.set_constant("shift", self.tau * log_prior(class_counts))

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = working_precision(logits)
        scaled = logits / self.constant("delta", logits) + self.constant("shift", logits)
        return F.cross_entropy(scaled, targets, reduction="none")
