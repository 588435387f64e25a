"""One-vs-all losses: binary cross-entropy, Cui's focal loss, and binary cross-entropy on softmax outputs.

z_k are the logits, y is the class, ``s_k = z_k`` for k = y and ``-z_k`` else, ``q_k = sigmoid(s_k)``:

- ``bce``: ``l = -sum_k a_k log q_k`` with ``a_y = alpha`` and 1 else (``awabs`` section 2.2.1: L_BCE for alpha = 1,
  L_WCE else).
- ``focal_sigmoid``: ``l = -sum_k (1 - q_k)^gamma log q_k`` (Lin et al. 2017, arXiv 1708.02002, Eq. 5 on each output;
  Cui et al. 2019, ``src/cifar_main.py``).
- `SoftmaxBinary`: ``l = -(log p_y + sum_{k != y} log(1 - p_k)) / K`` with ``p = softmax(z)``: what the ports after
  vandit15's call class-balanced softmax loss (LTR-weight-balancing, ``class_balanced_loss.py``). Base of
  ``class_balanced`` only.

Where others differ:

- Over the classes Cui's code sums (it divides by the number of positives, which is the batch size); torch's
  ``BCEWithLogitsLoss`` and timm take the mean, K times less. Default: the sum; ``classes=mean`` is the other.
- ``awabs`` says that alpha > 1 penalises false positives. Its formula, and this code, penalise false negatives.
- ``awabs`` prints the gradient of focal loss with (p_t - 1)^gamma; it is (1 - p_t)^gamma, which is what autograd finds.
- Cui starts the classifier's bias at -log(K - 1) and keeps weight decay off it. That is the network's and the
  optimizer's business and is not done here.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.losses.base import Loss, checked_choice, checked_number, class_mask, working_precision

CLASSES = ("sum", "mean")


class BinaryCrossEntropy(Loss):
    """Binary cross-entropy on each logit, ``-alpha log sigmoid(z_y) - sum_{k != y} log sigmoid(-z_k)``.

    Args:
        class_counts: Not used.
        alpha: Weight of the true class's term, above 0; 1 is plain binary cross-entropy.
        classes: ``sum`` or ``mean`` over the K terms.

    Raises:
        SettingError: alpha not positive, or an unknown word.
    """

    def __init__(self, class_counts: Sequence[int] | None = None, *, alpha: float = 1.0, classes: str = "sum"):
        super().__init__()
        self.alpha = checked_number("alpha of bce", alpha, open_end=True)
        self.classes = checked_choice("classes of bce", classes, CLASSES)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = working_precision(logits)
        true = class_mask(targets, logits.shape[1])
        # logsigmoid, not softplus: torch's softplus is the identity above 20
        terms = torch.where(true, -self.alpha * F.logsigmoid(logits), -F.logsigmoid(-logits))
        return terms.sum(1) if self.classes == "sum" else terms.mean(1)


class FocalSigmoid(Loss):
    """Focal loss on each logit's sigmoid, summed over the classes.

    Args:
        class_counts: Not used.
        gamma: Focusing exponent, >= 0; at 0 this is `BinaryCrossEntropy`.
        classes: ``sum`` or ``mean`` over the K terms.

    Raises:
        SettingError: gamma negative, or an unknown word.
    """

    def __init__(self, class_counts: Sequence[int] | None = None, *, gamma: float = 2.0, classes: str = "sum"):
        super().__init__()
        self.gamma = checked_number("gamma of focal_sigmoid", gamma)
        self.classes = checked_choice("classes of focal_sigmoid", classes, CLASSES)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = working_precision(logits)
        signed = torch.where(class_mask(targets, logits.shape[1]), logits, -logits)
        terms = torch.exp(self.gamma * F.logsigmoid(-signed)) * -F.logsigmoid(signed)
        return terms.sum(1) if self.classes == "sum" else terms.mean(1)


class SoftmaxBinary(Loss):
    """Binary cross-entropy between softmax outputs and one-hot targets, the mean over the classes.

    torch's ``binary_cross_entropy`` cuts each logarithm at -100; nothing is cut here.
    """

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = working_precision(logits)
        log_p = logits.log_softmax(1)
        # 1 - p has digits left wherever p is at most a half; the largest one's is the sum of the others'
        largest = class_mask(logits.argmax(1), logits.shape[1])
        others = log_p.masked_fill(largest, -torch.inf).logsumexp(1, keepdim=True)
        log_not = torch.where(largest, others, torch.log1p(-log_p.masked_fill(largest, -torch.inf).exp()))
        return -torch.where(class_mask(targets, logits.shape[1]), log_p, log_not).mean(1)
