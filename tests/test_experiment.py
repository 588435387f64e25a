"""What identifies a run: everything that can change a result, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltlib import experiment
from ltlib.errors import LtlibError, SettingError, UnknownName
from ltlib.experiment import Experiment

GOLDEN = Path(__file__).parent / "golden" / "run_ids.json"
PLAIN = Experiment(dataset="cifar10", imbalance_factor=100, model="resnet32", method="focal", recipe="ldam")


@pytest.mark.parametrize("name", sorted(json.loads(GOLDEN.read_text())))
def test_golden_ids(name: str, no_data: Path) -> None:
    known = json.loads(GOLDEN.read_text())[name]
    assert Experiment.from_settings(known["experiment"]).run_id == known["id"], (
        "the identity of a known experiment has changed, so every stored run and committed record is lost to it. If a "
        "component's numbers changed on purpose (its version was bumped), write the new id into "
        "tests/golden/run_ids.json and say so in the change; otherwise undo what changed the identity: a new setting "
        "must leave its default out of identity()"
    )


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.replace(imbalance_factor=100.0),
        PLAIN.replace(method="focal[gamma=2]"),
        PLAIN.replace(method="focal[alpha=none; gamma=2.0]"),
        PLAIN.replace(recipe="ldam[epochs=200;lr=0.1]"),
        PLAIN.replace(recipe="ldam[milestones=0.8+0.9]"),
        PLAIN.replace(precision="float32"),
        PLAIN.replace(recipe="ldam[precision=float32]"),
        PLAIN.replace(recipe="ldam[precision=bf16]", precision="float32"),
    ],
)
def test_two_spellings_are_one_run(other: Experiment) -> None:
    assert other.run_id == PLAIN.run_id


def test_a_recipe_is_its_values_not_its_name() -> None:
    spelled = (
        "ldam[epochs=100;batch_size=32;weight_decay=0.0001;milestones=7.0+8.0+9.0;decay=0.1;warmup_epochs=0;"
        "augmentation=flip+vflip+rotate10;normalise=unit_twice;selection=best_test_loss;patience=10;evaluate_every=1]"
    )
    assert PLAIN.replace(method="ce", recipe=spelled).run_id == PLAIN.replace(method="ce", recipe="convergent").run_id


CHANGES = {
    "dataset": "cifar100",
    "imbalance_factor": 50,
    "model": "resnet20",
    "method": "focal[gamma=1]",
    "recipe": "ldam[lr=0.05]",
    "imbalance_type": "step",
    "order": "ascending",
    "class_counts": (9,) * 10,
    "subset": "ldam",
    "subset_seed": 1,
    "validation": "subset",
    "limit": 100,
    "test_per_class": 50,
    "precision": "bf16",
    "seed": 1,
}


def test_every_setting_that_matters_changes_the_id() -> None:
    assert set(CHANGES) == {field.name for field in dataclasses.fields(Experiment)}, "a setting was added: say it here"
    ids = {PLAIN.replace(**{name: value}).run_id for name, value in CHANGES.items()}
    assert len(ids | {PLAIN.run_id}) == 1 + len(CHANGES)


@pytest.mark.parametrize("part", sorted(experiment.VERSIONS))
def test_a_bumped_version_changes_the_id(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    before = PLAIN.run_id
    monkeypatch.setitem(experiment.VERSIONS, part, experiment.VERSIONS[part] + 1)
    assert PLAIN.run_id != before


def test_nothing_of_this_machine_is_in_the_identity(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_data: Path
) -> None:
    before = json.dumps(PLAIN.resolve().identity())
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "other"))
    monkeypatch.setenv("LTLIB_DEVICE", "cuda")
    monkeypatch.chdir(tmp_path)
    experiment._resolve.cache_clear()
    assert json.dumps(PLAIN.resolve().identity()) == before
    assert list(no_data.iterdir()) == []


def test_stages_that_start_alike_are_shared() -> None:
    probes = [PLAIN.replace(method=f"supcon[probe_epochs={share}]").resolve() for share in (0.1, 0.2)]
    assert probes[0].stage_id(0) == probes[1].stage_id(0)
    assert probes[0].stage_id(1) != probes[1].stage_id(1)
    assert probes[0].run_id != probes[1].run_id
    colder = PLAIN.replace(method="supcon[temperature=0.1]").resolve()
    assert colder.stage_id(0) != probes[0].stage_id(0)


def test_the_last_stage_has_the_runs_identity() -> None:
    resolved = PLAIN.replace(method="supcon").resolve()
    assert resolved.stage_id(1) == resolved.run_id != resolved.stage_id(0)
    assert [resolved.epochs(i) for i in (0, 1)] == [200, 40]
    assert PLAIN.replace(method="supcon", recipe="ldam[epochs=2]").resolve().epochs(1) == 1


def test_cells_gather_runs_that_differ_in_their_seeds() -> None:
    assert PLAIN.replace(seed=3, subset_seed=2).cell_id == PLAIN.cell_id
    assert PLAIN.replace(seed=3, limit=9).cell_id != PLAIN.cell_id


def test_settings_go_through_json() -> None:
    for exp in (PLAIN, PLAIN.replace(class_counts=[3] * 10), PLAIN.replace(limit=7, precision="bf16")):
        again = Experiment.from_settings(json.loads(json.dumps(exp.settings())))
        assert again == exp
        assert again.run_id == exp.run_id


@pytest.mark.parametrize(
    "changes",
    [
        {"imbalance_factor": 0.5},
        {"imbalance_factor": float("nan")},
        {"imbalance_factor": float("inf")},
        {"imbalance_factor": "100"},
        {"imbalance_factor": True},
        {"seed": -1},
        {"seed": 2**32},
        {"seed": "3"},
        {"seed": 1.0},
        {"subset_seed": True},
        {"limit": 0},
        {"test_per_class": 0},
        {"limit": True},
        {"limit": 2.5},
        {"precision": "fp16"},
        {"imbalance_type": "linear"},
        {"imbalance_type": "explicit"},
        {"order": "up"},
        {"subset": "last"},
        {"validation": "test"},
    ],
)
def test_settings_outside_their_range_are_refused_at_once(changes: dict[str, object]) -> None:
    with pytest.raises(SettingError, match=next(iter(changes))):
        PLAIN.replace(**changes)


@pytest.mark.parametrize(
    ("changes", "plain"),
    [
        ({"seed": np.int64(3)}, {"seed": 3}),
        ({"subset_seed": np.uint32(2**32 - 1)}, {"subset_seed": 2**32 - 1}),
        ({"limit": np.int16(90)}, {"limit": 90}),
        ({"imbalance_factor": np.int64(50)}, {"imbalance_factor": 50.0}),
        ({"imbalance_factor": np.float32(435.44)}, {"imbalance_factor": 435.44}),
        ({"class_counts": np.arange(10, 0, -1)}, {"class_counts": tuple(range(10, 0, -1))}),
    ],
)
def test_numbers_from_numpy_are_numbers(changes: dict[str, object], plain: dict[str, object]) -> None:
    made = PLAIN.replace(**changes)
    assert made == PLAIN.replace(**plain)
    assert made.run_id == PLAIN.replace(**plain).run_id
    assert json.loads(json.dumps(made.settings())) == PLAIN.replace(**plain).settings()


@pytest.mark.parametrize("wrong", [5.9, 5.0, True, np.True_, "5", float("nan"), None, -1, np.float32(5)])
def test_a_class_count_that_is_not_whole_is_refused(wrong: object) -> None:
    with pytest.raises(SettingError, match=r"class_counts\[1\] must be a whole number of at least 0, not"):
        PLAIN.replace(class_counts=(9, wrong, *[2] * 8))


@pytest.mark.parametrize("wrong", [5, "5555555555", 2.5])
def test_class_counts_are_one_number_a_class(wrong: object) -> None:
    with pytest.raises(SettingError, match="class_counts must be whole numbers, one a class"):
        PLAIN.replace(class_counts=wrong)


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"dataset": "cifar11"}, UnknownName, "did you mean cifar10"),
        ({"model": "resnet31"}, UnknownName, "did you mean resnet"),
        ({"method": "focall"}, UnknownName, "did you mean focal"),
        ({"recipe": "ldma"}, UnknownName, "did you mean ldam"),
        ({"recipe": "ldam[selection=best_validation_loss]"}, SettingError, "validation='subset'"),
        ({"class_counts": (5, 3)}, SettingError, "2 numbers, cifar10 has 10 classes"),
        ({"dataset": "folder:/nowhere/at/all"}, LtlibError, "/nowhere/at/all"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(
    changes: dict[str, str], kind: type[LtlibError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence.replace("(", r"\(")):
        _ = PLAIN.replace(**changes).run_id


def test_a_folder_is_known_by_its_content_not_its_place(tmp_path: Path) -> None:
    here = tmp_path / "here"
    for name in ("ant", "bee"):
        for i in range(6):
            file = here / name / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(i).integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(file)
    first = Experiment(dataset=f"folder:{here}@8", imbalance_factor=1, recipe="ldam")
    before = first.run_id
    shutil.copytree(here, tmp_path / "there")
    assert first.replace(dataset=f"folder:{tmp_path / 'there'}@8").run_id == before
    (here / "ant" / "0.png").unlink()
    assert first.run_id != before, "the images changed, and so must the run"
