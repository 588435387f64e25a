"""The image files below a folder. No picture is passed over without a word.

Hidden files and folders, and what systems and programs leave behind (``__MACOSX``, ``.ipynb_checkpoints``), are not
read; pictures among them are counted. Passed over in silence: what is no picture (``Thumbs.db``, ``.DS_Store``, the
``._x.jpg`` that a Mac writes beside ``x.jpg``). Links to folders are followed, unless they lead back to a folder that
is read already.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ltlib.datasets.faults import Unusable
from ltlib.errors import DataError

# Raster formats that PIL decodes itself, without calling another program.
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2"),
)
_OTHER_PICTURES = """
heic heif hif heics mpo jxl jxr wdp hdp bpg j2k j2c jpc jpx jpf jpm svg svgz eps ps epsf pdf ai wmf emf ico icns cur
psd psb xcf kra dng raw cr2 cr3 crw nef nrw arw srf sr2 orf rw2 raf pef srw x3f 3fr erf kdc dcr mrw rwl iiq
pcx dcx sgi rgb rgba bw ras sun xbm xpm xwd dds exr hdr pfm pam pic pct pict fits fit fts dcm dicom nii qoi apng
jng mng flif dib rle im msp spi tpic iff lbm cin dpx
"""  # suffixes of pictures that are not read
_NO_PICTURES = """
txt csv tsv json jsonl xml yaml yml md rst html htm log ini cfg db py ipynb npy npz pt pth mat pkl h5 hdf5 parquet
mp4 mov avi mkv mp3 wav zip gz tar 7z rar doc docx xls xlsx odt url lnk md5 sha256 aae xmp thm
"""
_OTHER, _NONE = frozenset(_OTHER_PICTURES.split()), frozenset(_NO_PICTURES.split())
# How pictures begin.
_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"%!PS", b"8BPS", b"\0\0\0\x0cjP  ")
_SYSTEM = frozenset(("__macosx", "@eadir", "lost+found", "$recycle.bin", "system volume information", "__pycache__"))


@dataclass
class LeftOut:
    """Pictures and folders that are not read.

    Attributes:
        pictures: Paths of pictures in formats or under names that are not read, by suffix.
        hidden: Paths of pictures that are hidden or lie in hidden folders.
        sentences: What else is left out.
    """

    pictures: dict[str, list[str]] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)

    def text(self, top: Path) -> str | None:
        """One sentence of all of it, or None."""
        said = list(self.sentences)
        if self.pictures:
            kinds = ", ".join(
                f"{len(files)} {suffix or 'without a suffix'} such as {min(files)}"
                for suffix, files in sorted(self.pictures.items())
            )
            count = sum(map(len, self.pictures.values()))
            said.insert(
                0,
                f"{count} picture{'s' * (count > 1)} in formats or under names that are not read ({kinds}); "
                "convert them to JPEG or PNG, named so",
            )
        if self.hidden:
            count = len(self.hidden)
            said.append(f"{count} hidden picture{'s' * (count > 1)} (such as {min(self.hidden)})")
        return f"left out of {top}: {'; '.join(said)}" if said else None


def hidden(name: str) -> bool:
    """Whether a name is hidden, or one that systems and not people give."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def is_image(name: str) -> bool:
    """Whether a name is that of an image we read."""
    return not hidden(name) and name.lower().endswith(SUFFIXES)


def folders_in(folder: Path, wrong: list[str] | None = None) -> list[str]:
    """Names of the folders directly in a folder, sorted; links to folders among them.

    Args:
        folder: Where to look.
        wrong: As of `class_files`.

    Raises:
        DataError: As `class_files`, without a list for `wrong`.
    """
    return [entry.name for entry in _look(folder, wrong)[0]]


def images_in(folder: Path, wrong: list[str] | None = None) -> list[str]:
    """Names of the images directly in a folder, sorted."""
    return [entry.name for entry in _look(folder, wrong)[1] if is_image(entry.name)]


def has_image(folder: Path, wrong: list[str] | None = None) -> bool:
    """Whether a folder or one below it holds an image; links to folders below it are not followed."""
    folders, files = _look(folder, wrong)
    return any(is_image(entry.name) for entry in files) or any(
        has_image(Path(entry.path), wrong) for entry in folders if not entry.is_symlink()
    )


