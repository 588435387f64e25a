"""An audit of folders whose faults are known: each is found, named, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltlib import audit
from ltlib.audit import auditing, classes, crops, extra, hashes, measures
from ltlib.datasets import digits_natural
from ltlib.errors import DataError, SettingError
from ltlib.files import digest


def photo(seed: int, width: int = 96, height: int = 80) -> Image.Image:
    """A picture with large shapes and small ones, unlike that of any other seed."""
    rng = np.random.default_rng(seed)
    whole = np.zeros((height, width, 3))
    for side, strength in ((3, 80), (6, 50), (12, 40), (48, 40)):
        noise = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize((width, height))
        whole += np.asarray(noise, float) * strength / 210
    return Image.fromarray(whole.clip(0, 255).astype(np.uint8))


def fill(folder: Path, count: int = 6, start: int = 0, names: tuple[str, ...] = ("ash", "oak")) -> Path:
    """Class folders of pictures that are all different."""
    for place, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            photo(start + 100 * place + i).save(folder / name / f"{i}.png")
    return folder


def look(folder: Path) -> audit.Audit:
    return audit.look(f"folder:{folder}")


def kinds(found: audit.Audit) -> set[str]:
    return {finding.kind for finding in found.findings}


USUAL = {"imbalance", "small_classes", "sizes"}


def test_a_clean_folder_has_counts_and_no_fault(tmp_path: Path) -> None:
    found = look(fill(tmp_path / "set"))
    assert kinds(found) - {"not_looked_for"} == USUAL
    assert (found.class_counts, found.imbalance_factor, found.drawn) == ((6, 6), 1.0, True)
    assert (found.train_counts, found.test_counts) == ((5, 5), (1, 1))
    assert len(set(found.groups)) == 12
    assert found.sizes == ((96, 80),) * 12


def test_everything_planted_in_the_natural_folder_is_found_and_nothing_else() -> None:
    pytest.importorskip("imagehash")
    planted = digits_natural.PLANTED
    found = look(digits_natural.folder())
    assert found.class_counts == (36, 90, 11, 122, 20, 65, 8, 48, 14, 27)
    broken = found.found("broken")
    assert broken is not None
    assert (broken.severity, broken.count, broken.files) == ("error", 1, (planted.broken,))
    for kind, groups in {
        "duplicates": {planted.copies, planted.torn},
        "label_conflict": {planted.torn},
        "near_duplicates": {planted.near},
    }.items():
        one = found.found(kind)
        assert one is not None
        assert set(one.groups) == groups
        assert one.count == len(groups)
    assert {"near_label_conflict", "near_leak"} & kinds(found) == set()
    label = dict(zip(found.files, found.groups, strict=True))
    together = [planted.copies, planted.torn, planted.near]
    assert all(label[one] == label[other] for one, other in together)
    assert len(set(found.groups)) == len(found.files) - len(together)


def test_the_natural_folder_is_always_the_same() -> None:
    top = digits_natural.folder()
    files = sorted(path for path in top.rglob("*") if path.is_file())
    assert len(files) == sum(digits_natural.COUNTS) + 5
    text = "".join(f"{path.relative_to(top).as_posix()} {digest(path.read_bytes())}\n" for path in files)
    assert digest(text)[:12] == "af9c8c750a17"
    files[7].unlink()
    assert digits_natural.folder() == top
    assert files[7].is_file()


def test_copies_between_training_and_test_are_a_leak(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "train"), fill(tmp_path / "set" / "test", 2, start=50)
    (tmp_path / "set/test/oak/same.png").write_bytes((tmp_path / "set/train/oak/3.png").read_bytes())
    photo(1).save(tmp_path / "set/test/oak/other format.bmp")  # ash 1 of training, pixel for pixel
    found = look(tmp_path / "set")
    leak = found.found("leak")
    assert leak is not None
    assert leak.severity == "error"
    assert set(leak.groups) == {
        ("train/ash/1.png", "test/oak/other format.bmp"),
        ("train/oak/3.png", "test/oak/same.png"),
    }
    assert "2 of 6 test images" in leak.sentence
    conflict = found.found("label_conflict")
    assert conflict is not None
    assert conflict.groups == (("train/ash/1.png", "test/oak/other format.bmp"),)
    assert {link.how for link in found.links} == {"file", "pixels"}


@pytest.mark.parametrize("how", ["compressed", "darker", "smaller", "grey", "mirrored"])
def test_near_duplicates_are_found(tmp_path: Path, how: str) -> None:
    pytest.importorskip("imagehash")
    top = fill(tmp_path / "set")
    image = photo(2)
    changed = {
        "compressed": lambda: image,
        "darker": lambda: image.point(lambda value: round(0.6 * value)),
        "smaller": lambda: image.resize((48, 40)),
        "grey": lambda: image.convert("L"),
        "mirrored": lambda: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    }[how]()
    changed.save(top / "oak" / "changed.jpg", quality=60)
    found = look(top)
    near = found.found("near_label_conflict")
    assert near is not None
    assert near.groups == (("ash/2.png", "oak/changed.jpg"),)
    assert near.severity == "warning"
    (link,) = found.links
    assert link.how == ("mirrored" if how == "mirrored" else "near")


def test_pictures_of_one_colour_are_not_near_each_other(tmp_path: Path) -> None:
    pytest.importorskip("imagehash")
    top = fill(tmp_path / "set")
    Image.new("RGB", (40, 40), (10, 10, 10)).save(top / "ash" / "night.png")
    Image.new("RGB", (40, 40), (200, 0, 0)).save(top / "oak" / "red.png")
    assert look(top).links == ()


def test_a_picture_cut_out_of_another_is_found(tmp_path: Path) -> None:
    top = fill(tmp_path / "set")
    photo(102).crop((20, 5, 80, 75)).resize((50, 60)).save(top / "ash" / "part.png")
    found = look(top)
    assert [(link.how, found.files[link.first], found.files[link.second]) for link in found.links] == [
        ("crop", "ash/part.png", "oak/2.png")
    ]
    assert audit.look(f"folder:{top}", parts=False).links == ()


def test_without_the_extra_the_rest_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = fill(tmp_path / "set")
    (top / "oak" / "copy.png").write_bytes((top / "oak" / "1.png").read_bytes())
    monkeypatch.setattr(extra, "library", lambda name: None)
    auditing.quality._manager.cache_clear()
    try:
        found = look(top)
    finally:
        auditing.quality._manager.cache_clear()
    missing = found.found("not_looked_for")
    assert missing is not None
    assert "near duplicates and dark" in missing.sentence
    assert 'pip install "ltlib[images]"' in missing.sentence
    assert kinds(found) == USUAL | {"duplicates", "not_looked_for"}


def test_what_cannot_be_read_is_named_and_the_rest_looked_at(tmp_path: Path) -> None:
    top = fill(tmp_path / "set")
    (top / "ash" / "gone.png").symlink_to(top / "nowhere.png")
    (top / "ash" / "text.jpg").write_text("no picture")
    (top / "elm").mkdir()
    (top / "oak" / "copy.png").write_bytes((top / "oak" / "1.png").read_bytes())
    found = look(top)
    broken = found.found("broken")
    assert broken is not None
    assert broken.count == 3
    said = " ".join(sentence for (sentence,) in broken.groups)
    assert all(name in said for name in ("gone.png", "text.jpg", "elm"))
    assert found.class_counts == (6, 7)
    assert found.found("duplicates") is not None


def test_a_second_look_reads_no_image_and_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = fill(tmp_path / "set")
    photo(2).save(top / "oak" / "near.jpg")
    first = look(top)
    monkeypatch.setattr(measures, "_row", lambda *_: pytest.fail("an image is read again"))
    monkeypatch.setattr(crops, "find", lambda *_: pytest.fail("parts are looked for again"))
    monkeypatch.setattr(hashes, "pairs", lambda *_: pytest.fail("hashes are compared again"))
    assert look(top) == first


def test_a_look_that_was_ended_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = fill(tmp_path / "set")
    monkeypatch.setattr(measures, "SAVED", -1.0)
    monkeypatch.setattr("ltlib.datasets.threads.workers", lambda: 1)
    row, seen = measures._row, list[str]()

    def some(path: Path, place: int, value: str) -> object:
        if len(seen) == 5:
            import time

            time.sleep(1.2)  # so that what there is goes to the disk
            raise RuntimeError("killed")
        seen.append(path.name)
        return row(path, place, value)

    monkeypatch.setattr(measures, "_row", some)
    with pytest.raises(RuntimeError, match="killed"):
        look(top)
    again = list[str]()
    monkeypatch.setattr(measures, "_row", lambda *args: (again.append(args[0].name), row(*args))[1])
    assert len(look(top).files) == 12
    assert len(again) == 7


def test_names_that_mean_something_elsewhere(tmp_path: Path) -> None:
    name = "a [1]; b=c @2 #,.png"
    top = fill(tmp_path / "set [x]; = #", names=("x=1; [y]", "oak"))
    (top / "oak" / name).write_bytes((top / "oak" / "0.png").read_bytes())
    found = look(top).found("duplicates")
    assert found is not None
    assert set(found.files) == {"oak/0.png", f"oak/{name}"}


def test_names_that_are_not_utf8_are_named_and_left_out(tmp_path: Path) -> None:
    top = fill(tmp_path / "set")
    odd = os.fsencode(top / "oak") + b"/caf\xe9.png"
    Path(os.fsdecode(odd)).write_bytes((top / "oak" / "1.png").read_bytes())
    found = look(top)
    assert len(found.files) == 12
    broken = found.found("broken")
    assert broken is not None
    assert "caf\\xe9.png is not in UTF-8" in broken.sentence
    assert broken.files == ("oak/caf\\xe9.png",)
    assert found.found("duplicates") is None


def test_tables(tmp_path: Path) -> None:
    top = fill(tmp_path / "set")
    (top / "oak" / "copy.png").write_bytes((top / "oak" / "1.png").read_bytes())
    found = look(top)
    images = found.images()
    assert list(images.loc[images["duplicates"], "file"]) == ["oak/1.png", "oak/copy.png"]
    assert set(images["part"]) == {"train", "test"}
    assert list(found.frame()["kind"]) == [finding.kind for finding in found.findings]


def test_the_smallest_test_set_that_a_recall_is_judged_by() -> None:
    from scipy.stats import binomtest

    def half(n: int, right: int) -> float:
        interval = binomtest(right, n).proportion_ci(method="wilson")
        return (interval.high - interval.low) / 2

    least = classes.fewest()
    assert max(half(least, right) for right in range(least + 1)) <= 0.2
    assert half(least - 1, (least - 1) // 2) > 0.2


@pytest.mark.parametrize("name", ["cifar10", "digits"])
def test_other_sets_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match="folder:PATH"):
        audit.look(name)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        look(tmp_path / "nowhere")


def test_reports_that_cannot_be_written_hinder_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "file" / "below"))
    else:
        (tmp_path / "closed").mkdir(mode=0o500)
        monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "closed"))
    assert len(look(fill(tmp_path / "set")).files) == 12
