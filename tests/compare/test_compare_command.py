"""``ltlib compare`` as a user calls it: what it prints, the page, the model; and a set on which nothing works."""

from __future__ import annotations

import csv
import html
import os
import re
import shlex
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from ltlib import cli, models, runs, sealed
from ltlib.compare import candidates, comparison, experiments, results, target, usable
from ltlib.compare.choices import Choices
from ltlib.compare.experiments import Front
from ltlib.errors import DataError
from ltlib.files import read_json
from ltlib.pages import declared
from ltlib.pages.page import Page
from ltlib.sections import own_classes, own_images
from ltlib.version import __version__


@pytest.fixture
def backbone(tmp_path: Path) -> str:
    network = models.create("efficientnet_lite0[size=tiny]", 3, seed=3)
    sealed.write_tensors(tmp_path / "w.safetensors", network.backbone.state_dict())
    return f"efficientnet_lite0[size=tiny;weights={tmp_path / 'w.safetensors'}]"


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained here, without the start of other processes."""
    monkeypatch.setattr(comparison.sweep, "run_all", lambda planned, **_: [runs.run(one) for one in planned])


def written(top: Path, labels: np.ndarray, names: tuple[str, ...]) -> Path:
    """The first digits as PNG files, in the folders that their labels say."""
    digits = load_digits()
    for i, label in enumerate(labels):
        (top / names[label]).mkdir(parents=True, exist_ok=True)
        grey = np.rint(digits.images[i] * 255 / 16).astype(np.uint8)
        Image.fromarray(grey).convert("RGB").save(top / names[label] / f"{i:03}.png")
    return top


def test_from_a_folder_to_a_page_and_a_model(
    backbone: str, reports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    actual = load_digits().target[:120]
    chosen = np.where(actual < 3, 0, np.where(actual < 5, 1, 2))
    folder = written(tmp_path / "photos, [mine]; x=1 @2 #3", chosen, ("a [1]", "b=2", "c#3"))
    (folder / "b=2" / "broken.png").write_text("no picture")
    odd = os.fsencode(folder / "b=2") + b"/caf\xe9.png"
    Path(os.fsdecode(odd)).write_bytes((folder / "b=2" / "003.png").read_bytes())
    closed(folder)
    out = tmp_path / "out"
    arguments = ["compare", str(folder), "--backbone", backbone, "--splits", "2", "--methods", "balanced_softmax"]
    assert cli.main([*arguments, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "2 splits" in said.out
    assert "broken.png" in said.err  # named, and the rest is used
    page = (out / "report.html").read_text(encoding="utf-8")
    parts = ("Your images", "broken.png", "caf\\xe9.png", "Balanced softmax", "c#3", "Confusion")
    parts += (
        "Class groups",
        "Recall by class",
        "t-SNE of what the classifier is given",
        "has an ECE of",
        "memory (GiB)",
    )
    for part in parts:
        assert part in page
    assert "stand in for every data set" not in page  # a profile's words
    again = (out / "again.sh").read_text(encoding="utf-8").splitlines()
    assert again[:2] == ["#!/bin/sh", f"# ltlib {__version__}"]
    assert html.escape(again[2], quote=False) in page
    words = shlex.split(again[2])
    assert words[:3] == ["ltlib", "compare", str(folder)]
    assert words[words.index("--backbone") + 1] == backbone
    assert read_json(out / "model" / "model.json")["command"] == again[2]
    for figure in re.findall(r'alt="([^"]*)"', page):
        assert re.search(r"\d", figure), figure
    model = out / "model"
    files = sorted((folder / "c#3").glob("*.png"))[:5]
    assert cli.main(["predict", str(model), *map(str, files)]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["path"] for row in rows] == [str(file) for file in files]
    assert {row["label"] for row in rows} <= {"a [1]", "b=2", "c#3"}


def closed(top: Path) -> None:
    """Take away the right to write; root keeps it, and then nothing new must be there afterwards."""
    for path in [top, *top.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_steps_that_are_left_out(
    backbone: str,
    in_process: None,
    reports: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = written(tmp_path / "two", np.arange(60) % 2, ("x", "y"))
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}
    closed(folder)
    arguments = ["compare", str(folder), "--backbone", backbone, "--splits", "2", "--methods", "ce + prior"]
    assert cli.main([*arguments, "--skip", "comparison"]) == 0
    assert "2 classes, 60 images" in capsys.readouterr().err
    assert not (reports / "runs").exists()
    monkeypatch.setattr(usable, "look", lambda *_, **__: pytest.fail("the audit was not left out"))
    assert cli.main([*arguments, "--skip", "audit", "report", "model"]) == 0
    said = capsys.readouterr()
    assert "2 splits" in said.out
    assert "skip audit report model" in said.out
    place = reports / "own" / "two"
    assert [path.name for path in place.iterdir()] == ["again.sh"]
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]} == before
    assert cli.main([*arguments, "--skip", "audits"]) != 0
    assert "no step that can be skipped" in capsys.readouterr().err


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no other disk here")
def test_images_on_another_disk(
    backbone: str, in_process: None, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = written(Path(name) / "set", np.arange(40) % 2, ("x", "y"))
        assert folder.stat().st_dev != reports.parent.stat().st_dev
        arguments = ["compare", str(folder), "--backbone", backbone, "--splits", "2", "--methods", "ce + prior"]
        assert cli.main([*arguments, "--skip", "report"]) == 0
        assert (reports / "own" / "set" / "model" / "DONE").is_file()
        assert "Use Plain" in (said := capsys.readouterr().out) or "Nothing works" in said or "No difference" in said


def test_a_list_with_a_thousand_classes(backbone: str, in_process: None, reports: Path, tmp_path: Path) -> None:
    """Relative paths, a label with a comma, a line that comes twice."""
    (tmp_path / "images").mkdir()
    rows = ["path,label"]
    noise = np.random.default_rng(0).integers(0, 256, (2000, 4, 4, 3), dtype=np.uint8)
    for i, pixels in enumerate(noise):
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")
        rows.append(f'images/{i}.png,"class {i % 1000}, of many"')
    (tmp_path / "list.csv").write_text("\n".join([*rows, rows[1]]) + "\n")
    choices = Choices(str(tmp_path / "list.csv"), methods=("ce + prior",), splits=2, skip=("parts",))
    front = Front(backbone, "probe[epochs=1;resize=24]", 8, "")
    made = comparison.prepare(choices, front)
    assert made.audit is not None
    assert len(made.audit.class_names) == 1000
    assert made.audit.class_names[0] == "class 0, of many"
    found = made.run()
    said = found.recommendation()
    page = Page(declared.find("your_images", {}), "quick")
    own_classes.show_curves(page, found, said)
    own_classes.show_classes(page, found, said)
    own_classes.show_groups(page, found)
    assert len(page.frames["Classes, one by one"]) == 1000
    (shown,) = reports.rglob("figure-confusion.csv")
    assert len(shown.read_text().splitlines()) <= 1 + 2 * 1000  # cells with an image, not all of a million
    assert page.frames["Groups"].columns.tolist() == ["method", "head (%)", "middle (%)", "tail (%)"]


def test_whole_networks_beside_frozen_ones(
    backbone: str,
    in_process: None,
    reports: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def small(front: Front) -> Front:
        return Front(front.model, "loss_balance[epochs=2;normalise=signed]", 16, "All of it trained.", whole=True)

    monkeypatch.setattr(experiments, "tuned", small)
    folder = written(tmp_path / "two", np.arange(60) % 2, ("x", "y"))
    arguments = ["compare", str(folder), "--backbone", backbone, "--splits", "4", "--methods", "focal", "--full"]
    assert cli.main([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert "8 trainings, about" in said  # plain and focal on four splits
    assert "9 trainings of the whole network" in said  # plain, balanced softmax and cRT on three
    assert cli.main([*arguments, "--skip", "report", "model"]) == 0
    said = capsys.readouterr().out
    assert "on the same 3 splits" in said
    choices = Choices(str(folder), methods=("focal",), splits=4, backbone=backbone, full=True)
    made = comparison.prepare(choices)
    found = made.run()
    page = Page(declared.find("your_images", {}), "quick")
    own_images.show_whole(page, made, found, found.recommendation())
    assert page.frames["Trained whole"]["method"].tolist()[:2] == [
        "Plain training",
        "Plain training, prior adjusted afterwards",
    ]
    capsys.readouterr()
    assert cli.main([*arguments, "--dry-run"]) == 0
    assert "8 trainings, 8 of them done already, about 0 s" in capsys.readouterr().err


def test_pixels_as_the_network_knows_them(backbone: str) -> None:
    assert "normalise" not in experiments.front(backbone).recipe  # the recipe's own, EfficientNet-Lite's
    tuned = experiments.tuned(experiments.front(backbone))
    assert tuned.whole
    assert "normalise=signed" in tuned.recipe
    assert tuned.size == 224


def test_what_would_be_done(backbone: str, reports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path / "two", np.arange(60) % 2, ("x", "y"))
    assert cli.main(["compare", str(folder), "--backbone", backbone, "--splits", "3", "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert "24 trainings" in said  # eight methods on three splits; the ninth is plain training adjusted
    assert "48 images to train on, 12 to test on" in said
    assert not list(reports.glob("runs/*/DONE"))


def test_one_class_is_refused(reports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path / "one", np.zeros(20, int), ("x",))
    assert cli.main(["compare", str(folder)]) != 0
    assert "at least two" in capsys.readouterr().err


def test_labels_that_mean_nothing_are_recognised(backbone: str, reports: Path, tmp_path: Path) -> None:
    labels = np.random.default_rng(0).choice(3, 240, p=[0.5, 0.3, 0.2])
    folder = written(tmp_path / "random", labels, ("a", "b", "c"))
    _, listed = usable.of(str(folder))
    tried = candidates.chosen(("ce + prior", "balanced_softmax"))
    front = Front(backbone, "probe[epochs=10;resize=24]", 8, "")
    planned = experiments.plan(experiments.dataset(str(listed), 8), front, tried, splits=4)
    found = results.gathered(target.of("balanced", "abc", (1, 1, 1)), tried, [runs.run(one) for one in planned])
    assert found.recommendation().verdict == "nothing works"


def test_near_duplicates_are_kept_together(reports: Path, tmp_path: Path) -> None:
    pytest.importorskip("imagehash", reason="comes with ltlib[images]")
    from ltlib.datasets import digits_natural

    audit, listed = usable.of(str(digits_natural.folder()))
    with listed.open(encoding="utf-8", newline="") as stream:
        rows = {Path(row["path"]).as_posix(): row["group"] for row in csv.DictReader(stream)}
    planted = digits_natural.PLANTED
    for pair in (planted.copies, planted.torn, planted.near):
        one, two = (next(group for path, group in rows.items() if path.endswith(name)) for name in pair)
        assert one == two != ""
    assert not any(path.endswith(planted.broken) for path in rows)
    assert audit.found("broken") is not None
    with pytest.raises(DataError):
        usable.of(str(tmp_path / "none"))
