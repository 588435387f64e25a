"""Images that are a part of another one: its middle, say, cut out and enlarged. A hash does not see that.

First every image, at 4x4 colours, is held against 225 windows of every other one, at least half as wide and half as
high; the few that fit best are then fitted finely, edge by edge. Two pictures are one where the fitted window agrees in
its colours and, more telling, in its details: what is left when the neighbourhood's mean is taken away.

Measured on caltech64 (8,677 photographs of 64x64 pixels, squeezed), whose class Faces_easy holds the faces cut out of
the photographs of Faces: 390 of the 435 are found, and 163 other parts, nearly all of them one picture by eye. What it
misses are parts of less than half the width or height, turned ones and pictures without details. What it joins wrongly
are several photographs of one thing in one place, and what was blown up from a few pixels: 26 of scikit-learn's 1,797
digits, enlarged to 32 pixels.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ltlib.audit.resumed import Resumed
from ltlib.datasets.threads import in_threads

SMALLEST = 32
"""Pixels of the shorter side: smaller pictures have no details to tell one from another by."""
MOST = 30_000
"""Images among which parts are looked for: the time grows with the square of their number."""
QUICK = 1_000
"""So few images need no progress line."""
COLOURS, DETAILS = 0.97, 0.90
"""Correlations with the fitted window that make two pictures one."""
LARGE, ALIKE = 0.75, 0.98
"""Where the window is more than this share of the whole, details must agree so well: other photographs of one thing in
one place agree to 0.97, and the hash has found nearly all copies."""
_COARSE = 0.87  # the correlation of 4x4 colours that is worth a closer look
_CANDIDATES = 5  # for each image
_GRID = 80  # places for an edge
_LEAST = 32  # of them inside a window
_STEPS = 8  # places for an edge of the first windows
_KEPT = 2_000_000  # candidates in memory
_BLOCK, _ROWS = 16, 1024  # images whose windows are made at once, and images held against them at once

Images = NDArray[np.float32]


class Part(NamedTuple):
    """An image that is a part of another.

    Attributes:
        part, whole: Their places.
        window: Edges of it in the whole: left, top, right, bottom, as fractions.
        details: Correlation of the details.
    """

    part: int
    whole: int
    window: tuple[float, float, float, float]
    details: float


def find(tiny: NDArray[np.uint8], groups: NDArray[np.int64], key: str = "") -> list[Part]:
    """Look for images that are a part of another; of each, the first that fits.

    Args:
        tiny: The images, whatever their shapes, squeezed to uint8 [N, S, S, 3].
        groups: Images of one label are known to be one picture already and not held against each other, int [N].
        key: Under which what is found is kept every `SAVED` seconds, so that a search that was ended goes on; it names
            images and groups. Empty keeps nothing.
    """
    images: Images = tiny.astype(np.float32) / np.float32(255)
    if len(images) < 2:
        return []
    windows = np.array(_first_windows())
    pooling = _pooling(tuple(map(tuple, windows / _STEPS)), images.shape[1], 4)
    # the last of the first windows is the whole image
    parts = (images[low : low + _ROWS] for low in range(0, len(images), _ROWS))
    coarse = np.concatenate([_centred(_windows(part, pooling[-1:]))[:, 0] for part in parts])
    best = _Best()
    looked = Resumed(f"parts, looked; {key}" if key else "", 4, best.rows)
    best.add(*looked.before.T)

    def compare(block: int) -> None:
        made = _centred(_windows(images[block : block + _BLOCK], pooling))
        wholes = np.arange(block, block + len(made))
        flat = made.reshape(-1, made.shape[-1]).T
        for low in range(0, len(images), _ROWS):
            fits = (coarse[low : low + _ROWS] @ flat).reshape(-1, *made.shape[:2])
            most = fits.max(2)
            most[groups[low : low + _ROWS, None] == groups[wholes]] = -1
            part, whole = np.nonzero(most > _COARSE)
            which = fits[part, whole].argmax(1)
            best.add(part + low, wholes[whole], which, most[part, whole])
        looked.done(block)

    todo = [block for block in range(0, len(images), _BLOCK) if block not in looked]
    with looked:
        in_threads(todo, compare, "looking for parts of other images", looked.meanwhile, QUICK // _BLOCK)
    found = dict[int, Part]()
    waiting = best.candidates()
    fitted = Resumed(f"parts, fitted; {key}" if key else "", 7, lambda: _table(list(found.values())))
    found |= {part.part: part for part in _parts(fitted.before)}

    def fit(part: int) -> None:
        for whole, which in waiting[part]:
            rows, columns = divmod(which, len(windows))
            start = windows[[rows, columns]] * (_GRID // _STEPS)
            got = _fitted(images[part], images[whole], start[0], start[1])
            if got is not None:
                found[part] = Part(part, whole, *got)
                break
        fitted.done(part)

    with fitted:
        left = [part for part in waiting if part not in fitted]
        in_threads(left, fit, "fitting parts of other images", fitted.meanwhile, QUICK)
    looked.forget()
    fitted.forget()
    return [found[part] for part in sorted(found)]


def _table(parts: Sequence[Part]) -> NDArray[np.float64]:
    rows = [(one.part, one.whole, *one.window, one.details) for one in parts]
    return np.array(rows, np.float64).reshape(-1, 7)


def _parts(table: NDArray[np.float64]) -> list[Part]:
    return [Part(int(row[0]), int(row[1]), (row[2], row[3], row[4], row[5]), row[6]) for row in table.tolist()]


class _Best:
    """The wholes that each part fits best, whatever the order in which they are found."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: list[NDArray[np.float64]] = []
        self._count = 0

    def add(self, part: NDArray[Any], whole: NDArray[Any], which: NDArray[Any], fits: NDArray[Any]) -> None:
        with self._lock:
            self._found.append(np.column_stack([part, whole, which, fits]))
            self._count += len(part)
            if self._count > _KEPT:
                self._found = [self._sorted()]
                self._count = len(self._found[0])

    def rows(self) -> NDArray[np.float64]:
        """Part, whole, window and correlation of the best so far, float64 [M, 4]."""
        with self._lock:
            return self._sorted()

    def candidates(self) -> dict[int, list[tuple[int, int]]]:
        """By part, up to `_CANDIDATES` wholes and which window of each, the best first."""
        found: dict[int, list[tuple[int, int]]] = {}
        for part, whole, which, _ in self._sorted().tolist():
            found.setdefault(int(part), []).append((int(whole), int(which)))
        return found

    def _sorted(self) -> NDArray[np.float64]:
        every = np.concatenate([np.zeros((0, 4)), *self._found])
        every = every[np.unique(every[:, :2], axis=0, return_index=True)[1]]  # what was looked at again comes twice
        every = every[np.lexsort((every[:, 1], -every[:, 3], every[:, 0]))]
        firsts = np.flatnonzero(np.diff(every[:, 0], prepend=-1))
        rank = np.arange(len(every)) - np.repeat(firsts, np.diff(firsts, append=len(every)))
        return every[rank < _CANDIDATES]


