"""``ltlib compare`` as a user calls it: what it prints, the page, the model; and a set on which nothing works."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from ltlib import cli, models, runs, sealed
from ltlib.compare import candidates, experiments, results, target, usable
from ltlib.compare.experiments import Front
from ltlib.errors import DataError


@pytest.fixture
def backbone(tmp_path: Path) -> str:
    network = models.create("efficientnet_lite0[size=tiny]", 3, seed=3)
    sealed.write_tensors(tmp_path / "w.safetensors", network.backbone.state_dict())
    return f"efficientnet_lite0[size=tiny;weights={tmp_path / 'w.safetensors'}]"


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
    folder = written(tmp_path / "photos, mine", chosen, ("a [1]", "b=2", "c#3"))
    (folder / "b=2" / "broken.png").write_text("no picture")
    out = tmp_path / "out"
    arguments = ["compare", str(folder), "--backbone", backbone, "--splits", "2", "--methods", "balanced_softmax"]
    assert cli.main([*arguments, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "2 splits" in said.out
    assert "broken.png" in said.err  # named, and the rest is used
    page = (out / "report.html").read_text(encoding="utf-8")
    for part in ("Your images", "broken.png", "Balanced softmax", "c#3", "Confusion"):
        assert part in page
    model = out / "model"
    files = sorted((folder / "c#3").glob("*.png"))[:5]
    assert cli.main(["predict", str(model), *map(str, files)]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["path"] for row in rows] == [str(file) for file in files]
    assert {row["label"] for row in rows} <= {"a [1]", "b=2", "c#3"}


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
