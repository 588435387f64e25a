"""CEFL and CEFL2: cross-entropy for uncertain samples, focal loss for confident ones.

Wang et al. 2020, "Class Balanced Loss for Image Classification", IEEE Access 8 (``cefl`` section III.C). p is the
softmax probability of the true class:

- ``cefl``: ``l = -(1 - p) log p - p (1 - p)^gamma log p``
- ``cefl2``: ``l = -a log p - (1 - a) (1 - p)^gamma log p``, ``a = (1 - p)^2 / ((1 - p)^2 + p^2)``

``cefl`` is the second line with ``a = 1 - p``. With the log-odds ``d = log(p / (1 - p))`` both are
``a = sigmoid(-m d)``, m = 1 and 2, which is how they are computed.

At gamma = 0 both are cross-entropy: the document says so of CEFL; of CEFL2 it does not, but it follows from its
equation, whose weights add up to 1. The document asks for gamma > 0; 0 is allowed here.

No public code is known. The document's focal loss has its own factor alpha; these two have none. Its sentences on which
samples get the larger loss contradict each other (section III.C); the equations decide.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.losses.base import Loss, checked_number, log_odds_of_target, working_precision


class CEFL(Loss):
    """Cross-entropy weighted by 1 - p plus focal loss weighted by p.

    Args:
        class_counts: Not used.
        gamma: Focusing exponent of the focal term, >= 0; at 0 this is cross-entropy.

    Raises:
        SettingError: gamma negative.
    """

    sharpness = 1.0

    def __init__(self, class_counts: Sequence[int] | None = None, *, gamma: float = 2.0):
        super().__init__()
        self.gamma = checked_number("gamma of cefl", gamma)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_odds = log_odds_of_target(working_precision(logits), targets)
        modulator = torch.exp(self.gamma * F.logsigmoid(-log_odds))
        share = torch.sigmoid(self.sharpness * log_odds)
        return -F.logsigmoid(log_odds) * (torch.sigmoid(-self.sharpness * log_odds) + share * modulator)


class CEFL2(CEFL):
    """Cross-entropy weighted by (1 - p)^2 plus focal loss weighted by p^2, the weights scaled to sum to 1.

    Args:
        class_counts: Not used.
        gamma: Focusing exponent of the focal term, >= 0; at 0 this is cross-entropy.

    Raises:
        SettingError: gamma negative.
    """

    sharpness = 2.0
