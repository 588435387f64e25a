"""Targeted supervised contrastive loss: class targets spread evenly over the unit sphere before training.

Li et al. 2022, "Targeted Supervised Contrastive Learning for Long-Tailed Recognition" (arXiv 2111.13998), Eqs. 2 and 4:

``l_i = -1/(|P(i)| + 1) ( sum_{p in P(i)} log q_ip + w log q_i,t(y_i) )``
``q_ia = exp(s_ia / T) / ( sum_{a != i} exp(s_ia / T) + sum_c exp(z_i . t_c / T) )``

P(i) are the k-positive loss's positives (`ltlib.losses.kcl`), t_c the targets, t(y) the one that class y has.
The targets minimise ``mean_i log sum_j exp(t_i . t_j / T)``. Where they fit, K <= D + 1, the minimum is known: the
corners of a regular simplex; else Adam finds them, as in the reference code, which always runs it.

Classes are matched to targets by the Hungarian method, so that the running centres of the classes (on the sphere,
momentum 0.9) move least: the largest sum of ``centre_y . t(y)``. The centres follow every training batch on the device;
the matching needs the host and is done by `assign`, before each epoch but the first (`set_epoch`).

Differences from the reference code (LTH14/targeted-supcon): it matches anew in every step; it keeps a queue of keys
(MoCo), here the other samples of the batch take its place, as in its CIFAR form. That CIFAR form repeats each target in
the batch, has the targets as anchors too and never matches; here each target is there once. The running centres follow
both views, there one. ``target_weight`` 0.2 is the released command's (the code's default and the paper's Eq. 4 have
1). Before the first `assign` class c has target c.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.errors import SettingError
from ltlib.losses.base import checked_choice, checked_counts, checked_number, class_sums, working_precision
from ltlib.losses.kcl import KPositive

MOMENTUM = 0.9


class Targeted(KPositive):
    """Targeted supervised contrastive loss of features float [N, D] with targets int64 [N], N = V B, view after view.

    Args:
        class_counts: Only their number K matters: one target a class.
        temperature: T > 0, of the loss and of the targets.
        k: As for `KPositive`.
        views: As for `KPositive`.
        width: D of the features; 0 takes it from the first call. Give it where a checkpoint is to be read before that.
        target_weight: w, weight of the term that pulls a sample to its class's target.
        points: ``best`` for the simplex where it fits and Adam elsewhere, ``adam`` for Adam always.
        target_steps: Steps of Adam.

    Attributes:
        points: float [K, D], the targets.
        centres: float [K, D], running centres of the classes, of length one.
        assignment: int64 [K], the target of each class. All three are buffers; a checkpoint needs them.

    Raises:
        SettingError: A setting outside its range.
    """

    def __init__(
        self,
        class_counts: Sequence[int],
        *,
        temperature: float = 0.07,
        k: int = 6,
        views: int = 2,
        width: int = 0,
        target_weight: float = 0.2,
        points: str = "best",
        target_steps: int = 10_000,
    ):
        super().__init__(temperature=temperature, k=k, views=views)
        self.num_classes = len(checked_counts(class_counts))
        self.target_weight = checked_number("target_weight", target_weight)
        self.spread = checked_choice("points of tsc", points, ("best", "adam"))
        self.target_steps = int(checked_number("target_steps", target_steps))
        self.width = 0
        self.points: Tensor
        self.centres: Tensor
        self.assignment: Tensor
        if width:
            self._make(int(checked_number("width", width, least=1)))

    def _make(self, width: int) -> None:
        """The buffers, for features of this width."""
        self.width = width
        if self.spread == "best" and self.num_classes <= width + 1:
            points = simplex(self.num_classes, width)
        else:
            points = uniform_targets(self.num_classes, width, self.temperature, self.target_steps).clone()
        start = torch.randn(self.num_classes, width, generator=torch.Generator().manual_seed(1))
        self.register_buffer("points", points)
        self.register_buffer("centres", F.normalize(start, dim=1))
        self.register_buffer("assignment", torch.arange(self.num_classes))

    def per_sample(self, features: Tensor, targets: Tensor, noise: Tensor | None = None) -> Tensor:
        """Each sample's loss, [N]; in training mode the centres follow the batch.

        Args:
            features: float [N, D].
            targets: int64 [N].
            noise: As for `KPositive.per_sample`.

        Raises:
            SettingError: Features of another width than the targets'.
        """
        if self.width == 0:
            self._make(features.shape[1])
            self.to(features.device)
        if features.shape[1] != self.width:
            raise SettingError(f"tsc has targets of width {self.width}, the features {features.shape[1]}; set width")
        with torch.autocast(features.device.type, enabled=False):
            unit = F.normalize(working_precision(features), dim=1)
            if self.training:
                self.observe(unit.detach(), targets)
            everything = torch.cat([unit, self.points.to(unit.dtype)])
            similarity = unit @ everything.T / self.temperature
        count = len(targets)
        itself = torch.eye(count, len(everything), dtype=torch.bool, device=targets.device)
        similarity = similarity.masked_fill(itself, torch.finfo(similarity.dtype).min)
        log_probability = similarity.log_softmax(1)
        positive = self.positives(targets, noise)
        samples = log_probability[:, :count].masked_fill(~positive, 0).sum(1)
        own = log_probability[:, count:].gather(1, self.assignment[targets][:, None]).squeeze(1)
        return -(samples + self.target_weight * own) / (positive.sum(1) + 1)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Match classes and targets before each epoch (from 1) but the first, in which nothing was seen yet."""
        if epoch > 1 and self.width:
            self.assign()

    def reduce(self, losses: Tensor, targets: Tensor) -> Tensor:
        """Mean over all samples: each has its class's target as a positive."""
        return losses.mean()

    @torch.no_grad()
    def observe(self, unit: Tensor, targets: Tensor) -> None:
        """Move the centres of the classes in a batch: 0.9 old + 0.1 the batch's, both of length one; in place.

        Args:
            unit: float [N, D], rows of length one.
            targets: int64 [N].
        """
        total = class_sums(unit.to(self.centres.dtype), targets, self.num_classes)
        seen = class_sums(torch.ones_like(total[:1, 0]).expand(len(unit)), targets, self.num_classes)
        moved = F.normalize(MOMENTUM * self.centres + (1 - MOMENTUM) * F.normalize(total, dim=1), dim=1)
        self.centres.copy_(torch.where(seen[:, None] > 0, moved, self.centres))

    @torch.no_grad()
    def assign(self) -> None:
        """Match classes to targets by the Hungarian method, in place; between epochs, for it waits for the device."""
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment((self.centres.double() @ self.points.double().T).cpu(), maximize=True)
        self.assignment.copy_(torch.as_tensor(columns)[torch.as_tensor(rows).argsort()])


