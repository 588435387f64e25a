"""Cross-entropy with a weight per class: weighted softmax and the class-balanced loss.

``l(z, y) = w_y base(z, y)``; the weights are those of `ltlib.losses.weights`.

- ``weighted_ce``: base = cross-entropy (``architectures`` Eqs. 2.4 and 2.5, "weighted softmax").
- ``class_balanced``: ``w_c = (1 - beta) / (1 - beta^n_c)`` and base = ``softmax`` cross-entropy, ``sigmoid`` binary
  cross-entropy or ``focal``, which is Cui's sigmoid focal loss (Cui et al. 2019, arXiv 1901.05555, section 4; ``awabs``
  section 2.2.3, where the method is also called CBCE).

What the batch's sum is divided by (``reduction``):

- ``batch_size``: the plain mean. Cui's code (all bases), and both equations as they stand.
- ``weight_sum``: ``sum_i w_i``, as torch's ``weight=`` does. A batch of one class is then not weighted at all, and the
  weights' common factor drops out.

``architectures`` cites torch's documentation for its weighted softmax, and the losses it prints fit ``weight_sum``:
in its Table A.4 head, middle and tail losses of weighted softmax have the size of plain softmax's, while with
``batch_size`` they would be scaled by the classes' weights, which differ a hundredfold. So that is the default of
``weighted_ce``. ``class_balanced`` follows Cui's code; ``reduction=weight_sum`` is LDAM-DRW's "Reweight".

Where others differ: ``awabs`` prints the class-balanced weights without a common factor (``normalise=none``); Cui's
text and code, LDAM-DRW and BagofTricks-LT make them sum to K, which is the default: at beta = 0.9999 and CIFAR counts
the bare weights are 1e-4 to 1e-2, and so would be the loss and its gradient. A common PyTorch port (vandit15) puts
binary cross-entropy on softmax outputs under the name softmax; here that is ``base=softmax_bce``, which the code of
weight balancing trains with.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ltlib.losses.base import Loss, checked_choice
from ltlib.losses.binary import BinaryCrossEntropy, FocalSigmoid, SoftmaxBinary
from ltlib.losses.cross_entropy import CrossEntropy
from ltlib.losses.weights import class_weights

REDUCTIONS = ("batch_size", "weight_sum")


class Weighted(Loss):
    """Base of ``w_y base(z, y)``.

    Attributes:
        weights: float32 [K].
        reduction: ``batch_size`` or ``weight_sum``.
    """

    weights: Tensor

    def __init__(self, base: Loss, weights: Tensor, reduction: str):
        super().__init__()
        self.base = base
        self.reduction = checked_choice("reduction", reduction, REDUCTIONS)
        self.set_constant("weights", weights)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        losses = self.base.per_sample(logits, targets)
        return losses * self.constant("weights", losses).gather(0, targets)

    def reduce(self, losses: Tensor, targets: Tensor) -> Tensor:
        """The sum over the batch, divided as `reduction` says."""
        if self.reduction == "batch_size":
            return losses.mean()
        return losses.sum() / self.constant("weights", losses).gather(0, targets).sum()


class WeightedCrossEntropy(Weighted):
    """Cross-entropy with a weight per class, ``-w_y log p_y``.

    Args:
        class_counts: Training images per class.
        weights: ``inverse``, ``inverse_sqrt`` or ``effective_number``.
        beta: Of ``effective_number``, 0 <= beta < 1.
        normalise: ``classes``, ``largest`` or None.
        reduction: ``weight_sum`` or ``batch_size``.
        exponent: Of ``inverse``, >= 0: ``n_c^(-exponent)``.

    Raises:
        SettingError: An unknown word, beta or exponent outside its range, a class without images.
    """

    def __init__(
        self,
        class_counts: Sequence[int],
        *,
        weights: str = "inverse",
        beta: float = 0.9999,
        normalise: str | None = "classes",
        reduction: str = "weight_sum",
        exponent: float = 1.0,
    ):
        found = class_weights(class_counts, weights, beta=beta, exponent=exponent, normalise=normalise)
        super().__init__(CrossEntropy(), found, reduction)


class ClassBalanced(Weighted):
    """Class-balanced loss: weights of one over the effective number of samples.

    Args:
        class_counts: Training images per class.
        base: ``softmax``, ``sigmoid``, ``focal`` (on sigmoids) or ``softmax_bce``.
        beta: 0 <= beta < 1; at 0 this is the base alone.
        gamma: Of ``focal``, >= 0.
        normalise: ``classes``, ``largest`` or None.
        reduction: ``batch_size`` or ``weight_sum``.

    Raises:
        SettingError: An unknown word, beta or gamma outside its range, a class without images.
    """

    def __init__(
        self,
        class_counts: Sequence[int],
        *,
        base: str = "softmax",
        beta: float = 0.9999,
        gamma: float = 1.0,
        normalise: str | None = "classes",
        reduction: str = "batch_size",
    ):
        checked_choice("base of class_balanced", base, ("softmax", "sigmoid", "focal", "softmax_bce"))
        focal = FocalSigmoid(gamma=gamma)  # made in any case: a wrong gamma is refused whatever the base
        inner = {
            "softmax": CrossEntropy(),
            "sigmoid": BinaryCrossEntropy(),
            "focal": focal,
            "softmax_bce": SoftmaxBinary(),
        }[base]
        weights = class_weights(class_counts, "effective_number", beta=beta, normalise=normalise)
        super().__init__(inner, weights, reduction)