def _first_windows() -> list[tuple[int, int]]:
    """Edges of windows in eighths, from half of the image to all of it."""
    return [(low, low + size) for size in range(_STEPS // 2, _STEPS + 1) for low in range(_STEPS - size + 1)]


@functools.cache
def _pooling(windows: tuple[tuple[float, float], ...], size: int, cells: int) -> Images:
    """Matrices that average a window's pixels into cells, [W, cells, size]; windows as fractions of the image."""
    edges = np.array([np.linspace(low, high, cells + 1) for low, high in windows]) * size
    pixels = np.arange(size)
    over = np.minimum(edges[:, 1:, None], pixels + 1) - np.maximum(edges[:, :-1, None], pixels)
    return (np.maximum(over, 0) / np.diff(edges, axis=1)[..., None]).astype(np.float32)


def _windows(images: Images, pooling: Images) -> Images:
    """Each image [n, S, S, 3] in each window, rows by columns: [n, W * W, cells * cells * 3]."""
    count, cells, size = pooling.shape
    every = pooling.reshape(-1, size)
    rows = np.moveaxis(np.tensordot(every, images, (1, 1)), 1, 0).reshape(-1, count, cells, size, 3)
    both = np.tensordot(rows, every, (3, 1)).reshape(len(images), count, cells, 3, count, cells)
    return np.ascontiguousarray(np.moveaxis(both, 4, 2)).reshape(len(images), count * count, -1)


def _centred(vectors: Images) -> Images:
    """Their mean taken away, of length 1; those of one value are 0."""
    vectors = vectors - vectors.mean(-1, keepdims=True)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-3)


class _Fine:
    """Windows with edges on the fine grid, in cells.

    Attributes:
        place: Which matrix belongs to a window.
        pooling: The matrices.
    """

    def __init__(self, size: int, cells: int):
        edges = [(low, high) for low in range(_GRID) for high in range(low + _LEAST, _GRID + 1)]
        self.place = {window: place for place, window in enumerate(edges)}
        self.pooling = _pooling(tuple((low / _GRID, high / _GRID) for low, high in edges), size, cells)

    def near(self, window: tuple[int, int], reach: int, step: int) -> list[tuple[int, int]]:
        """Windows whose edges lie around those of another."""
        steps = range(-reach, reach + 1, step)
        around = ((window[0] + low, window[1] + high) for low in steps for high in steps)
        return [edges for edges in around if edges in self.place]

    def of(self, windows: Sequence[tuple[int, int]]) -> Images:
        """Their matrices, [W, cells, size]."""
        return self.pooling[[self.place[window] for window in windows]]


@functools.cache
def _fine(size: int, cells: int) -> _Fine:
    return _Fine(size, cells)


def _fitted(
    part: Images, whole: Images, rows: NDArray[Any], columns: NDArray[Any]
) -> tuple[tuple[float, float, float, float], float] | None:
    """The window of the whole that the part fits best, and how well; None where it is another picture."""
    window = [tuple(rows.tolist()), tuple(columns.tolist())]
    for cells, reach, step, least in ((8, 8, 2, 0.9), (8, 4, 2, 0.95), (16, 2, 1, 0.96), (16, 2, 1, COLOURS)):
        fine = _fine(part.shape[0], cells)
        target = _centred(_pooled(part, *fine.of([(0, _GRID)] * 2)).reshape(-1))
        fits = 0.0
        for axis in (0, 1):
            other = fine.of([window[1 - axis]])[0]
            kept = np.tensordot(other, whole, (1, 1 - axis))  # [cells, S, 3]: the other axis in its window
            options = fine.near(window[axis], reach, step)
            made = np.tensordot(fine.of(options), kept, (2, 1))  # [W, cells, other cells, 3]
            made = made if axis == 0 else made.swapaxes(1, 2)
            fit = _centred(made.reshape(len(options), -1)) @ target
            window[axis], fits = options[int(fit.argmax())], float(fit.max())
        if fits < least:
            return None
    fine = _fine(part.shape[0], 16)
    details = [_details(_pooled(image, *fine.of(at))) for image, at in ((part, [(0, _GRID)] * 2), (whole, window))]
    agree = float(_centred(details[0]) @ _centred(details[1]))
    (top, bottom), (left, right) = window
    share = (right - left) * (bottom - top) / _GRID**2
    if agree < (ALIKE if share > LARGE else DETAILS):
        return None
    return (left / _GRID, top / _GRID, right / _GRID, bottom / _GRID), agree


def _pooled(image: Images, rows: Images, columns: Images) -> Images:
    return np.tensordot(np.tensordot(rows, image, (1, 0)), columns, (1, 1)).swapaxes(1, 2)


def _details(cells: Images) -> Images:
    """What is left of the inner cells when the mean of the nine around each is taken away."""
    views = np.lib.stride_tricks.sliding_window_view(cells, (3, 3), axis=(0, 1))
    return (cells[1:-1, 1:-1] - views.mean((-2, -1))).reshape(-1)
