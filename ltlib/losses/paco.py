"""PaCo: a supervised contrastive loss whose contrast is a queue of past keys and a learnable centre for each class.

Cui et al. 2021, "Parametric Contrastive Learning" (arXiv 2107.12028), Eq. 7. An anchor q_i of class y meets the keys of
its batch (other images' q and every k) and of the queue, by the cosine over T, and the centres by the logits ``z_c +
log pi_c`` of a linear classifier; together they are A(i). With the keys of its own class P(i),

``l_i = -( beta log p_i(y) + alpha sum_{j in P(i)} log p_i(j) ) / (beta + alpha |P(i)|)``

where ``p_i(a) = exp(s_ia) / sum_{a in A(i)} w_a exp(s_ia)`` with w 1 for centres and gamma for keys. alpha below beta
makes up for the number of keys: without it a centre would matter less the more images its class has.

Keys are made by a second network that follows the first with a momentum (`ltlib.training.queue`). The queue holds the
last keys and their classes; before it is full, keys that were never written belong to no class and are left out.

Differences from the reference code (dvlab-research/Parametric-Contrastive-Learning, ``LT/losses.py``): there the queue
begins with random keys of random classes, and 1e-9 and 1e-12 are added before logarithms; its batches must divide the
queue, here any batch does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.errors import SettingError
from ltlib.limits import Limit
from ltlib.losses.base import Loss, checked_counts, checked_number, checked_share, working_precision
from ltlib.losses.weights import log_prior


class ParametricContrastive(Loss):
    """Parametric contrastive loss of anchors float [N, D] with targets int64 [N]; in training mode it keeps their keys.

    Args:
        class_counts: Training images per class.
        temperature: T > 0, of cosines alone.
        alpha: Weight of each key of the class, >= 0.
        beta: Weight of the class's centre, > 0.
        gamma: Weight of keys in the denominator, >= 0.
        queue: Keys kept, at least as many as a batch has.
        width: D of the features; 0 takes it from the first call. Give it where a checkpoint is to be read before that.
        momentum: Of the network that makes the keys, from 0 to 1.

    Attributes:
        keys: float [queue, D], of length one.
        key_classes: int64 [queue]; -1 for a place that holds nothing yet.
        place: int64, where the next key goes. All three are buffers; a checkpoint needs them.

    Raises:
        SettingError: A setting outside its range, a class without images.
    """

    contrastive = True
    mixable = False
    shift: Tensor
    keys: Tensor
    key_classes: Tensor
    place: Tensor

    def __init__(
        self,
        class_counts: Sequence[int],
        *,
        temperature: float = 0.05,
        alpha: float = 0.02,
        beta: float = 1.0,
        gamma: float = 1.0,
        queue: int = 1024,
        width: int = 0,
        momentum: float = 0.999,
    ):
        super().__init__()
        self.num_classes = len(checked_counts(class_counts))
        self.temperature = checked_number("temperature", temperature, open_end=True)
        self.alpha, self.gamma = checked_number("alpha of paco", alpha), checked_number("gamma of paco", gamma)
        self.beta = checked_number("beta of paco", beta, open_end=True)
        self.momentum = checked_share("momentum of paco", momentum)
        Limit(1, whole=True).check("setting queue of loss paco", queue)
        self.queue = int(queue)
        self.set_constant("shift", log_prior(class_counts))
        self.register_buffer("key_classes", torch.full((self.queue,), -1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))
        self.width = 0
        if width:
            self._make(int(checked_number("width", width, least=1)))

    def _make(self, width: int) -> None:
        self.width = width
        self.register_buffer("keys", torch.zeros(self.queue, width))

    def per_sample(
        self, features: Tensor, targets: Tensor, keys: Tensor | None = None, centres: Tensor | None = None
    ) -> Tensor:
        """Each anchor's loss, [N].

        Args:
            features: float [N, D], the anchors.
            targets: int64 [N].
            keys: float [N, D], of the same images, without gradient; the anchors themselves by default.
            centres: float [N, K], logits of the centres; zeros by default, so that the prior alone is learnt.

        Raises:
            SettingError: More keys than the queue holds.
        """
        if self.width == 0:
            self._make(features.shape[1])
            self.to(features.device)
        count = len(targets)
        if count > self.queue:
            raise SettingError(
                f"a batch of {count} images does not fit into paco's queue of {self.queue}; make that longer"
            )
        with torch.autocast(features.device.type, enabled=False):
            q = F.normalize(working_precision(features), dim=1)
            k = q.detach() if keys is None else F.normalize(working_precision(keys).detach(), dim=1)
            contrast = torch.cat([q, k, self.keys.to(q.dtype)])
            similar = q @ contrast.T / self.temperature
            logits = similar.new_zeros(count, self.num_classes) if centres is None else working_precision(centres)
            logits = logits.to(q.dtype) + self.constant("shift", q)
        classes = torch.cat([targets, targets, self.key_classes])
        itself = torch.arange(count, device=q.device)[:, None] == torch.arange(len(classes), device=q.device)
        left_out = itself | (classes < 0)
        lowest = torch.finfo(q.dtype).min
        weighted = similar + (math.log(self.gamma) if self.gamma else lowest / 4)
        total = torch.cat([logits, weighted.masked_fill(left_out, lowest)], 1).logsumexp(1)
        positive = (classes == targets[:, None]) & ~left_out
        near = (similar - total[:, None]).masked_fill(~positive, 0).sum(1)
        own = logits.gather(1, targets[:, None]).squeeze(1) - total
        if self.training:
            self.keep(k, targets)
        return -(self.beta * own + self.alpha * near) / (self.beta + self.alpha * positive.sum(1).to(q.dtype))

    def forward(
        self,
        features: Tensor,
        targets: Tensor,
        noise: Tensor | None = None,
        *,
        keys: Tensor | None = None,
        centres: Tensor | None = None,
    ) -> Tensor:
        """The batch's loss, a scalar; see `per_sample`."""
        return self.per_sample(features, targets, keys, centres).mean()

    @torch.no_grad()
    def keep(self, keys: Tensor, targets: Tensor) -> None:
        """Put keys float [N, D] and their classes into the queue in place of the oldest, in place."""
        places = (self.place + torch.arange(len(targets), device=targets.device)) % self.queue
        self.keys.index_copy_(0, places, keys.to(self.keys.dtype))
        self.key_classes.index_copy_(0, places, targets)
        self.place.copy_((self.place + len(targets)) % self.queue)
