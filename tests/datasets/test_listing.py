"""Files below class folders: what is read, what is passed over, and what is said of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ltlib.datasets import listing
from ltlib.datasets.listing import LeftOut, class_files
from ltlib.errors import DataError


def fill(top: Path, *files: str) -> Path:
    for file in files:
        (top / file).parent.mkdir(parents=True, exist_ok=True)
        (top / file).touch()
    return top


def look(top: Path) -> tuple[dict[str, list[str]], str | None]:
    left_out = LeftOut()
    return class_files(top, top, left_out), left_out.text(top)


def test_plain_folders(tmp_path: Path) -> None:
    fill(tmp_path, "b/2.png", "b/10.JPG", "a/x/1.webp", "a/0.png", "a.d/1.png")
    assert look(tmp_path) == (
        {"a": ["a/0.png", "a/x/1.webp"], "a.d": ["a.d/1.png"], "b": ["b/10.JPG", "b/2.png"]},
        None,
    )


@pytest.mark.parametrize(
    "foreign",
    [
        *(".hidden.png", "._a.png", ".thumbnails/a.png", "Thumbs.db", "desktop.ini", "notes.txt", "labels.csv"),
        *("__MACOSX/a.png", "@eaDir/a.png", "README", "clip.mp4"),
    ],
)
def test_passed_over_in_silence(tmp_path: Path, foreign: str) -> None:
    fill(tmp_path, "a/1.png", "b/1.png", f"a/{foreign}", f"{foreign}" if "/" in foreign else "b/.x")
    assert look(tmp_path) == ({"a": ["a/1.png"], "b": ["b/1.png"]}, None)


def test_other_pictures_are_counted_by_suffix(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png", "b/x/IMG_2.HEIC", "b/IMG_1.heic", "a/drawing.svg")
    (tmp_path / "a" / "photo").write_bytes(b"\xff\xd8\xff\xe0 a JPEG without a suffix")
    (tmp_path / "a" / "photo.jpg_large").write_bytes(b"\x89PNG\r\n")
    files, said = look(tmp_path)
    assert files == {"a": ["a/1.png"], "b": ["b/1.png"]}
    assert said is not None
    assert "5 pictures in formats or under names that are not read" in said
    for part in ("2 .heic such as b/IMG_1.heic", "1 .svg such as a/drawing.svg", "1 without a suffix such as a/photo"):
        assert part in said
    assert "1 .jpg_large such as a/photo.jpg_large" in said
    assert "convert them to JPEG or PNG" in said


def test_images_in_no_class_folder(tmp_path: Path) -> None:
    _, said = look(fill(tmp_path, "a/1.png", "2.png", "3.png"))
    assert said is not None
    assert f"2 images directly in {tmp_path}, in no class folder (such as 2.png)" in said


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    fill(tmp_path, "set/a/1.png", "set/b/1.png", "elsewhere/2.png", "elsewhere/below/3.png")
    (tmp_path / "set" / "a" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "c").symlink_to(tmp_path / "elsewhere")
    assert look(tmp_path / "set") == (
        {
            "a": ["a/1.png", "a/more/2.png", "a/more/below/3.png"],
            "b": ["b/1.png"],
            "c": ["c/2.png", "c/below/3.png"],
        },
        None,
    )


@pytest.mark.parametrize("to", [".", "..", "../..", "zz"])
def test_links_that_lead_back_add_nothing(tmp_path: Path, to: str) -> None:
    fill(tmp_path, "set/a/1.png", "set/a/zz/2.png", "set/b/1.png")
    (tmp_path / "set" / "a" / "aa").symlink_to(to)
    files, said = look(tmp_path / "set")
    assert files == {"a": ["a/1.png", "a/zz/2.png"], "b": ["b/1.png"]}
    assert said is not None
    assert f"{tmp_path / 'set' / 'a' / 'aa'} leads back to a folder that is read already" in said


@pytest.mark.parametrize("link", ["c", "a/more", "a/x.png", "a/IMG.heic", "a/v1.2"])
@pytest.mark.parametrize("to", ["gone", "itself"])
def test_links_that_lead_nowhere_are_named(tmp_path: Path, link: str, to: str) -> None:
    fill(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / link).symlink_to(tmp_path / (link if to == "itself" else "gone"))
    with pytest.raises(
        DataError, match=rf"{link} is a link to .*, which is not there .*; restore what it leads to, or"
    ):
        look(tmp_path)


def test_a_link_to_a_missing_text_is_no_matter(tmp_path: Path) -> None:
    (fill(tmp_path, "a/1.png", "b/1.png") / "a" / "notes.txt").symlink_to("gone")
    assert look(tmp_path)[1] is None


def test_a_pipe_called_like_an_image(tmp_path: Path) -> None:
    os.mkfifo(fill(tmp_path, "a/1.png", "b/1.png") / "a" / "2.png")
    with pytest.raises(DataError, match=r"2.png is neither a file nor a folder; remove it"):
        look(tmp_path)


@pytest.mark.parametrize("closed", [".", "a", "a/more"])
def test_a_folder_without_rights_is_named(tmp_path: Path, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a/1.png", "a/more/2.png", "b/1.png")
    scandir = os.scandir

    def barred(path: str) -> object:  # root may read everything
        if Path(path) == tmp_path / closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(listing.os, "scandir", barred)
    with pytest.raises(
        DataError, match=r"cannot be read \(Permission denied\); give yourself the right to read it"
    ) as caught:
        look(tmp_path)
    assert str(tmp_path / closed) in str(caught.value)
