"""Pictures: a row of images, an image and its augmented views, samples of each class, images and where a network looks.

All tiles of a figure share one axes: a grid of a hundred axes takes seconds to lay out. Pixels stay pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps

from ltlib.errors import SettingError
from ltlib.plots.style import DOUBLE, Chart, styled

GAP = 0.06  # of a tile's width, between columns
_INK = 0.6  # of a map's colour over its image
_THIRDS = (("upper left", "top", "upper right"), ("left", "centre", "right"), ("lower left", "bottom", "lower right"))


@styled
def show_images(
    images: Any, titles: Sequence[str] | None = None, *, columns: int = 8, title: str = "", alt: str | None = None
) -> Chart:
    """Images in rows, each with its title above.

    Args:
        images: uint8 [N, H, W, 3] or [N, H, W].
        titles: One for each image; a line break is kept.
        columns: Images in a row.
        title: Printed above all.
        alt: Alternative text; by default the titles.
    """
    tiles = _tiles(images)
    columns = min(columns, len(tiles))
    labels = list(titles) if titles is not None else [""] * len(tiles)
    if len(labels) != len(tiles):
        raise SettingError(f"{len(tiles)} images need as many titles, not {len(labels)}")
    rows = [(tiles[i : i + columns], labels[i : i + columns]) for i in range(0, len(tiles), columns)]
    fig = _draw(rows, columns, [], title)
    fig.alt = alt or f"{len(tiles)} images: {'; '.join(' '.join(t.split()) for t in labels if t) or 'without titles'}."
    fig.data = {"image": list(range(len(tiles))), "title": labels}
    return fig


@styled
def augmented_images(
    originals: Any, views: Any, *, names: Sequence[str] | None = None, augmentation: str = "", title: str = ""
) -> Chart:
    """Each image in a row of its own: the original first, then its augmented views.

    Args:
        originals: uint8 [N, H, W, 3].
        views: uint8 [N, V, H, W, 3].
        names: What each row shows.
        augmentation: What was done, for the heading of the views and the alternative text.
        title: Printed above.
    """
    first = _tiles(originals)
    views = np.asarray(views)
    if views.ndim != 5 or views.shape[0] != len(first) or views.shape[2:4] != first.shape[1:3]:
        raise SettingError(f"views of {len(first)} images must be [{len(first)}, V, H, W, 3], not {list(views.shape)}")
    columns = 1 + views.shape[1]
    rows = []
    for i, original in enumerate(first):
        heads = ["original", f"views: {augmentation}" if augmentation else "views"] if i == 0 else ["", ""]
        rows.append((np.concatenate([original[None], views[i]]), [*heads, *[""] * (columns - 2)][:columns]))
    fig = _draw(rows, columns, list(names or []), title, align_left=True)
    fig.alt = (
        f"{len(first)} images ({', '.join(names)}), " if names else f"{len(first)} images, "
    ) + f"each with {views.shape[1]} augmented views{f' ({augmentation})' if augmentation else ''}."
    fig.data = {
        "row": list(range(len(first))),
        "name": list(names or [""] * len(first)),
        "views": [views.shape[1]] * len(first),
    }
    return fig


@styled
def samples_per_class(
    images: Any,
    targets: Any,
    class_names: Sequence[str],
    *,
    class_counts: Sequence[int] | None = None,
    classes: Sequence[int] | None = None,
    per_class: int = 8,
    seed: int = 0,
    title: str = "",
) -> Chart:
    """A row of random images for each class, with its name and number of images.

    Args:
        images: uint8 [N, H, W, 3].
        targets: Class of each image, int [N].
        class_names: Names of all classes.
        class_counts: Printed counts; by default counted in `targets`.
        classes: Which classes; by default all up to twelve, else the four largest, middle and smallest.
        per_class: Images in a row; a class with fewer leaves the rest empty.
        seed: Which images.
        title: Printed above.
    """
    pool = images if hasattr(images, "shape") else np.asarray(images)  # a large set is not read as a whole
    y = np.asarray(targets)
    counts = np.asarray(class_counts) if class_counts is not None else np.bincount(y, minlength=len(class_names))
    shown = list(classes) if classes is not None else _some_classes(counts)
    generator = np.random.default_rng(seed)
    rows, names = [], []
    for c in shown:
        members = np.flatnonzero(y == c)
        picked = np.sort(generator.permutation(members)[:per_class])
        rows.append((_tiles(pool[picked]) if len(picked) else pool[:0], [""] * len(picked)))
        names.append(f"{class_names[c]}\n{counts[c]:,} images")
    fig = _draw(rows, per_class, names, title)
    listed = ", ".join(f"{class_names[c]} ({counts[c]:,})" for c in shown)
    fig.alt = f"Up to {per_class} images of each of {len(shown)} classes, with the number of training images: {listed}."
    fig.data = {"class": [class_names[c] for c in shown], "images": [int(counts[c]) for c in shown]}
    return fig


@styled
def images_with_maps(
    images: Any, maps: Sequence[Any], titles: Sequence[str], *, what: str, pairs: int = 4, title: str = ""
) -> Chart:
    """Each image with a map of itself at its right, laid over it in grey: dark blue for 0, yellow for 1.

    Args:
        images: uint8 [N, H, W, 3].
        maps: For each image, float [h, w] in 0..1, of whatever size; enlarged bilinearly.
        titles: One for each image, printed over it.
        what: Name of the maps, such as ``Grad-CAM``, printed over each.
        pairs: Images in a row.
        title: Printed above all.
    """
    from scipy.ndimage import zoom

    tiles = _tiles(images)
    if not len(tiles) == len(maps) == len(titles):
        raise SettingError(f"{len(tiles)} images need as many maps and titles, not {len(maps)} and {len(titles)}")
    shown, texts, places = [], [], []
    for image, given, text in zip(tiles, maps, titles, strict=True):
        values = np.asarray(given, dtype=np.float64)
        if values.ndim != 2 or not (values.min() >= 0 and values.max() <= 1):
            raise SettingError(f"a map must be [h, w] of numbers in 0..1, not {list(values.shape)}")
        large = zoom(values, np.divide(image.shape[:2], values.shape), order=1, mode="nearest", grid_mode=True)
        grey = np.repeat(image.mean(2, keepdims=True), 3, axis=2)
        colours = 255 * colormaps["viridis"](large)[..., :3]
        shown += [image, np.rint(_INK * colours + (1 - _INK) * grey).astype(np.uint8)]
        texts += [text, what]
        row, column = np.unravel_index(values.argmax(), values.shape)
        thirds = [3 * (2 * i + 1) // (2 * size) for i, size in zip((row, column), values.shape, strict=True)]
        places.append(_THIRDS[thirds[0]][thirds[1]] if values.max() > 0 else "nowhere")
    columns = 2 * min(pairs, len(tiles))
    rows = [(np.stack(shown[i : i + columns]), texts[i : i + columns]) for i in range(0, len(shown), columns)]
    fig = _draw(rows, columns, [], title)
    said = "; ".join(f"{' '.join(text.split())}: {place}" for text, place in zip(titles, places, strict=True))
    count = "An image" if len(tiles) == 1 else f"{len(tiles)} images, each"
    fig.alt = f"{count} with its map ({what}) beside it; where the map is largest: {said}."
    fig.data = {
        "title": list(titles),
        "map": [what] * len(tiles),
        "largest": places,
        "mean": [round(float(np.mean(each)), 4) for each in maps],
    }
    return fig


def _some_classes(counts: np.ndarray) -> list[int]:
    order = [int(c) for c in np.argsort(-counts, kind="stable")]
    middle = (len(order) - 4) // 2
    return order if len(order) <= 12 else order[:4] + order[middle : middle + 4] + order[-4:]


def _tiles(images: Any) -> np.ndarray:
    """Images as uint8 [N, H, W, 3]."""
    tiles = np.asarray(images)
    if tiles.ndim == 3:
        tiles = np.repeat(tiles[..., None], 3, axis=-1)
    if tiles.ndim != 4 or tiles.shape[-1] not in (1, 3) or tiles.dtype != np.uint8 or len(tiles) == 0:
        raise SettingError(f"images must be uint8 [N, H, W, 3], N at least 1, not {tiles.dtype} {list(tiles.shape)}")
    return np.repeat(tiles, 3, axis=-1) if tiles.shape[-1] == 1 else tiles


def _draw(
    rows: Sequence[tuple[np.ndarray, Sequence[str]]],
    columns: int,
    names: Sequence[str],
    title: str,
    align_left: bool = False,
) -> Chart:
    """Place the tiles and their texts in one axes whose unit is a tile's width."""
    height, width = next(tiles.shape[1:3] for tiles, _ in rows if len(tiles))
    aspect = height / width
    longest = max((len(line) for name in names for line in name.split("\n")), default=-1)
    left = (0.075 * longest + 0.12) / DOUBLE if names else 0.0  # of the figure's width, for row names
    tile = min((DOUBLE * (1 - left) - 0.1) / (columns * (1 + GAP)), 1.3)  # inches
    lines = [max((t.count("\n") + 1 for t in texts if t), default=0) for _, texts in rows]
    above = [0.14 * n / tile + (0.03 if n else 0) for n in lines]
    step = [aspect + GAP + a for a in above]
    total_w = columns * (1 + GAP) - GAP
    heading = 0.28 if title else 0.0
    total_h = sum(step)
    fig = Chart(figsize=(DOUBLE if names else max(total_w * tile, 2.0) + 0.1, total_h * tile + heading + 0.06))
    w, h = fig.get_size_inches()
    axes = fig.add_axes((left * DOUBLE / w + 0.05 / w, 0.03 / h, total_w * tile / w, total_h * tile / h))
    axes.set(xlim=(0, total_w), ylim=(total_h, 0))
    axes.axis("off")
    y = 0.0
    for i, (tiles, texts) in enumerate(rows):
        y += above[i]
        for j, image in enumerate(tiles):
            x = j * (1 + GAP)
            axes.imshow(image, extent=(x, x + 1, y + aspect, y), aspect="auto", zorder=1)
            if texts[j]:
                at, side = (x, "left") if align_left else (x + 0.5, "center")
                axes.text(at, y - 0.04, texts[j], ha=side, va="bottom", fontsize=7)
        if i < len(names):
            axes.text(-0.08, y + aspect / 2, names[i], ha="right", va="center", fontsize=7.5, linespacing=1.25)
        y += aspect + GAP
    axes.set(xlim=(0, total_w), ylim=(total_h, 0))
    if title:
        fig.text(0.05 / w, 1 - 0.06 / h, title, fontsize=9, fontweight="bold", va="top")
    return fig
