"""Dark, bright, blurred, empty and odd images: what cleanvision says of the same folder by its own way through it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltlib import audit
from ltlib.audit import quality

cleanvision = pytest.importorskip("cleanvision")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty good images, and one with each fault."""
    top = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(0)

    def noise(width: int = 60, height: int = 60) -> Image.Image:
        return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))

    for name in ("one", "two"):
        (top / name).mkdir()
        for place in range(15):
            noise(58 + place % 5).save(top / name / f"{place:02}.png")
    noise().point(lambda value: value // 12).save(top / "one" / "dark.png")
    noise().point(lambda value: 243 + value // 22).save(top / "one" / "bright.png")
    wave = np.sin(np.linspace(0, np.pi, 60))
    hill = 180 * np.sqrt(np.outer(wave, wave))  # as often of every grey value, and no edge
    Image.fromarray(hill.astype(np.uint8)).save(top / "two" / "blurred.png")
    Image.new("RGB", (60, 60), (120, 90, 60)).save(top / "two" / "low_information.png")
    noise(200, 20).save(top / "two" / "odd_shape.png")
    noise(600, 600).save(top / "one" / "odd_size.png")
    return top


def test_each_fault_is_named(folder: Path) -> None:
    found = audit.look(f"folder:{folder}")
    for kind in quality.ISSUES:
        one = found.found(kind)
        assert one is not None, kind
        assert any(Path(file).stem == kind for file in one.files), kind
        assert not any(Path(file).stem.isdigit() for file in one.files), kind


def test_cleanvision_says_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = audit.look(f"folder:{folder}")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    lab = cleanvision.Imagelab(data_path=str(folder))
    lab.find_issues({issue: {} for issue in quality.ISSUES.values()}, n_jobs=1, verbose=False)
    for kind, issue in quality.ISSUES.items():
        marked = lab.issues.index[lab.issues[f"is_{issue}_issue"]]
        expected = {Path(path).relative_to(folder).as_posix() for path in marked}
        one = found.found(kind)
        assert (set(one.files) if one else set()) == expected, kind


def test_what_most_images_have_is_how_the_set_looks(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for place in range(4):
            Image.new("RGB", (20, 20), (place, 0, 0)).save(tmp_path / name / f"{place}.png")
    dark = audit.look(f"folder:{tmp_path}").found("dark")
    assert dark is not None
    assert (dark.severity, dark.count) == ("note", 8)