def simplex(num_classes: int, width: int) -> Tensor:
    """Corners of a regular simplex: unit vectors float32 [K, D], K <= D + 1, every two with the cosine -1 / (K - 1).

    Turned by a fixed rotation of the D dimensions, so that no feature has a class of its own.
    """
    k = np.arange(1, num_classes)[:, None]
    column = np.arange(num_classes)[None, :]
    # Helmert's basis of the space across (1, ..., 1): the corners are the unit vectors seen from there
    corners = np.where(column < k, 1.0, np.where(column == k, -k, 0.0)).T if num_classes > 1 else np.ones((1, 1))
    if num_classes > 1:
        corners = corners / np.sqrt(k * (k + 1.0)).T
        corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    rotation, triangle = np.linalg.qr(np.random.default_rng(0).standard_normal((width, width)))
    rotation = rotation * np.sign(np.diag(triangle))  # unique only up to these signs
    return torch.from_numpy(corners @ rotation[: corners.shape[1]]).float()


@lru_cache(maxsize=32)
def uniform_targets(
    num_classes: int, width: int, temperature: float = 0.07, steps: int = 10_000, seed: int = 0
) -> Tensor:
    """Points spread evenly over the unit sphere: float32 [K, D], made once for all that ask.

    Adam (learning rate 1e-3, as in the reference code) on ``mean_i log sum_j exp(t_i . t_j / T)`` from normal numbers;
    the best points of all steps are kept. 10,000 steps take some ten seconds.

    Args:
        num_classes: K.
        width: D.
        temperature: T.
        steps: Of Adam.
        seed: Of the start.
    """
    with torch.enable_grad():
        x = torch.randn(num_classes, width, generator=torch.Generator().manual_seed(seed)).requires_grad_()
        optimizer = torch.optim.Adam([x], lr=1e-3)
        best, points = float("inf"), F.normalize(x.detach(), dim=1)
        for _ in range(steps):
            unit = F.normalize(x, dim=1)
            loss = uniformity(unit, temperature)
            if float(loss.detach()) < best:
                best, points = float(loss.detach()), unit.detach()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return points


def uniformity(points: Tensor, temperature: float) -> Tensor:
    """``mean_i log sum_j exp(t_i . t_j / T)`` of unit vectors [K, D], a scalar."""
    return (points @ points.T / temperature).logsumexp(1).mean()
