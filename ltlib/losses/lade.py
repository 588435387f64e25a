"""LADE: cross-entropy with the training prior, and a term that pulls each logit to the log-density ratio of its class.

Hong et al. 2021, "Disentangling Label Distribution for Long-tailed Visual Recognition", arXiv 2012.00321; ``awabs``
section 2.2.5. z are the logits of B images, y their classes, ``pi_c = n_c / N`` the training prior, B_c the images of
class c:

``L = mean_i CE(z_i + log pi, y_i) + alpha sum_c pi_c R_c``

``R_c = -(mean over i in B_c of z_ic) + D_c + lambda D_c^2``, ``D_c = log( (1/B) sum_i v_ic exp(z_ic) )``

``z_ic - D_c`` is the Donsker-Varadhan bound; the square keeps it from drifting. At test time the prior of the test set
is put in: `LADE.adjust` gives ``z + log pi_test``, which for a balanced test set is z but for a constant.

Where others differ:

- v turns a long-tailed batch into a balanced one (``importance``). The paper weighs the image by its own class,
  ``v_ic = (1/K) / pi_{y_i}``: ``importance=sample``. The reference code subtracts ``log pi_c`` of the logit's class,
  ``v_ic = (1/K) / pi_c``: ``importance=class``, which only moves D_c by a constant, so that of R_c's gradient only the
  square notices. The published results are the code's; it is the default.
- A class that is not in the batch has no mean; its first term is 0, its D_c stays, as in the code.
- The code adds 1e-9 to priors and 1e-8 to counts; not needed here.
- ``awabs`` gives alpha but not R; alpha 0.1 and lambda 0.01 are the code's for CIFAR-100-LT at imbalance 100.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.errors import SettingError
from ltlib.losses.base import Loss, checked_choice, checked_counts, checked_number, class_mask, working_precision
from ltlib.losses.weights import log_prior

TestPrior = str | Sequence[float]


class LADE(Loss):
    """LADE: prior cross-entropy plus the regularised Donsker-Varadhan term.

    Args:
        class_counts: Training images per class.
        alpha: Weight of the term, >= 0; at 0 this is logit adjustment with tau 1.
        regularisation: lambda >= 0, weight of the square.
        importance: ``class`` or ``sample``, see the module.
        test_prior: For `adjust`: ``uniform``, ``training``, or each class's share (made to sum to 1).

    Raises:
        SettingError: A negative number, an unknown word, a test prior of another length or with a share that is not
            positive, a class without images.
    """

    log_pi: Tensor
    pi: Tensor
    log_test: Tensor

    mixable = False  # its second term is an estimate over the batch's own labels

    def __init__(
        self,
        class_counts: Sequence[int],
        *,
        alpha: float = 0.1,
        regularisation: float = 0.01,
        importance: str = "class",
        test_prior: TestPrior = "uniform",
    ):
        super().__init__()
        self.alpha = checked_number("alpha of lade", alpha)
        self.regularisation = checked_number("regularisation of lade", regularisation)
        self.importance = checked_choice("importance of lade", importance, ("class", "sample"))
        self.set_constant("log_pi", log_prior(class_counts))
        self.set_constant("pi", self._exact["log_pi"].exp())
        self.set_constant("log_test", _log_test_prior(test_prior, class_counts))

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Each sample's cross-entropy plus the batch's term, [B]: their mean is L. It depends on the whole batch."""
        logits = working_precision(logits)
        losses = F.cross_entropy(logits + self.constant("log_pi", logits), targets, reduction="none")
        return losses + self.alpha * self._term(logits, targets)

    def adjust(self, logits: Tensor) -> Tensor:
        """``z + log pi_test``; nothing to do for a balanced test set."""
        logits = working_precision(logits)
        return logits + self.constant("log_test", logits)

    def restore(self, adjusted: Tensor) -> Tensor:
        adjusted = working_precision(adjusted)
        return adjusted - self.constant("log_test", adjusted)

    def _term(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``sum_c pi_c R_c``, a scalar."""
        batch, classes = logits.shape
        own = class_mask(targets, classes)
        mean = torch.where(own, logits, 0).sum(0) / own.sum(0).clamp(min=1)
        log_pi = self.constant("log_pi", logits)
        log_v = -math.log(classes) - (log_pi if self.importance == "class" else log_pi.gather(0, targets).unsqueeze(1))
        d = (logits + log_v).logsumexp(0) - math.log(batch)
        return (self.constant("pi", logits) * (-mean + d + self.regularisation * d.square())).sum()


def _log_test_prior(test_prior: TestPrior, class_counts: Sequence[int]) -> Tensor:
    """log pi_test up to a constant, float64 [K]: zeros for a balanced test set."""
    counts = checked_counts(class_counts)
    if test_prior == "uniform":
        return torch.zeros(len(counts), dtype=torch.float64)
    if test_prior == "training":
        return log_prior(counts)
    if isinstance(test_prior, str) or not isinstance(test_prior, Sequence) or len(test_prior) != len(counts):
        raise SettingError(
            f"test_prior of lade must be uniform, training or {len(counts)} shares, one per class, not {test_prior!r}"
        )
    shares = [checked_number(f"test_prior of lade for class {i}", s, open_end=True) for i, s in enumerate(test_prior)]
    prior = torch.tensor(shares, dtype=torch.float64)
    return (prior / prior.sum()).log()
