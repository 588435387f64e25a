"""Species of moths, or of anything else: the folder ``moths`` of the data folder, one folder of images per species.

`architectures` promises a set of moths that nobody can fetch. Whatever lies there is read as ``folder:PATH`` is, with
the same split, and is identified by what is in its files: unlike other named sets it cannot be planned without them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib.datasets.base import DATASETS, DatasetBuilder, DatasetInfo, size_asked
from ltlib.datasets.folders import Folder
from ltlib.datasets.own_files import IMAGE_SIZE
from ltlib.errors import DataError
from ltlib.places import data_folder

if TYPE_CHECKING:
    from ltlib.datasets.images import Source


@DATASETS.register("moths", source="architectures abstract")
class Moths(DatasetBuilder):
    """The image folder ``moths`` of the data folder, a folder per species; ``moths@224`` reads it larger than 64."""

    sized = True

    def __init__(self, name: str):
        super().__init__(name)
        self.size = size_asked(name, IMAGE_SIZE)

    def _folder(self, root: Path) -> Folder:
        return Folder(f"folder:{root / 'moths'}/@{self.size}")

    def info(self) -> DatasetInfo:
        """Looks at the disk, as an image folder's does.

        Raises:
            DataError: The folder is missing, or as `folders.scan`.
        """
        root = data_folder()
        if not self.available(root):
            raise DataError(f"moths is not there: put one folder of images per species into {root / 'moths'}")
        return replace(self._folder(root).info(), name=self.name)

    def available(self, root: Path) -> bool:
        return self._folder(root).available(root)

    def read(self, root: Path, fetch: bool = False) -> Source:
        return self._folder(root).read(root, fetch)

    def problems(self, root: Path) -> list[str]:
        return self._folder(root).problems(root)

    def repair(self) -> str:
        return "replace or remove what is named"
