"""Runs that begin from pretrained weights: with what, what of it identifies them, and what they need later."""

from __future__ import annotations

import copy
import hashlib
import shutil
from pathlib import Path
from typing import Any

import handmade_weights as handmade
import pytest
import torch

from ltlib import models, runs
from ltlib.errors import DataError
from ltlib.experiment import Experiment
from ltlib.models import Network
from ltlib.pages import cards
from ltlib.runs import Run, cost, records
from ltlib.tables import findings, scoreboard
from ltlib.training import assembly, stages

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
CONTENT = hashlib.sha256(handmade.pth()).hexdigest()


def experiment(weights: object, method: str = "ce", **settings: Any) -> Experiment:
    model = f"resnet18[stem=imagenet;weights={weights}]"
    return Experiment("digits", 20, model, method, "convergent[augmentation=none;epochs=1]", limit=40, **settings)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return handmade.save(tmp_path / "mine.pth")


@pytest.fixture
def began(monkeypatch: pytest.MonkeyPatch) -> list[Network]:
    """The networks that trainings begin with, one a stage, as they are before the first step."""
    seen: list[Network] = []
    create = stages.learner.create

    def watched(network: Network, *args: Any) -> Any:
        seen.append(copy.deepcopy(network).eval())
        return create(network, *args)

    monkeypatch.setattr(stages.learner, "create", watched)
    return seen


def test_a_training_begins_from_the_file_and_its_run_needs_it_no_more(file: Path, began: list[Network]) -> None:
    exp = experiment(file)
    run = runs.run(exp)
    assert run.id == exp.run_id
    (start,) = began
    torch.testing.assert_close(start.backbone(IMAGES), handmade.features(IMAGES), rtol=1e-4, atol=1e-5)
    file.unlink()
    with pytest.raises(DataError, match=f"the file of weights {file} is missing"):
        exp.run_id  # noqa: B018
    again = runs.load(run.id)
    assert again is not None
    assert again.experiment.run_id == run.id  # what was kept names the content
    trained = again.network("last")
    assert not torch.equal(trained.backbone.conv1.weight, start.backbone.conv1.weight)
    assert runs.verify() == []
    assert [found.id for found in runs.finished()] == [run.id]


def test_the_classifier_is_drawn_from_the_seed(file: Path) -> None:
    wanted = (experiment(file, seed=1), experiment(file, seed=2), experiment("none", seed=1))
    built = [assembly.build(exp.resolve(), 10) for exp in wanted]
    first, other_seed, no_weights = (network.classifier.weight for network in built)
    assert torch.equal(first, no_weights)
    assert not torch.equal(first, other_seed)
    assert torch.equal(built[0].backbone.conv1.weight, built[1].backbone.conv1.weight)


@pytest.mark.parametrize("method", ["bbn", "reslt"])
def test_branches_begin_from_the_file_too(file: Path, method: str) -> None:
    resolved = experiment(file, method).resolve()
    network, expected = assembly.build(resolved, 10).eval(), handmade.features(IMAGES)
    if method == "bbn":
        for branch in ("conventional", "rebalancing"):
            torch.testing.assert_close(network.backbone.branch(IMAGES, branch), expected, rtol=1e-4, atol=1e-5)
    else:  # its normalisations start as the identity, but for what they add to the variance
        for features in network.backbone(IMAGES).chunk(3, 1):
            torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    drawn = assembly.build(experiment("none", method).resolve(), 10)
    assert torch.equal(network.classifier.weight, drawn.classifier.weight)
    file.unlink()
    assert models.parameter_count(assembly.assembled(resolved, 10)) == models.parameter_count(network)


def test_a_named_one_says_its_name_and_a_later_stage_needs_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reports: Path
) -> None:
    published = handmade.publish(tmp_path / "weights", monkeypatch)
    exp = experiment(handmade.NAME, "crt")
    before = runs.run(exp)
    said = {"name": "imagenet1k_v1", "sha256": CONTENT[:8]}
    assert before.identity["model"]["settings"]["weights"] == said
    assert before.weights == said | {"file": handmade.FILE}
    assert before.experiment == exp
    assert f"imagenet1k_v1, {handmade.FILE}, sha256 {CONTENT[:8]}" in cards.card(before)
    shutil.rmtree(reports / "runs" / exp.run_id)
    shutil.rmtree(reports / "runs" / "stages" / exp.resolve().stage_id(1))
    published.unlink()
    after = runs.run(exp)
    for a, b in zip(before.predictions.values(), after.predictions.values(), strict=True):
        assert (a.logits == b.logits).all()


def test_a_missing_file_is_one_sentence_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reports: Path
) -> None:
    published = handmade.publish(tmp_path / "weights", monkeypatch)
    published.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"is not the known file.*weights=none"):
        runs.run(experiment(handmade.NAME))
    assert not list((reports / "runs").glob("*/DONE"))


def test_a_plan_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handmade.publish(tmp_path, monkeypatch).unlink()
    planned, drawn = experiment(handmade.NAME, "crt"), experiment("none", "crt")
    assert planned.run_id != drawn.run_id
    assert cost.work(planned) == cost.work(drawn)
    assert cost.stage_bytes(planned) == cost.stage_bytes(drawn)


def test_two_paths_of_one_file_are_one_run_and_a_changed_file_is_another(file: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "another name.pth"
    shutil.copy(file, renamed)
    first = experiment(file).run_id
    assert experiment(renamed).run_id == first
    assert experiment(f"sha256:{CONTENT}").run_id == first
    ids = {experiment("none").run_id, experiment(handmade.NAME).run_id, first}
    handmade.save(file, handmade.state() | {"conv1.weight": torch.ones(64, 3, 7, 7)})
    assert experiment(file).run_id not in ids  # the same path, in the same process
    assert len(ids) == 3
    handmade.save(file)
    assert experiment(file).run_id == first


def test_a_run_says_what_it_began_from_and_not_where_that_lay(file: Path, tmp_path: Path, trained: Run) -> None:
    run = runs.run(experiment(file))
    assert run.identity["model"]["settings"] == {"stem": "imagenet", "weights": {"sha256": CONTENT}}
    assert run.weights == {"file": "mine.pth", "sha256": CONTENT}
    record = run.record(tmp_path / "laptop" / "records").read_text()
    assert CONTENT in record
    assert str(file.parent) not in record
    card = cards.card(run)
    assert f"mine.pth, sha256 {CONTENT}" in card
    assert str(file.parent) not in card
    assert records.row(run)["model"] == f"resnet18[stem=imagenet;weights=sha256:{CONTENT}]"
    where = f"ResNet-18 from sha256:{CONTENT[:8]}"
    assert where in findings.fact(run)["where"]
    assert where in scoreboard.scoreboard([run]).to_string()
    assert trained.weights == {}
    assert "sha256" not in cards.card(trained)
