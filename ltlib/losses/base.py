"""What every loss here has in common: per-sample values, one normaliser, a registry by name.

No loss synchronises with the host, branches on data or changes shapes with it, so all of them can be captured in a
CUDA graph. For the same reason targets are not checked: one outside 0..K-1 is an indexing error on the CPU and a device
assertion on CUDA, whenever torch gets to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ltlib.errors import SettingError, UnknownName
from ltlib.limits import Limit
from ltlib.registry import Registry, Spec


class Loss(nn.Module):
    """Base: ``loss(logits, targets) = reduce(per_sample(logits, targets), targets)``.

    Logits are float [B, K] of any precision (computed in float32, or float64 if they are), targets int64 [B].

    Attributes:
        contrastive: Whether it compares features, ``loss(features, targets)``, instead of reading logits.
        instances: Whether its targets say which views show the same image, instead of classes.
        mixable: Whether `mixed` labels have a meaning; False for margins and for weights that depend on the batch.
        takes_mixed: Whether a contrastive loss says what the labels of mixed images are.
        noise: Whether it draws random numbers; ``per_sample(logits, targets, noise)`` then takes uniform ones, [B, K].
    """

    contrastive = False
    instances = False
    mixable = True
    takes_mixed = False
    noise = False

    def __init__(self) -> None:
        super().__init__()
        self._exact: dict[str, Tensor] = {}

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Each sample's loss, [B]."""
        raise NotImplementedError

    def reduce(self, losses: Tensor, targets: Tensor) -> Tensor:
        """The batch's loss from its samples': their plain mean.

        torch's own ``weight=`` divides by the sum of the batch's weights instead, which changes the size of the loss,
        and with it the learning rate, from batch to batch.
        """
        return losses.mean()

    def forward(self, logits: Tensor, targets: Tensor, noise: Tensor | None = None) -> Tensor:
        """The batch's loss, a scalar."""
        return self.reduce(self._each(logits, targets, noise), targets)

    def mixed(
        self,
        logits: Tensor,
        targets: Tensor,
        partner_targets: Tensor,
        lam: Tensor | float,
        noise: Tensor | None = None,
    ) -> Tensor:
        """The loss of mixed images (mixup, CutMix), a scalar: ``lam l(z, targets) + (1 - lam) l(z, partner_targets)``.

        Args:
            logits: Of the mixed images, [B, K].
            targets: Classes of the images themselves, int64 [B].
            partner_targets: Classes of the images mixed in, int64 [B].
            lam: Share of `targets`, [B] or one number.
            noise: As in `per_sample`, for losses with noise; both terms use the same.

        Raises:
            SettingError: The loss is not mixable.
        """
        if not self.mixable:
            raise SettingError(
                f"{type(self).__name__} has no meaning for mixed labels; choose another loss or no mixing"
            )
        if self.noise and noise is None:
            noise = torch.rand(logits.shape, device=logits.device)
        own = self.share(logits, targets, lam, noise)
        return own + self.share(logits, partner_targets, 1 - lam, noise)

    def share(self, logits: Tensor, targets: Tensor, share: Tensor | float, noise: Tensor | None = None) -> Tensor:
        """The part of the batch's loss that goes to a share of each sample, a scalar; parts add up to `forward`.

        Args:
            logits: [B, K].
            targets: int64 [B].
            share: [B] or one number.
            noise: As in `per_sample`, for losses with noise.
        """
        return self.reduce(share * self._each(logits, targets, noise), targets)

    def soft(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of images that are of several classes, a scalar.

        Args:
            logits: [B, K].
            labels: float [B, K], shares of the classes.

        Raises:
            SettingError: The loss has no such form.
        """
        raise SettingError(f"{type(self).__name__} has no form for labels of several classes; use logit_adjustment")

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Called before each epoch, counted from 1, of a stage of `epochs`; changes buffers in place, if anything."""

    def adjust(self, logits: Tensor) -> Tensor:
        """The logits whose softmax are the probabilities at test time, [B, K]; most losses take them as they are."""
        return logits

    def restore(self, adjusted: Tensor) -> Tensor:
        """The logits that were adjusted, [B, K]: the inverse of `adjust`, which a loss that has its own also has."""
        return adjusted

    def set_constant(self, name: str, values: Sequence[float] | Tensor) -> None:
        """Keep numbers per class: a float32 buffer that moves with the module, and float64 for float64 logits."""
        self._exact[name] = torch.as_tensor(values, dtype=torch.float64)
        self.register_buffer(name, self._exact[name].float(), persistent=False)

    def constant(self, name: str, like: Tensor) -> Tensor:
        """A constant in the precision of `like`; float32 needs no conversion and so no kernel of its own."""
        if like.dtype == torch.float64:
            return self._exact[name].to(like.device)
        return getattr(self, name).to(like.dtype)

    def _each(self, logits: Tensor, targets: Tensor, noise: Tensor | None) -> Tensor:
        if noise is None:
            return self.per_sample(logits, targets)
        return self.per_sample(logits, targets, noise)  # type: ignore[call-arg]


LOSSES = Registry[Loss]("loss")


def spec(text: str | Spec) -> Spec:
    """Parse a loss's text such as ``focal[gamma=1.0]``; see `Registry.spec`."""
    return LOSSES.spec(text)


def create(loss: str | Spec, class_counts: Sequence[int] | Tensor, **settings: Any) -> Loss:
    """A loss for a training set.

    Args:
        loss: Name, ``name[setting=value]``, or `Spec`.
        class_counts: Training images per class, in the order of the targets.
        **settings: Settings that replace those of the text.

    Raises:
        UnknownName: Unknown loss or setting.
        SettingError: A setting outside its range; no classes, or a class without images.
    """
    given = LOSSES.spec(loss)
    for key in settings:
        if key not in given.settings:
            raise UnknownName(f"setting of loss {given.name}:", key, given.settings)
    return LOSSES.create(given, checked_counts(class_counts), **settings)


def checked_counts(class_counts: Sequence[int] | Tensor) -> list[int]:
    """Class counts as a list of whole numbers, each at least 1.

    Raises:
        SettingError: Empty, not whole, or a class without images: its weight or prior would be infinite.
    """
    counts = [count.item() if hasattr(count, "item") else count for count in class_counts]
    if not counts:
        raise SettingError("class_counts is empty; give the training images of every class")
    for i, count in enumerate(counts):
        if not isinstance(count, (int, float)) or not count >= 1 or count % 1 != 0:
            raise SettingError(f"class_counts must be whole numbers of at least 1; class {i} has {count!r}")
    return [int(count) for count in counts]


def checked_number(label: str, value: Any, *, least: float = 0.0, open_end: bool = False) -> float:
    """A finite number that is at least `least`, or above it where the end is open.

    Raises:
        SettingError: It is not.
    """
    Limit(least=least, above=open_end).check(label, value)
    return float(value)


def checked_share(label: str, value: Any, *, most: float = 1.0, open_end: bool = False) -> float:
    """A number from 0 to `most`, or below it where the end is open.

    Raises:
        SettingError: It is not.
    """
    Limit(most=most, below=open_end).check(label, value)
    return float(value)


def checked_choice(label: str, value: Any, known: Sequence[str]) -> str:
    """One of the known words.

    Raises:
        SettingError: It is not.
    """
    if value not in known:
        raise SettingError(f"{label} must be one of {', '.join(known)}, not {value!r}")
    return str(value)


def working_precision(x: Tensor) -> Tensor:
    """x in the precision losses are computed in: float64 stays, everything else becomes float32."""
    return x if x.dtype == torch.float64 else x.float()


def class_mask(targets: Tensor, num_classes: int) -> Tensor:
    """Where the targets are, bool [B, K]; unlike ``one_hot`` without asking the host for the largest target."""
    return targets.unsqueeze(1) == torch.arange(num_classes, device=targets.device)


def class_sums(rows: Tensor, targets: Tensor, num_classes: int, by_sorting: bool | None = None) -> Tensor:
    """The sum of each class's rows [K, D], added one after the other in their order, so the same bits every time.

    ``index_add_`` does that on a CPU. On CUDA it adds with atomics, in whatever order the threads come: sums differ in
    their last bits from call to call (4.5e-8 in TSC's centres, between a recorded and an eager training). There
    ``index_put_`` with ``accumulate`` sorts the rows by class first, stably, and adds each class's in a row.

    Args:
        rows: float [N, D].
        targets: int64 [N].
        num_classes: K.
        by_sorting: Which of the two; by default where the rows are.
    """
    total = rows.new_zeros(num_classes, *rows.shape[1:])
    if rows.is_cuda if by_sorting is None else by_sorting:
        return total.index_put_((targets,), rows, accumulate=True)
    return total.index_add_(0, targets, rows)


def log_odds_of_target(logits: Tensor, targets: Tensor) -> Tensor:
    """``d = log(p_y / (1 - p_y))``, [B].

    ``-log p_y = softplus(-d)`` and ``-log(1 - p_y) = softplus(d)`` are exact to rounding wherever p_y is, while 1 - p_y
    itself has no digit left for confident samples.
    """
    index = targets.unsqueeze(1)
    return -(logits - logits.gather(1, index)).scatter(1, index, -torch.inf).logsumexp(1)
