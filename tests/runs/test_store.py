"""The run store: trained once, loaded ever after, and never shown where it is damaged, foreign or unfinished."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ltlib import calibration, experiment, metrics, places, progress, runs, sealed
from ltlib.errors import DataError, LockedError, RunError
from ltlib.experiment import Experiment
from ltlib.runs import Run
from ltlib.training import evaluation, residents, stages

Snapshot = Callable[[Path], dict[str, tuple[bytes, int]]]
COLUMNS = [
    "stage",
    "epoch",
    "lr",
    "seconds",
    "train_loss",
    "train_accuracy",
    "train_ece",
    "test_loss",
    "test_accuracy",
    "test_ece",
]


def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("this must not train")

    monkeypatch.setattr(stages, "run_stages", refuse)


def test_a_second_call_loads_and_touches_nothing(
    trained: Run, tiny: Experiment, reports: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_training(monkeypatch)
    before = snapshot(reports)
    again = runs.run(tiny)
    assert again.id == trained.id == tiny.run_id
    assert again.metrics == trained.metrics
    assert [run.id for run in runs.finished()] == [tiny.run_id]
    assert runs.verify() == []
    assert snapshot(reports) == before


def test_what_a_run_says_of_itself(trained: Run, tiny: Experiment) -> None:
    data = runs.load_data(tiny)
    assert list(trained.history.columns) == COLUMNS
    assert trained.history["epoch"].tolist() == [1, 2]
    assert trained.experiment == tiny
    assert trained.fingerprint == data.fingerprint == trained.subset_fingerprint
    assert trained.class_counts == list(data.class_counts)
    assert sum(trained.class_counts) == tiny.limit
    assert {name: tuple(group) for name, group in trained.groups.items()} == dict(data.groups)
    assert trained.selection == "best_test_loss"
    assert trained.parameters == sum(p.numel() for p in trained.network().parameters())
    assert trained.provenance["threads"] == 1
    assert {"torch", "python", "device", "commit"} <= set(trained.provenance)
    assert trained.seconds == pytest.approx(float(trained.history["seconds"].sum()))


def test_metrics_are_those_of_the_stored_logits(trained: Run, tiny: Experiment) -> None:
    data = runs.load_data(tiny)
    for name in ("last", "selected"):
        found, values = trained.predictions[name], trained.metrics[name]
        assert found.logits is not None
        assert np.array_equal(found.targets, data.test.targets)
        expected = metrics.evaluate(found.targets, found.logits.argmax(1), 10, trained.groups)
        assert values["accuracy"] == expected["accuracy"]
        assert values["per_class"] == expected["per_class"]
        rows = calibration.probabilities(found.logits)
        assert values["ece"] == calibration.expected_calibration_error(rows, found.targets)
        assert values["nll"] == pytest.approx(values["loss"], rel=1e-6), "for ce the loss is the likelihood"
        row = trained.history.set_index("epoch").loc[values["epoch"]]
        assert row["test_accuracy"] == pytest.approx(values["accuracy"], abs=1e-12)
        assert row["test_ece"] == pytest.approx(values["ece"], abs=1e-6)
    best = int(trained.history["test_loss"].to_numpy().argmin())
    assert trained.metrics["selected"]["epoch"] == trained.history["epoch"].iloc[best]


def test_a_changed_metric_needs_no_training(trained: Run, tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    no_training(monkeypatch)
    monkeypatch.setattr(calibration, "expected_calibration_error", lambda rows, targets: 0.125)
    assert runs.run(tiny).metrics["last"]["ece"] == 0.125


def test_the_network_is_the_one_that_made_the_logits(trained: Run, tiny: Experiment) -> None:
    data = runs.load_data(tiny)
    images = residents.resident(data.test, data, tiny.resolve(), torch.device("cpu"))
    for name in ("last", "selected"):
        logits = evaluation.predict(trained.network(name), images).numpy()
        stored = trained.predictions[name].logits
        assert stored is not None
        np.testing.assert_allclose(logits, stored, rtol=1e-5, atol=1e-6)


def test_training_is_refused_where_it_is_not_wanted(tiny: Experiment, reports: Path) -> None:
    with pytest.raises(RunError, match=rf"run {tiny.run_id} is not there; train it with"):
        runs.run(tiny, train=False)
    assert not reports.exists()


def test_missing_data_leaves_nothing_but_a_free_lock(tiny: Experiment, no_data: Path) -> None:
    exp = tiny.replace(dataset="cifar10")
    for _ in range(2):
        with pytest.raises(DataError, match="cifar"):
            runs.run(exp)
    assert runs.load(exp.run_id) is None


def test_a_claimed_run_is_refused_and_names_the_holder(tiny: Experiment) -> None:
    lock = places.runs_folder() / "locks" / f"{tiny.run_id}.lock"
    with (
        sealed.claim(lock, "it"),
        pytest.raises(LockedError, match=rf"run {tiny.run_id} is being worked on by process \d+ on "),
    ):
        runs.run(tiny)


# damage


def rewrite(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("name", ["run.json", "targets.npy", "history.csv", "metrics.json"])
def test_verify_finds_a_changed_byte_of_the_run(trained: Run, reports: Path, name: str) -> None:
    assert trained.folder is not None
    file = trained.folder / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert any(str(file) in line for line in runs.verify())


def test_a_changed_byte_of_the_logits_is_found_and_never_read(trained: Run, tiny: Experiment) -> None:
    (file,) = places.runs_folder().glob("stages/*/logits.safetensors")
    data = bytearray(file.read_bytes())
    data[-3] ^= 4
    file.write_bytes(data)
    assert runs.verify() == [f"{file} has changed since it was written"]
    with pytest.raises(RunError, match=r"logits\.safetensors has changed"):
        _ = runs.run(tiny).metrics


def test_a_renamed_run_is_found_and_never_shown(trained: Run, tiny: Experiment) -> None:
    assert trained.folder is not None
    other = tiny.replace(seed=1)
    trained.folder.rename(trained.folder.parent / other.run_id)
    assert runs.finished() == []
    with pytest.raises(RunError, match=f"holds run {tiny.run_id}, not {other.run_id}"):
        runs.run(other)
    assert len(runs.verify()) == 1


def test_a_run_with_other_settings_written_into_it_is_never_shown(trained: Run) -> None:
    assert trained.folder is not None
    file = trained.folder / "run.json"
    rewrite(file, identity=json.loads(file.read_text())["identity"] | {"seed": 9})
    assert runs.finished() == []
    assert len(runs.verify()) == 2  # its digest, its identity


def test_a_renamed_stage_is_found(trained: Run) -> None:
    (stage,) = (done.parent for done in places.runs_folder().glob("stages/*/DONE"))
    stage.rename(stage.parent / "0123456789ab")
    assert any("0123456789ab holds stage" in line for line in runs.verify())
    assert runs.load(trained.id) is None


def test_a_newer_run_is_neither_shown_nor_replaced(
    trained: Run, tiny: Experiment, reports: Path, snapshot: Snapshot
) -> None:
    assert trained.folder is not None
    rewrite(trained.folder / "DONE", format=2)
    before = snapshot(trained.folder)
    assert runs.load(tiny.run_id) is None
    assert runs.finished() == []
    with pytest.raises(RunError, match="use the ltlib that made it"):
        runs.run(tiny)
    assert snapshot(trained.folder) == before
    assert any("format 2" in line for line in runs.verify())


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"id": 3}'])
def test_a_foreign_run_file_is_named(trained: Run, tiny: Experiment, content: str) -> None:
    assert trained.folder is not None
    (trained.folder / "run.json").write_text(content)
    with pytest.raises(RunError, match=r"run\.json"):
        runs.run(tiny)
    assert runs.finished() == []
    assert len(runs.verify()) == 2
    shutil.rmtree(trained.folder)
    assert runs.run(tiny).metrics == trained.metrics, "deleting what is named and running again repairs it"


def test_an_unfinished_folder_is_trained_again(trained: Run, tiny: Experiment) -> None:
    assert trained.folder is not None
    (trained.folder / "DONE").unlink()
    assert runs.load(tiny.run_id) is None
    assert runs.run(tiny).id == tiny.run_id


def test_what_a_killed_writer_left_is_never_shown(trained: Run) -> None:
    assert trained.folder is not None
    for place in (trained.folder, *places.runs_folder().glob("stages/*")):
        if (place / "DONE").exists():
            place.rename(place.parent / f".ltlib-tmp-{place.name}")
    assert runs.finished() == []
    assert runs.verify() == []


def test_runs_of_changed_components_are_not_shown(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(experiment.VERSIONS, "training", 99)
    experiment._resolve.cache_clear()
    assert runs.finished() == []
    (line,) = runs.verify()
    assert "made by another version of its components" in line


def test_other_images_than_before_are_found(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trained.folder is not None
    rewrite(trained.folder / "run.json", fingerprint="0" * 64)
    sealed.seal(trained.folder)  # DONE lists itself no more than before
    lines = [line for line in runs.verify() if "other images" in line]
    assert len(lines) == 1


# records


def test_a_record_gives_the_same_numbers(trained: Run, tiny: Experiment, reports: Path) -> None:
    expected = trained.metrics
    trained.record(reports / "laptop" / "records")
    shutil.rmtree(places.runs_folder())
    (found,) = runs.finished()
    assert (found.profile, found.folder) == ("laptop", None)
    assert found.experiment == tiny
    pd.testing.assert_frame_equal(found.history, trained.history, check_exact=False, rtol=1e-6)
    for name in ("last", "selected"):
        assert found.metrics[name]["per_class"]["support"] == expected[name]["per_class"]["support"]
        for key in ("accuracy", "f1", "ece", "mce", "nll", "brier", "loss", "epoch", "balanced_accuracy"):
            assert found.metrics[name][key] == pytest.approx(expected[name][key], rel=1e-6)
        assert np.array_equal(found.predictions[name].predicted, trained.predictions[name].predicted)
        np.testing.assert_allclose(found.predictions[name].confidence, trained.predictions[name].confidence, atol=1e-3)
        assert found.predictions[name].logits is None
    with pytest.raises(RunError, match=f"run {tiny.run_id} is here only as a record"):
        found.network()
    assert runs.verify() == []


def test_a_damaged_or_renamed_record_is_named(trained: Run, reports: Path) -> None:
    record = trained.record(reports / "laptop" / "records")
    shutil.rmtree(places.runs_folder())
    record.with_suffix(".npz").rename(record.parent / "0123456789ab.npz")
    record.rename(record.parent / "0123456789ab.json")
    assert runs.finished() == []
    assert len(runs.verify()) == 1
    (record.parent / "0123456789ab.json").write_text("{")
    assert "0123456789ab.json" in runs.verify()[0]


@pytest.mark.parametrize(("classes", "epochs"), [(10, 200), (100, 200)])
def test_a_record_of_10000_images_stays_below_100_kb(trained: Run, tmp_path: Path, classes: int, epochs: int) -> None:
    """Two selections of 10,000 undecided predictions, and the history of the longest recipe."""
    draw = np.random.default_rng(0)
    targets = np.repeat(np.arange(classes), 10_000 // classes)
    logits = draw.normal(size=(10_000, classes)).astype(np.float32)
    logits[np.arange(10_000), targets] += 3
    found = runs.Predictions.from_logits(logits, targets)
    history = pd.DataFrame(draw.random((epochs, len(COLUMNS))), columns=COLUMNS)
    thirds = np.array_split(np.arange(classes), 3)
    facts = dict(trained._facts) | {
        "history": history.to_csv(index=False),
        "class_counts": list(range(classes, 0, -1)),
        "class_names": [f"a class of pictures {i}" for i in range(classes)],
        "groups": {name: group.tolist() for name, group in zip(("head", "middle", "tail"), thirds, strict=True)},
    }
    run = Run(facts, trained.folder, None, None)
    other = runs.Predictions.from_logits(logits[::-1].copy(), targets[::-1].copy())
    run.__dict__["predictions"] = {
        "last": found,
        "selected": runs.Predictions(targets, other.predicted, other.confidence, logits),
    }
    path = run.record(tmp_path / "records")
    assert path.stat().st_size + path.with_suffix(".npz").stat().st_size < 100_000


# data and method variants


def test_a_validation_set_is_cut_from_training_and_selects(tiny: Experiment) -> None:
    recipe = "convergent[augmentation=shift1;epochs=2;selection=best_validation_loss]"
    exp = tiny.replace(validation="subset", recipe=recipe, limit=100)
    run = runs.run(exp)
    data = runs.load_data(exp)
    assert data.validation is not None
    assert len(data.train) + len(data.validation) == 100
    assert run.class_counts == list(data.class_counts) != list(data.subset_counts)
    assert {"validation_loss", "validation_accuracy", "validation_ece"} <= set(run.history.columns)
    best = run.history.set_index("epoch")["validation_loss"].idxmin()
    assert run.metrics["selected"]["epoch"] == best


def test_two_stages_have_one_history_and_the_last_stages_metrics(tiny: Experiment) -> None:
    run = runs.run(tiny.replace(method="supcon", limit=60))
    assert run.history["stage"].tolist() == [1, 1, 2]
    assert math.isnan(run.history["test_loss"][0])
    assert run.metrics["last"]["loss"] == pytest.approx(run.history["test_loss"].iloc[-1])
    assert run.metrics["last"]["epoch"] == 1


def test_another_seed_gives_another_result_and_the_same_one_the_same(
    trained: Run, tiny: Experiment, reports: Path
) -> None:
    other = runs.run(tiny.replace(seed=1))
    assert not np.array_equal(other.predictions["last"].logits, trained.predictions["last"].logits)  # type: ignore[arg-type]
    assert other.fingerprint == trained.fingerprint
    shutil.rmtree(reports)
    again = runs.run(tiny)
    assert again.metrics == trained.metrics


def test_a_live_kernel_sees_a_training_from_its_first_second(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(progress, "in_kernel", lambda: True)
    monkeypatch.setattr(progress.Progress, "_show_in_kernel", lambda self, line: seen.append(line))
    exp = Experiment("digits", 20, "resnet8", "ce", "convergent[augmentation=shift1;epochs=2]", limit=40)
    monkeypatch.setenv("LTLIB_HEADLESS", "1")
    assert runs.run(exp).history["epoch"].max() == 2  # the chain runs this kernel, and nobody watches
    assert seen == []
    monkeypatch.delenv("LTLIB_HEADLESS")
    heard: list[int] = []
    runs.run(exp.replace(seed=1), report=lambda row: heard.append(int(row["epoch"])))
    assert (heard, seen) == ([1, 2], [])
    runs.run(exp.replace(seed=2))
    assert seen[0] == "ce on digits, epochs: 0/2, 0 s"
    assert seen[-1].startswith("ce on digits, epochs: 2/2")
