"""A set of images that stays on the device, and hands out augmented, normalised batches without waiting for it.

The images are stored once, as uint8 and already padded. A batch takes rows of pixels straight from there: crop and
top-bottom flip only change which rows are read (`augment.windows`). All shapes are fixed by the number of images asked
for, which is what a CUDA graph needs.

A set that does not fit is streamed: it stays in host memory (or on disk, as a memory map), the images of each batch are
sent, and the rest happens in the same way with the same result.

Where a network wants larger images than are stored, each batch is enlarged last of all (`Resident.enlarged`): the set
takes no more memory for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.batches import augment, blur, colour, distortion, policies, resized_crop
from ltlib.datasets.mapped import MappedImages
from ltlib.errors import DataError, SettingError, UnknownName

_DRAWS = (
    *("dy", "dx", *resized_crop.DRAWS, "flip", "vflip", *colour.DRAWS, "hue", "grey", *blur.DRAWS, "angle"),
    *(*policies.DRAWS, "hole_y", "hole_x", "hole_side"),
)
PIECE_BYTES = 1 << 19
"""Of images that a CPU changes at a time; with more, what is between two operations leaves its cache."""
READ_BYTES = 16 * 2**20
"""Of images that are read from the disk at a time."""


class Resident:
    """Images and targets on a device.

    Args:
        images: uint8 [N, H, W, C], array (also a memory map), `MappedImages` or tensor.
        targets: Class of each image, [N].
        padding: Of the crop, `Augmentation.padding`.
        mean: Per channel, 0..1; only for ``normalise="mean_std"``.
        std: The same.
        normalise: One of `augment.NORMALISATIONS`, see `augment.Normaliser`.
        resize: Side in pixels to which batches are enlarged; 0 leaves them as they are stored.
        device: Where batches are wanted.
        dtype: Of the batches.
        max_bytes: Device memory the set may take; a larger one is streamed. None: no limit.

    Raises:
        DataError: Images that are not uint8 [N, H, W, C], no image, or another number of targets.
        SettingError: A negative padding, a normalisation without its numbers, or a side below the stored one.

    Attributes:
        targets: int64 [N] on the device.
        streaming: Whether the images are in host memory.
        nbytes: Bytes held on the device.
        size: Height and width of an image as it is stored.
        resize: As given.
    """

    def __init__(
        self,
        images: np.ndarray | Tensor,
        targets: Sequence[int] | np.ndarray | Tensor,
        *,
        padding: int = 0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        normalise: str = "mean_std",
        resize: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        max_bytes: int | None = None,
    ):
        _check(images, targets, padding)
        count, height, width, channels = (int(n) for n in images.shape)
        self.device = torch.device(device)
        self.padding, self.size, self.resize = padding, (height, width), resize
        check_resize(resize, max(self.size))
        self.targets = torch.as_tensor(targets, dtype=torch.int64).to(self.device)
        self._count, self._row = count, width + 2 * padding
        self._normaliser = augment.Normaliser(normalise, mean, std, self.size, channels, self.device, dtype)
        self._rows = torch.arange(height, device=self.device) * self._row
        self._rows_upwards = self._rows.flip(0)
        self.streaming = max_bytes is not None and self.required_bytes(images.shape, padding) > max_bytes
        self._host: np.ndarray | Tensor | None = images if self.streaming else None
        if self.streaming:
            self._windows = None
        elif isinstance(images, MappedImages):
            self._windows = self._store_from_disk(images)
        else:
            self._windows = self._store(_as_tensor(images))

    @staticmethod
    def required_bytes(shape: Sequence[int], padding: int = 0) -> int:
        """Device memory a set of images [N, H, W, C] and its targets take when they are resident."""
        count, height, width, channels = (int(n) for n in shape)
        return count * (height + 2 * padding) * (width + 2 * padding) * channels + 8 * count

    @property
    def nbytes(self) -> int:
        """Bytes held on the device."""
        stored = 0 if self._windows is None else self._windows.untyped_storage().nbytes()
        return stored + self.targets.nbytes

    def __len__(self) -> int:
        return self._count

    def batch(self, index: Tensor, draws: Mapping[str, Tensor] | None = None) -> Tensor:
        """What a network takes: `stored` images, `enlarged`."""
        return self.enlarged(self.stored(index, draws))

    def enlarged(self, images: Tensor) -> Tensor:
        """Images [N, C, H, W] at the side that is asked for, bilinear; as they are where none is.

        As `torchvision.transforms.Resize` does by default: pixel centres stay in place (``align_corners=False``), and
        its antialiasing changes nothing where images grow. Interpolation and normalisation are both linear, so it makes
        no difference which comes first, and nothing is rounded to bytes in between.
        """
        if not self.resize:
            return images
        return F.interpolate(images, size=(self.resize, self.resize), mode="bilinear", align_corners=False)

    def stored(self, index: Tensor, draws: Mapping[str, Tensor] | None = None) -> Tensor:
        """Augmented, normalised images of the size they are stored in, without a host synchronisation (unless the set
        is streamed).

        Args:
            index: Which images, int64, on the device (streaming: best on the CPU, or the device is waited for).
            draws: From `Augmentation.draw`, on the device, in shapes that broadcast with `index`: draws [V, B] for an
                index [B] give V views of each image, view after view. Without ``dy`` and ``dx`` the window is the
                image itself.

        Returns:
            float [B, C, H, W] (V views: [V * B, C, H, W]) in channels_last memory.

        Raises:
            UnknownName: Of a draw.
            SettingError: Offsets for a set that was stored without padding.
        """
        draws = draws or {}
        for name in draws:
            if name not in _DRAWS:
                raise UnknownName("draw", name, _DRAWS)
        if not self.padding and ("dy" in draws or "dx" in draws):
            raise SettingError("this set was stored without padding; give Resident the padding of the augmentation")
        windows = self._windows
        if windows is None:
            windows, index = self._send(index)
        shape = torch.broadcast_shapes(index.shape, *(value.shape for value in draws.values()))
        index = index.expand(shape).reshape(-1)
        flat = {name: value.expand(shape).reshape(-1) for name, value in draws.items()}
        step = len(index) if self.device.type != "cpu" else max(1, PIECE_BYTES // (windows.shape[1] * self.size[0]))
        if step >= len(index):
            return self._normaliser(self._changed(windows, index, flat))
        made = self._normaliser.empty(len(index))
        for part in (slice(start, start + step) for start in range(0, len(index), step)):
            draws = {name: value[part] for name, value in flat.items()}
            made[part] = self._normaliser(self._changed(windows, index[part], draws))
        return made

    def _changed(self, windows: Tensor, index: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """The augmented images before normalising: uint8 [B, H, W, C]."""
        images = self._take(windows, index, draws)
        if "top" in draws:
            images = resized_crop.resized_crop(images, *(draws[name] for name in resized_crop.DRAWS))
            if "vflip" in draws:
                images = augment.vertical_flip(images, draws["vflip"])
        if "flip" in draws:
            images = augment.horizontal_flip(images, draws["flip"])
        if "hue" in draws:
            images = distortion.distort(images, *(draws[name] for name in distortion.DRAWS))
        elif "brightness" in draws:
            images = colour.jitter(images, *(draws[name] for name in colour.DRAWS))
        if "grey" in draws:
            images = colour.greyed(images, draws["grey"])
        if "blur_own" in draws:
            images = blur.blur(images, *(draws[name] for name in blur.DRAWS))
        if "angle" in draws:
            images = augment.rotate(images, draws["angle"])
        for name in policies.DRAWS:
            if name in draws:
                images = policies.apply(images, draws[name])
        if "hole_side" in draws:
            images = augment.cutout(images, draws["hole_y"], draws["hole_x"], draws["hole_side"])
        return images

    def _take(self, windows: Tensor, index: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """Crop and top-bottom flip: uint8 [B, H, W, C], each image's rows read where its window lies.

        A resized crop comes before the flip, so that one is left for later.
        """
        height, width = self.size
        dy, dx = draws.get("dy", self.padding), draws.get("dx", self.padding)
        first = (index * (height + 2 * self.padding) + dy) * self._row + dx
        rows = self._rows
        if "vflip" in draws and "top" not in draws:
            rows = torch.where(draws["vflip"][:, None], self._rows_upwards, rows)
        taken = windows.index_select(0, (first[:, None] + rows).view(-1))
        return taken.view(index.shape[0], height, width, -1)

    def _store(self, images: Tensor) -> Tensor:
        """Send images to the device, pad them there, and give the view that windows are read from."""
        return augment.windows(augment.pad(images.to(self.device, non_blocking=True), self.padding), self.size[1])

    def _store_from_disk(self, images: MappedImages) -> Tensor:
        """The same piece by piece, so that the host's memory never holds them all on their way."""
        count, height, width, channels = images.shape
        p, step = self.padding, max(1, READ_BYTES // (height * width * channels))
        padded = torch.zeros(count, height + 2 * p, width + 2 * p, channels, dtype=torch.uint8, device=self.device)
        for first in range(0, count, step):
            piece = torch.from_numpy(images[first : first + step])
            padded[first : first + step, p : p + height, p : p + width] = piece.to(self.device)
        return augment.windows(padded, width)

    def _send(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Store only the images of one batch; what is left to take are its images in order."""
        wanted = index.reshape(-1).cpu()
        if isinstance(self._host, Tensor):
            images = self._host[wanted]
        else:
            assert self._host is not None
            images = torch.from_numpy(np.asarray(self._host[wanted.numpy()]))
        if self.device.type == "cuda":
            images = images.pin_memory()
        return self._store(images), torch.arange(wanted.shape[0], device=self.device).view(index.shape)


def check_resize(side: int, stored: int) -> None:
    """Refuse to make images smaller; 0 stands for no other size.

    Raises:
        SettingError: `side` is below that of the stored images, both in pixels.
    """
    if side and side < stored:
        raise SettingError(
            f"resize only enlarges: the images are stored with {stored}x{stored} pixels, which {side} is below; "
            "set resize=0, or ask for the set at a smaller size"
        )


def _check(images: np.ndarray | Tensor, targets: Sequence[int] | np.ndarray | Tensor, padding: int) -> None:
    if images.ndim != 4 or images.dtype not in (np.uint8, torch.uint8):
        raise DataError(f"images must be uint8 [N, H, W, C], not {images.dtype} {list(images.shape)}")
    if images.shape[0] == 0:
        raise DataError(
            "a set without images can be neither trained on nor tested with; choose a set, or counts, with images"
        )
    if len(targets) != images.shape[0]:
        raise DataError(f"{images.shape[0]} images but {len(targets)} targets")
    if padding < 0:
        raise SettingError(f"padding must be 0 or more pixels, not {padding}")


def _as_tensor(images: np.ndarray | Tensor) -> Tensor:
    """The images without a copy; they are only read, so a read-only memory map needs no warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.as_tensor(images)
