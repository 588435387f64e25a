"""Features in the place of the images they are of: for networks whose backbone nobody trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ltlib.batches.resident import Resident
from ltlib.errors import DataError, SettingError


class ResidentFeatures(Resident):
    """A set that hands out features [B, D] where another one hands out images; `Network.features` lets them through.

    Args:
        features: float32 [N, D], array, memory map or `MappedImages` of one.
        targets: Class of each image, [N].
        device: Where batches are wanted.
        max_bytes: Device memory the set may take; a larger one is streamed. None: no limit.

    Raises:
        DataError: Features that are not float32 [N, D], none, or another number of targets.
    """

    def __init__(
        self,
        features: np.ndarray,
        targets: Sequence[int] | np.ndarray | Tensor,
        *,
        device: torch.device | str = "cpu",
        max_bytes: int | None = None,
    ):
        if features.ndim != 2 or features.dtype != np.float32 or not len(features):
            raise DataError(f"features must be float32 [N, D], not {features.dtype} {list(features.shape)}")
        if len(targets) != len(features):
            raise DataError(f"features of {len(features)} images but {len(targets)} targets")
        self.device = torch.device(device)
        self.padding, self.size, self.resize = 0, (1, 1), 0
        self.targets = torch.as_tensor(targets, dtype=torch.int64).to(self.device)
        self._count = len(features)
        self.streaming = max_bytes is not None and self.required_bytes(features.shape) > max_bytes
        self._host = features if self.streaming else None
        self._windows = None
        if not self.streaming:
            self._windows = torch.from_numpy(np.require(features, requirements="W")).to(self.device)

    @staticmethod
    def required_bytes(shape: Sequence[int], padding: int = 0) -> int:
        """Device memory that features [N, D] and their targets take when they are resident."""
        count, width = (int(n) for n in shape)
        return 4 * count * width + 8 * count

    def stored(self, index: Tensor, draws: Mapping[str, Tensor] | None = None) -> Tensor:
        """The features of these images, float32 [B, D].

        Raises:
            SettingError: Draws: features are of images as they are.
        """
        if draws:
            raise SettingError(f"features are of images as they are, without {', '.join(sorted(draws))}")
        index = index.reshape(-1)
        if self._windows is not None:
            return self._windows.index_select(0, index)
        assert self._host is not None
        rows = torch.from_numpy(np.asarray(self._host[index.cpu().numpy()]))
        return (rows.pin_memory() if self.device.type == "cuda" else rows).to(self.device)
