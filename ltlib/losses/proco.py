"""ProCo: the contrastive loss with infinitely many samples, of a von Mises-Fisher distribution for each class.

Du et al. 2024, "Probabilistic Contrastive Learning for Long-Tailed Visual Recognition" (arXiv 2403.06726). Features z
of a class, of length one in p dimensions, have the density ``exp(kappa mu . z) / C(kappa)`` with
``C(kappa) ~ I_{p/2-1}(kappa) / kappa^(p/2-1)``. Then the expected supervised contrastive loss of a feature is
logit-adjusted cross-entropy on

``log C(kappa'_c) - log C(kappa_c)``, ``kappa'_c = |kappa_c mu_c + z / T|``

(their L_in). The mean m_c of a class gives ``mu = m / |m|`` and, with ``R = |m|``, ``kappa = R (p - R^2) / (1 - R^2)``
(Banerjee et al. 2005, section 4), at most 1e5. Means run over the last epoch and what the current one has seen so far:
they begin each epoch as those of the epoch before, with their number of samples, while a second set is counted from
nothing. A class that was not seen yet has a random direction and R = 0.9, as in the reference code. The estimates get
no gradient.

With ``kappa'^2 = kappa^2 + 2 kappa mu . z / T + 1 / T^2`` a logit is `bessel.log_ratio` of the cosines: no tensor
[N, K, p], and nothing that overflows or cancels in float32.

Differences from the reference code (LeapLabTHU/ProCo): it leaves out R^2 in the numerator of kappa, 1 in p of it; it
adds the two views to the means one after the other, each view's loss after its own; it computes Bessel functions by 126
steps of Miller's recurrence in float64. There the estimates of an epoch begin with a new random direction, here with
the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.losses.base import Loss, checked_counts, checked_number, working_precision
from ltlib.losses.bessel import log_ratio
from ltlib.losses.weights import log_prior

START = 0.9
LARGEST = 1e5


class ProCo(Loss):
    """Probabilistic contrastive loss of features float [N, D] with targets int64 [N].

    Args:
        class_counts: Training images per class.
        temperature: T > 0.
        width: D of the features; 0 takes it from the first call. Give it where a checkpoint is to be read before that.

    Attributes:
        means: float [K, D], of the features of each class, of the last epoch and this one.
        seen: float [K], of how many features.
        next_means: The same of this epoch alone.
        next_seen: The same. All four are buffers; a checkpoint needs them.

    Raises:
        SettingError: A temperature that is not positive, a negative width, a class without images.
    """

    contrastive = True
    mixable = False
    shift: Tensor
    means: Tensor
    seen: Tensor
    next_means: Tensor
    next_seen: Tensor

    def __init__(self, class_counts: Sequence[int], *, temperature: float = 0.1, width: int = 0):
        super().__init__()
        self.num_classes = len(checked_counts(class_counts))
        self.temperature = checked_number("temperature", temperature, open_end=True)
        self.set_constant("shift", log_prior(class_counts))
        self.width = 0
        if width:
            self._make(int(checked_number("width", width, least=1)))

    def _make(self, width: int) -> None:
        """The buffers, for features of this width."""
        self.width = width
        for name in ("means", "next_means"):
            self.register_buffer(name, self._start())
        for name in ("seen", "next_seen"):
            self.register_buffer(name, torch.zeros(self.num_classes))

    def _start(self) -> Tensor:
        drawn = torch.randn(self.num_classes, self.width, generator=torch.Generator().manual_seed(0))
        return START * F.normalize(drawn, dim=1)

    def per_sample(self, features: Tensor, targets: Tensor) -> Tensor:
        """Each sample's loss, [N]; in training mode the means take up the batch first."""
        if self.width == 0:
            self._make(features.shape[1])
            self.to(features.device)
        with torch.autocast(features.device.type, enabled=False):
            unit = F.normalize(working_precision(features), dim=1)
            if self.training:
                self.observe(unit.detach(), targets)
            logits = self.logits(unit)
            return F.cross_entropy(logits + self.constant("shift", logits), targets, reduction="none")

    def logits(self, unit: Tensor) -> Tensor:
        """``log C(kappa'_c) - log C(kappa_c)`` of features of length one: [N, K] from [N, D]."""
        means = self.means.to(unit.dtype)
        length = means.norm(dim=1)
        kappa = (length * (self.width - length**2) / (1 - length**2).clamp(min=1e-12)).clamp(max=LARGEST)
        cosines = unit @ F.normalize(means, dim=1).T
        change = 2 / self.temperature * kappa * cosines + 1 / self.temperature**2
        return log_ratio(self.width / 2 - 1, kappa**2, change)

    @torch.no_grad()
    def observe(self, unit: Tensor, targets: Tensor) -> None:
        """Take a batch up in the running means, in place.

        Args:
            unit: float [N, D], rows of length one.
            targets: int64 [N].
        """
        total = torch.zeros_like(self.means).index_add_(0, targets, unit.to(self.means.dtype))
        count = torch.zeros_like(self.seen).index_add_(0, targets, torch.ones_like(unit[:, 0]).to(self.seen.dtype))
        for means, seen in ((self.means, self.seen), (self.next_means, self.next_seen)):
            share = (1 / (seen + count).clamp(min=1))[:, None]
            moved = means + share * (total - count[:, None] * means)
            means.copy_(torch.where(count[:, None] > 0, moved, means))
            seen.add_(count)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """The epoch's own means become the running ones, and are counted anew."""
        if epoch > 1 and self.width:
            self.means.copy_(self.next_means)
            self.seen.copy_(self.next_seen)
            self.next_means.copy_(self._start())
            self.next_seen.zero_()
