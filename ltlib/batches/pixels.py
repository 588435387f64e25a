"""Pixel operations on whole batches of uint8 images ``[B, H, W, C]``, every image handled alone, as Pillow does it.

Before normalising: padding and fill are black, not the mean colour. None of them waits for the device (no ``item``, no
boolean index, no shape that depends on values), so they can be captured in a CUDA graph.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

FRACTION_BITS = 16
"""Of Pillow's fixed-point affine coefficients."""


def pad(images: Tensor, padding: int) -> Tensor:
    """Zeros of `padding` pixels on each side: [B, H, W, C] to [B, H + 2p, W + 2p, C], always a new tensor."""
    count, height, width, channels = images.shape
    padded = images.new_zeros(count, height + 2 * padding, width + 2 * padding, channels)
    padded[:, padding : padding + height, padding : padding + width] = images
    return padded


def windows(padded: Tensor, width: int) -> Tensor:
    """Every run of `width` neighbouring pixels of a padded set, as a view that copies nothing.

    Args:
        padded: Contiguous [N, PH, PW, C].
        width: Pixels of an output row.

    Returns:
        [N * PH * PW - width + 1, width * C]: row ``(i * PH + y) * PW + x`` holds pixels x .. x + width - 1 of row y of
        image i. Taking rows of it by index copies whole runs of bytes, which is what makes cropping cheap.
    """
    pixels, channels = padded.numel() // padded.shape[-1], padded.shape[-1]
    return padded.view(-1).as_strided((pixels - width + 1, width * channels), (channels, 1))


def crop(images: Tensor, padding: int, dy: Tensor, dx: Tensor) -> Tensor:
    """Zero padding, then for each image the window of the old size at its own offset.

    Args:
        images: uint8 [B, H, W, C].
        padding: Pixels on each side.
        dy: int64 [B], rows skipped at the top of the padded image, 0..2 * padding.
        dx: int64 [B], columns skipped at its left.

    Returns:
        uint8 [B, H, W, C].
    """
    count, height, width, _ = images.shape
    stride = width + 2 * padding
    first = (torch.arange(count, device=images.device) * (height + 2 * padding) + dy) * stride + dx
    rows = first[:, None] + torch.arange(height, device=images.device) * stride
    return windows(pad(images, padding), width).index_select(0, rows.view(-1)).view(images.shape)


def horizontal_flip(images: Tensor, flip: Tensor) -> Tensor:
    """Mirror left-right the images whose `flip` [B] is true."""
    return _choose(images, images.flip(2), flip)


def vertical_flip(images: Tensor, flip: Tensor) -> Tensor:
    """Mirror top-bottom the images whose `flip` [B] is true."""
    return _choose(images, images.flip(1), flip)


def _choose(images: Tensor, others: Tensor, use_other: Tensor) -> Tensor:
    """Per image the one or the other. Copying whole images by index is three times faster on a CPU than `where`."""
    count = images.shape[0]
    index = torch.arange(count, device=images.device) + count * use_other
    return torch.cat([images, others]).index_select(0, index)


def rotate(images: Tensor, angle: Tensor) -> Tensor:
    """Rotate each image about its centre by its own angle: nearest pixel, zeros where the source lies outside.

    Equals ``PIL.Image.rotate(angle)``, and so torchvision's ``RandomRotation`` on Pillow images, pixel for pixel:
    Pillow maps output to input pixels in 16.16 fixed point (``affine_fixed`` in its Geometry.c), and the same integers
    are computed here (for sides below 32,768, where Pillow does so too).

    Args:
        images: uint8 [B, H, W, C].
        angle: float [B], degrees counter-clockwise.

    Returns:
        uint8 [B, H, W, C].
    """
    _, height, width, _ = images.shape
    degrees = torch.remainder(angle.double(), 360.0)
    radians = -(degrees * (math.pi / 180.0))
    cos, sin = torch.cos(radians).round(decimals=15), torch.sin(radians).round(decimals=15)
    centre_x, centre_y = width / 2, height / 2
    offset_x = (cos * -centre_x + sin * -centre_y) + centre_x
    offset_y = (-sin * -centre_x + cos * -centre_y) + centre_y
    start_x, start_y = offset_x + cos * 0.5 + sin * 0.5, offset_y - sin * 0.5 + cos * 0.5
    matrix = torch.stack([cos, sin, start_x, -sin, cos, start_y], 1)
    return affine(images, torch.floor(matrix * 2.0**FRACTION_BITS + 0.5).int())


def affine(images: Tensor, matrix: Tensor) -> Tensor:
    """Each image through its own affine map: nearest pixel, zeros where the source lies outside.

    Args:
        images: uint8 [B, H, W, C].
        matrix: int32 [B, 6], fixed-point coefficients a..f with the centre of the first pixel taken in.

    Returns:
        uint8 [B, H, W, C].
    """
    count, height, width, channels = images.shape
    rows = torch.arange(height, dtype=torch.int32, device=images.device)[:, None]
    columns = torch.arange(width, dtype=torch.int32, device=images.device)
    a, b, c, d, e, f = matrix[:, :, None, None].unbind(1)
    x = ((c + b * rows) + a * columns).bitwise_right_shift_(FRACTION_BITS)
    y = ((f + e * rows) + d * columns).bitwise_right_shift_(FRACTION_BITS)
    # Whatever lies outside reads a black border one pixel wide: twice as fast on a CPU as masking.
    bordered = images.new_zeros(count, height + 2, width + 2, channels)
    bordered[:, 1:-1, 1:-1] = images
    position = y.clamp_(-1, height).mul_(width + 2).add_(x.clamp_(-1, width))
    pixels = (height + 2) * (width + 2)
    if count * pixels >= 2**31:
        position = position.long()
    first = torch.arange(count, dtype=position.dtype, device=images.device) * pixels + (width + 3)
    position += first[:, None, None]
    return bordered.view(-1, channels).index_select(0, position.view(-1)).view(images.shape)


def cutout(images: Tensor, y: Tensor, x: Tensor, side: Tensor) -> Tensor:
    """A black square in each image, cut off where it reaches beyond the border.

    Args:
        images: uint8 [B, H, W, C].
        y: float [B] in [0, 1), the centre's row as a share of the height.
        x: float [B] in [0, 1), its column as a share of the width.
        side: int64 [B], even: the square covers side / 2 pixels before the centre and side / 2 from it on.

    Returns:
        uint8 [B, H, W, C].
    """
    inside = []
    for length, share in zip(images.shape[1:3], (y, x), strict=True):
        centre = (share * length).long().clamp(max=length - 1)
        place = torch.arange(length, device=images.device) - centre[:, None]
        half = side[:, None] // 2
        inside.append((place >= -half) & (place < half))
    hole = inside[0][:, :, None] & inside[1][:, None, :]
    return images.masked_fill(hole[..., None], 0)