def class_files(top: Path, folder: Path, left_out: LeftOut, wrong: list[str] | None = None) -> dict[str, list[str]]:
    """The image files below each class folder, as paths relative to `top` with ``/``, sorted; folders in sorted order.

    Args:
        top: The set's folder.
        folder: Holds the class folders.
        left_out: What is passed over is added to it.
        wrong: Gets a sentence for each folder that may not be read, link that leads nowhere and thing that is no file,
            where the caller has more to find before it refuses the set.

    Raises:
        Unusable: There are such folders, links and things, and no list for them; names them all.
    """
    found = list[str]() if wrong is None else wrong
    relative = "" if folder == top else f"{folder.relative_to(top).as_posix()}/"
    hidden = list[os.DirEntry[str]]()
    folders, files = _look(folder, found, hidden)
    left_out.hidden += (path for entry in hidden for path in _pictures(f"{relative}{entry.name}", entry))
    stray = [entry.name for entry in files if is_image(entry.name)]
    if stray:
        left_out.sentences.append(
            f"{len(stray)} image{'s' * (len(stray) > 1)} directly in {folder}, in no class folder (such as {stray[0]})"
        )
    by_class = {entry.name: sorted(_below(top, f"{relative}{entry.name}", left_out, found)) for entry in folders}
    if wrong is None and found:
        raise Unusable(top, found)
    return by_class


def _below(top: Path, folder: str, left_out: LeftOut, wrong: list[str]) -> Iterator[str]:
    """Images below a class folder. Folders come before links to folders, so that a link to one of them adds nothing."""
    here, start = Path(os.path.realpath(top)), Path(os.path.realpath(top / folder))
    seen = set(map(_identity, (here, *here.parents, start, *start.parents)))
    folders, links = [folder], list[str]()
    while folders or links:
        current = folders.pop() if folders else links.pop(0)
        if current != folder:
            identity = _identity(top / current)
            if identity in seen:
                left_out.sentences.append(f"{top / current} leads back to a folder that is read already")
                continue
            seen.add(identity)
        hidden = list[os.DirEntry[str]]()
        below, files = _look(top / current, wrong, hidden)
        left_out.hidden += (path for entry in hidden for path in _pictures(f"{current}/{entry.name}", entry))
        for entry in below:
            (links if entry.is_symlink() else folders).append(f"{current}/{entry.name}")
        for entry in files:
            if is_image(entry.name):
                yield f"{current}/{entry.name}"
            elif _is_picture(entry):
                suffix = Path(entry.name).suffix.lower()
                left_out.pictures.setdefault(suffix, []).append(f"{current}/{entry.name}")


Entries = list[os.DirEntry[str]]


def _look(folder: Path, wrong: list[str] | None = None, passed: Entries | None = None) -> tuple[Entries, Entries]:
    """The folders and the files directly in a folder, links to them too, sorted by name.

    Args:
        folder: Where to look.
        wrong: Gets a sentence for each thing in the way; without it the first is raised.
        passed: Gets what is hidden.
    """

    def refuse(sentence: str) -> None:
        if wrong is None:
            raise DataError(sentence)
        wrong.append(sentence)

    folders, files = Entries(), Entries()
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        right = "give yourself the right to read it" if isinstance(error, PermissionError) else "make it readable"
        refuse(f"{folder} cannot be read ({error.strerror or error}); {right}, or move it elsewhere")
        return folders, files
    for entry in entries:
        if hidden(entry.name):
            if passed is not None:
                passed.append(entry)
            continue
        kind = _kind(entry)
        if kind is not None:
            (folders if kind == "folder" else files).append(entry)
        elif entry.is_symlink() and _suffix(entry.name) not in _NONE:
            refuse(
                f"{entry.path} is a link to {Path(entry.path).readlink()}, which is not there or cannot be reached; "
                "restore what it leads to, or remove the link"
            )
        elif is_image(entry.name):
            refuse(f"{entry.path} is neither a file nor a folder; remove it")
    return folders, files


def _kind(entry: os.DirEntry[str]) -> str | None:
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else None
    except OSError:  # a link that leads to itself, or whose way is barred
        return None


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def _is_picture(entry: os.DirEntry[str]) -> bool:
    """Whether a file that we do not take for an image is one nevertheless, by its suffix or by how it begins."""
    suffix = _suffix(entry.name)
    if suffix in _OTHER or suffix in _NONE:
        return suffix in _OTHER
    return _starts_like_one(entry.path)


def _pictures(relative: str, hidden: os.DirEntry[str]) -> Iterator[str]:
    """Paths of the pictures that a hidden file is or a hidden folder holds, by name and by how they begin."""
    if hidden.name.lower().endswith(SUFFIXES) and _kind(hidden) == "file" and _starts_like_one(hidden.path):
        yield relative
    if hidden.is_dir(follow_symlinks=False):
        for place, _, names in os.walk(hidden.path):
            below = Path(place).relative_to(hidden.path)
            for name in names:
                if name.lower().endswith(SUFFIXES) and _starts_like_one(os.path.join(place, name)):  # noqa: PTH118
                    yield (Path(relative) / below / name).as_posix()


def _starts_like_one(path: str) -> bool:
    try:
        with open(path, "rb") as stream:  # noqa: PTH123
            start = stream.read(12)
    except OSError:
        return False
    webp = start[:4] == b"RIFF" and start[8:] == b"WEBP"
    return webp or start.startswith(_STARTS) or start[4:] in (b"ftypheic", b"ftypmif1", b"ftypheix", b"ftypavif")
