"""What post-hoc methods change: the numbers of a report, of a run with held-out images, and of its record."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ltlib import calibration, places, runs, sealed
from ltlib.calibration import conformal, crossfit, effects, posthoc, vector
from ltlib.errors import RunError
from ltlib.experiment import Experiment
from ltlib.runs import Predictions, Run
from ltlib.training import evaluation, residents, stages

GROUPS = {"head": [0, 1], "tail": [2, 3], "none": []}
COUNTS = [60, 20, 6, 2]


def case(seed: int, images: int, counts: list[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Logits that know the class a little and the prior well."""
    draw = np.random.default_rng(seed)
    targets = np.repeat(range(4), counts or [images // 4] * 4)
    logits = draw.normal(size=(len(targets), 4)) + 2 * np.log(COUNTS)
    logits[np.arange(len(targets)), targets] += 2
    return logits, targets


def test_each_method_is_what_it_says() -> None:
    test, held = case(0, 400), case(1, 0, [24, 8, 3, 1])
    found = effects.before_and_after(*test, *held, COUNTS, GROUPS)
    assert tuple(found) == effects.METHODS
    plain, balanced = (posthoc.fit_temperature(*held, balanced=b) for b in (False, True))
    tau, temperature = posthoc.fit_adjustment(*held, COUNTS)
    scaled = vector.fit_vector_scaling(*held, balanced=True)
    rows = {
        "none": calibration.probabilities(test[0]),
        "temperature": calibration.probabilities(test[0] / plain),
        "temperature_balanced": calibration.probabilities(test[0] / balanced),
        "isotonic": posthoc.isotonic_probabilities(test[0], *held),
        "logit_adjustment": calibration.probabilities(test[0] - np.log(COUNTS)),
        "logit_adjustment_fitted": calibration.probabilities((test[0] - tau * np.log(COUNTS)) / temperature),
        "vector_scaling": calibration.probabilities(vector.apply_vector_scaling(test[0], scaled)),
    }
    for name, values in found.items():
        assert values["accuracy"] == np.mean(rows[name].argmax(1) == test[1])
        assert values["held_out"] == 36
        assert values["nll"] == pytest.approx(calibration.negative_log_likelihood(rows[name], test[1]))
        assert values["ece"] == pytest.approx(calibration.expected_calibration_error(rows[name], test[1]))
        chance = calibration.debiased_from_confidence(rows[name].max(1), rows[name].argmax(1) == test[1])
        assert (values["ece_floor"], values["ece_debiased"]) == pytest.approx((chance.floor, chance.debiased))
        tail = test[1] >= 2
        assert values["groups"]["tail"]["accuracy"] == np.mean(rows[name].argmax(1)[tail] == test[1][tail])
        tail_error = calibration.expected_calibration_error(rows[name][tail], test[1][tail])
        assert values["groups"]["tail"]["ece"] == pytest.approx(tail_error)
        assert values["groups"]["none"] == {"accuracy": None, "ece": None}
    assert found["temperature"]["parameters"] == {"temperature": plain}
    assert found["temperature_balanced"]["parameters"] == {"temperature": balanced}
    assert found["logit_adjustment"]["parameters"] == {"tau": 1.0}
    assert found["logit_adjustment_fitted"]["parameters"] == {"tau": tau, "temperature": temperature}
    assert found["temperature"]["accuracy"] == found["none"]["accuracy"]
    assert found["logit_adjustment_fitted"]["accuracy"] > found["none"]["accuracy"] + 0.1


def test_folds_and_sets_are_what_they_say() -> None:
    test, held = case(0, 400), case(1, 0, [24, 8, 3, 1])
    found = effects.before_and_after(*test, *held, COUNTS, GROUPS)
    assert tuple(name for name in found if "cross_fitted" in found[name]) == effects.CROSS_FITTED
    assert tuple(name for name in found if "sets" in found[name]) == effects.IN_SETS
    fold = crossfit.folds(held[1])
    rows = np.empty((36, 4))
    taus = []
    for out in range(5):
        logits, targets = held[0][fold != out], held[1][fold != out]
        tau, temperature = posthoc.fit_adjustment(logits, targets, COUNTS)
        taus.append(tau)
        rows[fold == out] = calibration.probabilities((held[0][fold == out] - tau * np.log(COUNTS)) / temperature)
    crossed = found["logit_adjustment_fitted"]["cross_fitted"]
    assert crossed["folds"] == 5
    assert crossed["parameters"]["tau"] == pytest.approx(taus)
    by_class = [-np.log(rows[held[1] == c, c]).mean() for c in range(4)]
    assert crossed["nll"] == pytest.approx(np.mean(by_class))
    # one threshold: the ceil(37 * 0.9) = 34th of the 36 cross-fitted scores
    limit = np.sort(1 - rows[np.arange(36), held[1]])[33]
    tau, temperature = posthoc.fit_adjustment(*held, COUNTS)
    inside = 1 - calibration.probabilities((test[0] - tau * np.log(COUNTS)) / temperature) <= limit
    kept = found["logit_adjustment_fitted"]["sets"]
    one = dict(zip(kept["columns"], kept["threshold"]["all"], strict=True))
    own = inside[np.arange(400), test[1]]
    assert one["coverage"] == pytest.approx(own.mean())
    assert one["coverage tail"] == pytest.approx(own[test[1] >= 2].mean())
    assert one["size"] == pytest.approx(inside.sum(axis=1).mean(), abs=5e-5)
    assert (one["images"], one["images tail"], one["never out"]) == (400, 200, 0)
    assert not any("none" in name for name in kept["columns"]), "a group without images has no coverage"
    each = dict(zip(kept["columns"], kept["threshold"]["classes"], strict=True))
    assert each["never out"] == 3  # fewer than nine held-out images
    assert set(kept["adaptive"]) == set(conformal.WAYS)


def test_groups_that_leave_out_a_class_have_no_thresholds_of_their_own() -> None:
    found = effects.before_and_after(*case(0, 40), *case(1, 0, [24, 8, 3, 1]), COUNTS, {"head": [0]})
    assert set(found["none"]["sets"]["threshold"]) == {"all", "balanced", "classes"}


def test_one_held_out_image_cannot_be_crossed() -> None:
    found = effects.before_and_after(*case(0, 40), *case(1, 0, [1, 0, 0, 0]), COUNTS, GROUPS)
    assert list(found) == list(effects.METHODS)
    assert not any("cross_fitted" in values or "sets" in values for values in found.values())


def test_bins_come_back_as_the_table_they_were() -> None:
    test, held = case(0, 400), case(1, 0, [24, 8, 3, 1])
    found = effects.before_and_after(*test, *held, COUNTS, GROUPS)["none"]
    json.dumps(found, allow_nan=False)
    assert None in found["bins"]["accuracy"]
    confidence, correct = calibration.confidence_and_correct(calibration.probabilities(test[0]), test[1])
    expected = calibration.reliability(confidence, correct)
    kept = {name: [np.nan if v is None else v for v in values] for name, values in found["bins"].items()}
    pd.testing.assert_frame_equal(pd.DataFrame(kept), expected[["count", "confidence", "accuracy"]])


def test_means_leave_out_groups_without_images() -> None:
    held = case(1, 0, [24, 8, 3, 1])
    each = [effects.before_and_after(*case(seed, 400), *held, COUNTS, GROUPS)["temperature"] for seed in (0, 2)]
    mean = effects.mean_of(each)
    assert mean["ece"] == pytest.approx((each[0]["ece"] + each[1]["ece"]) / 2)
    assert mean["groups"].keys() == {"head", "tail"}
    assert mean["groups"]["tail"] == pytest.approx(np.mean([one["groups"]["tail"]["ece"] for one in each]))
    assert mean["parameters"] == each[0]["parameters"]
    assert mean["held_out"] == 36


def test_a_class_without_training_images_leaves_the_adjustments_out() -> None:
    found = effects.before_and_after(*case(0, 40), *case(1, 0, [5, 5, 5, 0]), [60, 20, 6, 0], GROUPS)
    assert list(found) == ["none", "temperature", "temperature_balanced", "isotonic", "vector_scaling"]


# runs


@pytest.fixture
def held(tiny: Experiment) -> Experiment:
    """Trains on the digits with a tenth held out."""
    return tiny.replace(validation="subset", limit=100)


def test_a_run_with_held_out_images(held: Experiment) -> None:
    run, data = runs.run(held), runs.load_data(held)
    assert data.validation is not None
    assert run.held_out is not None
    images = residents.resident(data.validation, data, held.resolve(), torch.device("cpu"))
    for selection in ("last", "selected"):
        found = run.held_out[selection]
        assert np.array_equal(found.targets, data.validation.targets)
        assert found.logits is not None
        np.testing.assert_allclose(
            found.logits, evaluation.predict(run.network(selection), images), rtol=1e-5, atol=1e-6
        )
        said = run.predictions[selection]
        expected = effects.before_and_after(
            said.logits,
            said.targets,
            found.logits,
            found.targets,
            run.class_counts,
            run.groups,  # type: ignore[arg-type]
        )
        assert run.metrics[selection]["posthoc"] == expected
        before = run.metrics[selection]["posthoc"]["none"]
        for key in ("accuracy", "ece", "ace", "classwise_ece", "mce", "brier", "nll"):
            assert before[key] == pytest.approx(run.metrics[selection][key], abs=1e-12)
        assert before["groups"]["tail"]["ece"] == pytest.approx(run.metrics[selection]["groups"]["tail"]["ece"])
    last = run.history["validation_accuracy"].iloc[-1]
    assert np.mean(run.held_out["last"].predicted == run.held_out["last"].targets) == pytest.approx(last)
    assert runs.verify() == []


def test_the_selected_weights_see_the_held_out_images_and_the_last_go_on(held: Experiment, tmp_path: Path) -> None:
    """Of two stages the second starts from the first's last weights, whatever was selected."""
    exp = held.replace(method="crt", recipe="convergent[augmentation=shift1;epochs=3]")
    resolved, data = exp.resolve(), runs.load_data(exp)
    places_ = stages.run_stages(resolved, data, tmp_path)
    plain = stages.run_stages(resolved, replace(data, validation=None), tmp_path / "other")
    assert (places_[0] / "selected.safetensors").exists(), "otherwise this test sees nothing"
    for place in places_:
        found = sealed.read_tensors(place / "held_out.safetensors")
        assert ("selected" in found) == (place / "selected.safetensors").exists()
        for name in set(found) - {"targets"}:
            file = "weights" if name == "last" else "selected"
            assert found[name].shape == (len(data.validation.targets), 10), file  # type: ignore[union-attr]
    # without the held-out images, but trained on the same others: predicting them changed no weight
    for one, other in zip(places_, plain, strict=True):
        assert not (other / "held_out.safetensors").exists()
        for file in ("weights.safetensors", "logits.safetensors"):
            assert (one / file).read_bytes() == (other / file).read_bytes()


def test_without_held_out_images_nothing_is_added(trained: Run) -> None:
    assert trained.held_out is None
    assert all("posthoc" not in values for values in trained.metrics.values())
    assert {"ace", "classwise_ece"} <= set(trained.metrics["last"])
    stage = places.runs_folder() / "stages" / trained._facts["stages"][-1]
    assert not (stage / "held_out.safetensors").exists()


def test_a_contrastive_stage_has_none(held: Experiment, tmp_path: Path) -> None:
    exp = held.replace(method="supcon", limit=60)
    first, second = stages.run_stages(exp.resolve(), runs.load_data(exp), tmp_path)
    assert not (first / "held_out.safetensors").exists()
    assert (second / "held_out.safetensors").exists()


def test_a_run_from_before_they_were_kept(held: Experiment) -> None:
    run = runs.run(held)
    stage = places.runs_folder() / "stages" / run._facts["stages"][-1]
    (stage / "held_out.safetensors").unlink()
    sealed.seal(stage)
    older = runs.load(run.id)
    assert older is not None
    assert older.held_out is None
    assert "posthoc" not in older.metrics["last"]
    assert older.metrics["last"]["ece"] == run.metrics["last"]["ece"]


def test_damaged_held_out_logits_are_said(held: Experiment) -> None:
    run = runs.run(held)
    file = places.runs_folder() / "stages" / run._facts["stages"][-1] / "held_out.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    damaged = runs.load(run.id)
    assert damaged is not None
    with pytest.raises(RunError, match=r"held_out\.safetensors has changed"):
        _ = damaged.held_out


def test_the_record_keeps_what_a_page_needs(held: Experiment, reports: Path) -> None:
    run = runs.run(held)
    expected = copy.deepcopy(run.metrics)
    path = run.record(reports / "laptop" / "records")
    assert path.stat().st_size + path.with_suffix(".npz").stat().st_size < 100_000
    shutil.rmtree(places.runs_folder())
    found = runs.load(run.id)
    assert found is not None
    assert found.held_out is None
    for selection in ("last", "selected"):
        kept, known = (values[selection]["posthoc"] for values in (found.metrics, expected))
        assert list(kept) == list(effects.METHODS)
        for method in kept:
            assert kept[method]["held_out"] == known[method]["held_out"]
            for key in ("bins", "cross_fitted", "sets"):
                assert (key in kept[method]) == (selection == "selected" and key in known[method])
            assert kept[method]["parameters"] == pytest.approx(known[method]["parameters"], rel=1e-6)
            for key in ("accuracy", "ece", "ace", "classwise_ece", "mce", "brier", "nll", "ece_floor", "ece_debiased"):
                assert kept[method][key] == pytest.approx(known[method][key], rel=1e-6)
            if selection == "selected":
                assert kept[method]["bins"]["count"] == known[method]["bins"]["count"]
        assert selection == "last" or kept["none"]["sets"] == known["none"]["sets"]
    assert runs.verify() == []


def test_the_largest_record_stays_below_100_kb(trained: Run, tmp_path: Path) -> None:
    """100 classes, two selections of 10,000 undecided predictions, 1,000 held-out images, 200 epochs, every column."""
    draw = np.random.default_rng(0)
    targets = np.repeat(np.arange(100), 100)
    said, held = {}, {}
    for name in ("last", "selected"):
        logits = draw.normal(size=(10_000, 100)).astype(np.float32)
        logits[np.arange(10_000), targets] += 3
        said[name] = Predictions.from_logits(logits, targets)
        chosen = draw.choice(10_000, 1_000, replace=False)
        held[name] = Predictions.from_logits(logits[chosen], targets[chosen])
    columns = [*trained.history.columns, "validation_loss", "validation_accuracy", "validation_ece"]
    history = pd.DataFrame(draw.random((200, len(columns))), columns=columns)
    thirds = zip(("head", "middle", "tail"), np.array_split(np.arange(100), 3), strict=True)
    facts = dict(trained._facts) | {
        "history": history.to_csv(index=False),
        "class_counts": list(range(100, 0, -1)),
        "class_names": [f"a class of pictures {i}" for i in range(100)],
        "groups": {name: group.tolist() for name, group in thirds},
    }
    run = Run(facts, trained.folder, None, None)
    run.__dict__ |= {"predictions": said, "held_out": held}
    path = run.record(tmp_path / "records")
    assert list(json.loads(path.read_text())["metrics"]["selected"]["posthoc"]) == list(effects.METHODS)
    assert path.stat().st_size + path.with_suffix(".npz").stat().st_size < 100_000
