"""An image folder of your own: one folder per class, its images decoded once, at one size (`pictures`).

Class folders lie directly in the folder, or in its training and test folders (`splits`). Without a test folder a
stratified fifth of each class, drawn by a seed, is the test set (`drawn`). Classes are in plain sorted order of their
names ('1', '10', '2'), and the training folder alone decides their numbers. What is read and what is not, `listing`
says.
"""

from __future__ import annotations

import os
from pathlib import Path

from ltlib.datasets import contents, splits
from ltlib.datasets.base import DATASETS
from ltlib.datasets.listing import LeftOut, class_files
from ltlib.datasets.own_files import Item, Listing, OwnFiles, listed
from ltlib.errors import DataError, printable


@DATASETS.register("folder:PATH", source="ours")
class Folder(OwnFiles):
    """An image folder of your own; ``folder:PATH@32`` reads its images at 32 pixels instead of 64.

    Where a folder is called ``photos@32``, ``folder:photos@32`` is that folder; ``folder:photos/@32`` is the folder
    photos at 32 pixels.
    """

    form = "folder:PATH"
    noun = "folder"

    def scan(self) -> Listing:
        return scan(self.path)

    def there(self, path: str) -> bool:
        return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where the way is barred


def scan(path: Path) -> Listing:
    """List the images of a folder, split them, and look at what is in them.

    Raises:
        Unusable: Classes without an image, files and folders that cannot be read; names them all. Where there are any,
            the images are decoded too, so that those that are no images stand in the same list.
        DataError: No such folder, folders that are no clear split, fewer than two classes, a class that only the test
            folder has, no test image.
    """
    try:
        return _scan(path)
    except OSError as error:
        raise DataError(
            f"{error.filename or path} cannot be read ({error.strerror or error}); make it readable, or remove it"
        ) from error


def _scan(path: Path) -> Listing:
    _require_folder(path)
    wrong = list[str]()
    split = splits.find(path, wrong)
    left_out = LeftOut(sentences=list(split.left_out))
    by_class = class_files(path, split.train, left_out, wrong)
    if not wrong:
        _check_classes(split.train, by_class)
    class_names = tuple(by_class)
    wrong += [
        _empty(split.train, name, left_out)
        for name, files in by_class.items()
        if not files
        and not any(sentence.startswith((f"{split.train / name}/", f"{split.train / name} ")) for sentence in wrong)
    ]
    train = [Item(file, target) for target, name in enumerate(class_names) for file in by_class[name]]
    test = None
    if split.test is not None:
        test_files = {name: files for name, files in class_files(path, split.test, left_out, wrong).items() if files}
        unknown = sorted(set(test_files) - set(by_class))
        if unknown:
            raise DataError(
                f"{split.test} has the class {', '.join(unknown)}, which {split.train} lacks; rename or remove it"
            )
        test = [Item(file, target) for target, name in enumerate(class_names) for file in test_files.get(name, [])]
        if not test and not wrong:
            raise DataError(
                f"{split.test} holds no image to test with{_of(left_out)}; put images into its class folders, "
                "or remove it: a fifth of each class is the test set then"
            )
    names = [item.path for item in (*train, *(test or ()))]
    return listed(
        path,
        path,
        _texts(path, class_names),
        train,
        test,
        left_out,
        wrong,
        identity=lambda values: contents.of_set(names, values),
    )


def _require_folder(path: Path) -> None:
    """Refuse a path that is no folder, with what there is instead."""
    if path.is_dir():
        return
    helps = "give the folder that holds one folder of images per class"
    place = Path(os.path.abspath(path))  # noqa: PTH100 - without following links
    if place.suffix.lower() == ".csv" and place.is_file():
        raise DataError(f"{place} is a file; {helps}, or read it as a list of images with csv:{path}")
    if place.is_file():
        packed = place.name.lower().endswith((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"))
        raise DataError(f"{place} is a file; {'unpack it and ' * packed}{helps}")
    if place.is_symlink():
        raise DataError(f"{place} is a link to {place.readlink()}, which is not there; restore that or {helps}")
    near = next(parent for parent in place.parents if parent.is_dir())
    raise DataError(f"{place} is not a folder; {helps} (the nearest folder that exists is {near})")


def _empty(folder: Path, name: str, left_out: LeftOut) -> str:
    return f"class {name!r} in {folder} has no image{_of(left_out, f'{name}/')}; add images to it or remove its folder"


def _check_classes(folder: Path, by_class: dict[str, list[str]]) -> None:
    if len(by_class) < 2:
        inside = f", or give {folder / next(iter(by_class))} if that holds the class folders" if by_class else ""
        raise DataError(
            f"{folder} holds {len(by_class)} class folder(s) with images, at least two are needed; "
            f"put the images of each class in a folder of its own{inside}"
        )


def _of(left_out: LeftOut, part: str = "") -> str:
    """How many pictures in a part of the set are not read, for a sentence that says that there is none."""
    files = [file for found in left_out.pictures.values() for file in found if part in file]
    if not files:
        return ""
    return f" that is read ({len(files)} in other formats, such as {files[0]}; convert them to JPEG or PNG)"


def _texts(path: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of folders as texts that can be printed and stored, whatever bytes they are."""
    texts = tuple(map(printable, names))
    if len(set(texts)) < len(texts):
        twice = next(text for place, text in enumerate(texts) if text in texts[:place])
        raise DataError(f"{path} holds two folders that are both written {twice!r}; rename one")
    return texts
