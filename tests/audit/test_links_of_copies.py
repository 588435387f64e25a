"""What joins images: hashes that are near, forests of links, parts of other images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltlib.audit import crops, hashes, links
from ltlib.places import data_folder


def flipped(packed: np.ndarray, bits: list[int]) -> np.ndarray:
    found = np.unpackbits(packed)
    found[bits] ^= 1
    return np.packbits(found)


@pytest.mark.parametrize("rows", [2, 512])
def test_pairs_are_those_a_slow_loop_finds(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "_ROWS", rows)
    rng = np.random.default_rng(0)
    packed = rng.integers(0, 256, (12, 32), dtype=np.uint8)
    packed[7] = flipped(packed[2], list(range(26)))  # the last that is near
    packed[9] = flipped(packed[3], list(range(27)))  # the first that is not
    packed[11] = packed[0]
    others = np.roll(packed, 1, axis=0)
    for against in (packed, others):
        slow = {
            (i, j): int(np.unpackbits(packed[i] ^ against[j]).sum())
            for i in range(12)
            for j in range(i + 1, 12)
            if np.unpackbits(packed[i] ^ against[j]).sum() <= 26
        }
        found = {
            (int(i), int(j)): int(bits)
            for places, apart in hashes.pairs(packed, against)
            for (i, j), bits in zip(places, apart, strict=True)
        }
        assert found == slow
    assert {(2, 7): 26, (0, 11): 0}.items() <= {
        (int(i), int(j)): int(bits)
        for places, apart in hashes.pairs(packed, packed)
        for (i, j), bits in zip(places, apart, strict=True)
    }.items()


@pytest.mark.parametrize("most", [1, 1_000_000])
def test_a_forest_keeps_the_closest_links(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_MOST", most)
    forest = links.Forest(7)
    forest.add("near", np.array([[0, 1], [1, 2], [2, 0]]), np.array([5, 20, 7]))
    forest.add("file", np.array([[2, 1]]))
    forest.add("crop", np.array([[5, 4]]), np.array([0.06]))
    forest.add("mirrored", np.array([[4, 5]]), np.array([3]))
    assert forest.links() == [
        links.Link(1, 2, "file", 0.0),
        links.Link(0, 1, "near", 5.0),
        links.Link(4, 5, "mirrored", 3.0),
    ]
    labels = forest.groups()
    assert [group.tolist() for group in links.groups_of(labels)] == [[0, 1, 2], [4, 5]]
    assert [group.tolist() for group in links.groups_of(forest.groups(["file"]))] == [[1, 2]]


def test_a_forest_without_links() -> None:
    forest = links.Forest(3)
    assert forest.links() == []
    assert len(set(forest.groups().tolist())) == 3


def test_equal_values_are_joined_and_empty_ones_are_not() -> None:
    found = links.same(np.array([b"x", b"y", b"", b"x", b"", b"x"]))
    assert sorted(map(sorted, found.tolist())) == [[0, 3], [3, 5]]


def pictures(count: int, side: int = 64) -> np.ndarray:
    rng = np.random.default_rng(1)
    made = np.zeros((count, side, side, 3))
    for cells, strength in ((3, 0.4), (6, 0.3), (12, 0.2), (24, 0.1)):
        for image in made:
            small = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
            image += strength * np.asarray(Image.fromarray(small).resize((side, side)), float)
    return made.astype(np.uint8)


def tiny(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BOX))


def test_a_part_is_found_with_its_window() -> None:
    made = pictures(30)
    window = (0.25, 0.0625, 0.8125, 0.75)  # left, top, right, bottom
    left, top, right, bottom = (round(64 * edge) for edge in window)
    every = [tiny(image) for image in made]
    every.append(tiny(made[4][top:bottom, left:right]))
    (found,) = crops.find(np.stack(every), np.arange(31))
    assert (found.part, found.whole) == (30, 4)
    assert found.window == pytest.approx(window, abs=0.03)
    assert found.details > crops.DETAILS


def test_pictures_of_one_group_are_not_held_against_each_other() -> None:
    made = pictures(3)
    every = np.stack([*(tiny(image) for image in made), tiny(made[0][10:60, 10:60])])
    assert crops.find(every, np.array([0, 1, 2, 3])) != []
    assert crops.find(every, np.array([0, 1, 2, 0])) == []


def test_many_candidates_leave_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops, "_KEPT", 10)
    made = pictures(12)
    every = np.stack([*(tiny(image) for image in made), tiny(made[7][:50, 8:])])
    monkeypatch.setattr(crops, "_COARSE", 0.0)
    (found,) = crops.find(every, np.arange(13))
    assert (found.part, found.whole) == (12, 7)


@pytest.mark.parametrize("stage", ["_centred", "_fitted"])
def test_a_search_that_was_ended_goes_on(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended after half of the calls, it makes the others, and finds what one that went through finds."""
    monkeypatch.setattr("ltlib.datasets.threads.workers", lambda: 1)
    monkeypatch.setattr(crops, "_COARSE", 0.3)
    made = pictures(40)
    every = np.stack([*map(tiny, made), *(tiny(made[i][8:56, 4:58]) for i in range(8))])
    whole = crops.find(every, np.arange(48))
    assert [(part.part, part.whole) for part in whole] == [(40 + i, i) for i in range(8)]
    real, calls = getattr(crops, stage), list[int]()

    def counted(*given: object) -> object:
        calls.append(1)
        if len(calls) == ends:
            raise KeyboardInterrupt
        return real(*given)

    ends = 0
    monkeypatch.setattr(crops, stage, counted)
    crops.find(every, np.arange(48), "through")
    through = len(calls)
    calls.clear()
    ends = through // 2
    with pytest.raises(KeyboardInterrupt):
        crops.find(every, np.arange(48), "ended")
    ends = 0
    calls.clear()
    assert crops.find(every, np.arange(48), "ended") == whole
    assert len(calls) < 0.8 * through
    calls.clear()
    assert crops.find(every, np.arange(48), "ended") == whole
    assert len(calls) == through  # what was kept of the search is gone, the caller keeps what it found


