"""Small image files in the layouts of sets of photographs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from PIL import Image


def write_images(folder: Path, count: int, target: int = 0, suffix: str = ".png") -> None:
    """``image_0001.png`` and so on; red is the place in the folder, green the class."""
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(count):
        Image.new("RGB", (10, 10), (place % 256, target, 0)).save(folder / f"image_{place + 1:04}{suffix}")


def write_names(top: Path, sizes: Mapping[str, int]) -> None:
    """So many names of one image in each folder; enough to be listed, and quick."""
    top.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (10, 10)).save(top / "one", "JPEG")
    for name, count in sizes.items():
        (top / name).mkdir()
        for place in range(count):
            os.link(top / "one", top / name / f"image_{place + 1:04}.jpg")
