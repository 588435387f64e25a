"""Loss, accuracy and calibration error summed on the device, read once an epoch.

Every update is a fixed sequence of tensor operations without a host synchronisation, so it can sit inside a captured
step. The bins are those of `ltlib.calibration`: 15, equal width, closed on the right.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

BINS = 15
PACKED = 3 + 3 * BINS


class Meter(nn.Module):
    """Running sums over images.

    Buffers (float64; float32 where the device has no float64): ``sums`` [3] of images, losses, correct; ``bins``
    [3, BINS] of images, confidence, correct.
    """

    sums: Tensor
    bins: Tensor

    def __init__(self, device: torch.device | str = "cpu"):
        super().__init__()
        dtype = torch.float32 if torch.device(device).type == "mps" else torch.float64
        self.register_buffer("sums", torch.zeros(3, dtype=dtype, device=device))
        self.register_buffer("bins", torch.zeros(3, BINS, dtype=dtype, device=device))

    def reset(self) -> None:
        """Forget everything, in place."""
        self.sums.zero_()
        self.bins.zero_()

    @torch.no_grad()
    def update(self, losses: Tensor, logits: Tensor | None, targets: Tensor) -> None:
        """Add a batch.

        Args:
            losses: [B] per image, or a scalar mean over the batch.
            logits: [B, K], or None where nothing is classified (contrastive learning alone).
            targets: int64 [B].
        """
        count = targets.shape[0]
        dtype = self.sums.dtype
        total = losses.to(dtype).sum() if losses.ndim else losses.to(dtype) * count
        self.sums[0] += count
        self.sums[1] += total
        if logits is None:
            return
        confidence, predicted = logits.float().softmax(1).max(1)
        correct = (predicted == targets).to(dtype)
        self.sums[2] += correct.sum()
        confidence = confidence.to(dtype)
        # clamped as integers: the confidence of a diverged network is NaN, which clamp keeps and no bin holds
        place = (torch.ceil(confidence * BINS) - 1).long().clamp_(0, BINS - 1)
        ones = torch.ones_like(correct)
        self.bins.scatter_add_(1, place.expand(3, -1), torch.stack((ones, confidence, correct)))

    def result(self) -> dict[str, float]:
        """Mean loss, accuracy and expected calibration error (fractions); NaN where nothing was classified.

        One transfer.
        """
        return read(self.packed().cpu())

    def packed(self) -> Tensor:
        """All sums as one tensor [`PACKED`] on the device, for `read`."""
        return torch.cat((self.sums, self.bins.flatten()))


def read(values: Tensor) -> dict[str, float]:
    """What `Meter.result` gives, from a meter's packed sums on the host."""
    count, loss, correct = values[:3].tolist()
    images, confidence, right = values[3:].reshape(3, BINS)
    if not count:
        return {"loss": float("nan"), "accuracy": float("nan"), "ece": float("nan")}
    classified = bool(images.sum() > 0)
    return {
        "loss": loss / count,
        "accuracy": correct / count if classified else float("nan"),
        "ece": float((confidence - right).abs().sum() / count) if classified else float("nan"),
    }
