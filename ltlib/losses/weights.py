"""Weights per class, from the training images n_c of each class.

- ``inverse``: ``w_c = n_c^(-exponent)``, 1 / n_c by default.
- ``inverse_sqrt``: ``w_c = n_c^(-1/2)``.
- ``effective_number``: ``w_c = (1 - beta) / (1 - beta^n_c)``, one over the effective number of samples (Cui et al.
  2019, Proposition 1, arXiv 1901.05555). beta = 0 gives 1, beta -> 1 gives ``inverse``.

What multiplies all of them (``normalise``):

- ``classes``: the sum over the classes is K (Cui et al., section 4, and their code; LDAM-DRW).
- ``largest``: the largest weight is 1 (BagofTricks-LT: ``n_min / n_c``).
- ``none``: as they stand (``awabs`` section 2.2.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ltlib.losses.base import checked_choice, checked_counts, checked_number, checked_share

RULES = ("inverse", "inverse_sqrt", "effective_number")
NORMALISE = ("classes", "largest", "none")


def class_weights(
    class_counts: Sequence[int],
    rule: str = "inverse",
    *,
    beta: float = 0.9999,
    exponent: float = 1.0,
    normalise: str | None = "classes",
) -> Tensor:
    """Weights per class, float64 [K].

    Args:
        class_counts: Training images per class, each at least 1.
        rule: One of `RULES`.
        beta: Of ``effective_number``, 0 <= beta < 1.
        exponent: Of ``inverse``, >= 0.
        normalise: One of `NORMALISE`; None is ``none``.

    Raises:
        SettingError: An unknown word, beta or exponent outside its range, a class without images.

    Example:
        >>> [round(w, 3) for w in class_weights([5000, 500, 50]).tolist()]
        [0.027, 0.27, 2.703]
    """
    checked_choice("weights", rule, RULES)
    normalise = checked_choice("normalise", normalise or "none", NORMALISE)
    beta = checked_share("beta", beta, open_end=True)
    exponent = checked_number("exponent", exponent)
    counts = checked_counts(class_counts)
    if rule == "effective_number":
        # 1 - beta^n by expm1: for beta near 1 the power itself has lost the digits that matter
        numbers = [1.0 if beta == 0 else (1 - beta) / -math.expm1(n * math.log(beta)) for n in counts]
    else:
        numbers = [n ** (-exponent if rule == "inverse" else -0.5) for n in counts]
    weights = torch.tensor(numbers, dtype=torch.float64)
    if normalise == "classes":
        return weights * (len(counts) / weights.sum())
    return weights / weights.max() if normalise == "largest" else weights


def log_prior(class_counts: Sequence[int]) -> Tensor:
    """``log pi_c = log(n_c / N)``, the logarithm of each class's share of the training images, float64 [K]."""
    counts = torch.tensor(checked_counts(class_counts), dtype=torch.float64)
    return counts.log() - counts.sum().log()
