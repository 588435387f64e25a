"""A folder as people have them, made by hand: digits with a natural long tail, and faults whose truth is known.

Ten class folders from 120 down to 8 scans, their order not that of their names; copies, a near duplicate, a wrong label
and a file that is no image are planted among them. Bitmaps, because how others are packed differs between versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ltlib.datasets.digits import arrays
from ltlib.files import new_folder
from ltlib.places import reports_folder

COUNTS = (36, 89, 11, 120, 20, 65, 8, 48, 14, 26)
"""Scans of each digit, the planted files left out."""


@dataclass(frozen=True)
class Planted:
    """What is wrong in the folder.

    Attributes:
        copies: Files of the same content, in one class.
        torn: Files of the same content in two classes.
        near: A scan and a copy of it that is a little faded.
        mislabelled: A file in another digit's folder.
        true_label: The folder it should be in.
        broken: A file that is no image.
    """

    copies: tuple[str, str] = ("3/0000.bmp", "3/copy.bmp")
    torn: tuple[str, str] = ("5/0001.bmp", "9/copy.bmp")
    near: tuple[str, str] = ("1/0000.bmp", "1/faded.bmp")
    mislabelled: str = "3/unlike.bmp"
    true_label: str = "0"
    broken: str = "7/page.bmp"


PLANTED = Planted()
_FADED, _INK = 5, 100  # grey values taken from pixels of more than so many
_UNLIKE = 38  # the scan in another digit's folder, a plain one
_PAGE = "<html><body>404 Not Found</body></html>\n"


def folder() -> Path:
    """The folder, written to ``cache`` in the reports folder when it is not there, or not whole."""
    place = reports_folder() / "cache" / "digits_natural"
    files = _files()
    if {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()} != set(files):
        with new_folder(place) as made:
            for name, data in files.items():
                (made / name).parent.mkdir(exist_ok=True)
                (made / name).write_bytes(data)
    return place


def _files() -> dict[str, bytes]:
    import numpy as np

    pixels, targets = arrays()
    of_digit = [pixels[targets == digit] for digit in range(len(COUNTS))]
    files = {
        f"{digit}/{rank:04}.bmp": _bitmap(of_digit[digit][rank])
        for digit, count in enumerate(COUNTS)
        for rank in range(count)
    }
    for first, second in (PLANTED.copies, PLANTED.torn):
        files[second] = files[first]
    original = of_digit[int(PLANTED.near[0][0])][int(PLANTED.near[0][2:6])]
    files[PLANTED.near[1]] = _bitmap(np.where(original > _INK, original - _FADED, original).astype(np.uint8))
    files[PLANTED.mislabelled] = _bitmap(of_digit[int(PLANTED.true_label)][_UNLIKE])
    files[PLANTED.broken] = _PAGE.encode()
    return files


def _bitmap(pixels: object) -> bytes:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "BMP")  # type: ignore[arg-type]
    return stream.getvalue()