def test_what_is_kept_of_a_piece_that_was_not_done_counts_once(reports: Path) -> None:
    from ltlib.audit.resumed import Resumed

    best = crops._Best()
    first = (np.array([3.0, 3.0]), np.array([1.0, 2.0]), np.array([0.0, 5.0]), np.array([0.9, 0.95]))
    best.add(*first)
    looked = Resumed("a key", 4, best.rows)
    looked.done(16)
    looked.save()
    again = crops._Best()
    kept = Resumed("a key", 4, again.rows)
    assert 16 in kept
    assert 0 not in kept
    again.add(*kept.before.T)
    again.add(*first)  # its piece is looked at again
    assert again.candidates() == {3: [(2, 5), (1, 0)]}


def test_many_pictures_have_a_progress_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every = np.stack([tiny(image) for image in pictures(40)])
    crops.find(every, np.arange(40))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(crops, "QUICK", 39)
    crops.find(every, np.arange(40))
    assert "looking for parts of other images: 3/3" in capsys.readouterr().err


def test_nothing_to_compare() -> None:
    assert crops.find(np.zeros((1, 32, 32, 3), np.uint8), np.zeros(1, np.int64)) == []


def test_flat_pictures_are_no_parts() -> None:
    flat = np.stack([np.full((32, 32, 3), value, np.uint8) for value in (0, 90, 91, 255)])
    assert crops.find(flat, np.arange(4)) == []


def test_the_faces_of_caltech_are_the_same_photographs() -> None:
    folder: Path = data_folder() / "caltech64"
    if not (folder / "images.npy").is_file():
        pytest.skip(f"{folder} is not there")
    import csv

    with (folder / "index.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    images = np.load(folder / "images.npy", mmap_mode="r")
    of_class = {name: [k for k, row in enumerate(rows) if row["class"] == name] for name in ("Faces", "Faces_easy")}
    chosen = [*of_class["Faces"][::12], *of_class["Faces_easy"][::12]]
    found = crops.find(np.stack([tiny(np.asarray(images[k])) for k in chosen]), np.arange(len(chosen)))
    half = len(chosen) // 2
    right = [part for part in found if part.part - part.whole == half]
    assert len(right) / half > 0.8
    assert len(right) >= len(found) - 2
