"""Methods of several stages: what each stage trains, leaves alone and hands on, with real trainings on the digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib import losses, methods, mixing, models, runs, sealed
from ltlib.batches import samplers
from ltlib.batches.draws import SAMPLERS, spec
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.methods import METHODS, Stage, finishes
from ltlib.runs import cost
from ltlib.training import assembly, outcome, residents, stages

TWO = Experiment(
    dataset="digits",
    imbalance_factor=20,
    model="resnet8",
    recipe="ldam[batch_size=16;epochs=2;warmup_epochs=0;augmentation=shift1]",
    limit=90,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stages that the tests of this file share: cross-entropy and mixup are trained once."""
    return tmp_path_factory.mktemp("stages")


def trained(method: str, folder: Path) -> tuple[list[dict[str, Tensor]], list[Any]]:
    """Weights after each stage, and the rows that were reported: those of stages trained now."""
    rows: list[Any] = []
    exp = TWO.replace(method=method)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LTLIB_DEVICE", "cpu")
        places = stages.run_stages(exp.resolve(), runs.load_data(exp), folder, report=rows.append)
    return [sealed.read_tensors(place / "weights.safetensors") for place in places], rows


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if name not in after or not torch.equal(before[name], after[name])}


def stage_ids(method: str) -> list[str]:
    resolved = TWO.replace(method=method).resolve()
    return [resolved.stage_id(i) for i in range(len(resolved.stages))]


def test_first_stages_are_shared() -> None:
    plain, mixed = stage_ids("ce")[0], stage_ids("mixup")[0]
    assert {stage_ids(name)[0] for name in ("crt", "lws", "tau_norm", "ncm", "lws[form=mislas]")} == {plain}
    assert {stage_ids(name)[0] for name in ("mislas", "crt_mixup", "lws_mixup", "lws_mixup_shifted_bn")} == {mixed}
    assert plain != mixed
    assert stage_ids("mixup[alpha=0.2]")[0] != mixed
    finals = [stage_ids(name)[-1] for name in METHODS.names()]
    assert len(set(finals)) == len(finals), "no two methods are one run"


def test_a_shared_first_stage_is_trained_once(folder: Path) -> None:
    first = trained("ce", folder)
    assert len(first[1]) == 2
    for name in ("crt", "lws", "tau_norm", "ncm"):
        weights, rows = trained(name, folder)
        assert {row["stage"] for row in rows} <= {2}, "only what is new"
        assert changed(first[0][0], weights[0]) == set()


@pytest.mark.parametrize("name", ["crt", "crt_mixup"])
def test_classifier_retraining_starts_anew_and_touches_nothing_else(name: str, folder: Path) -> None:
    (first, second), _ = trained(name, folder)
    assert changed(first, second) == {"classifier.weight", "classifier.bias"}
    assert any("running_mean" in key for key in first), "batch statistics are there and stayed"
    resolved = TWO.replace(method=name).resolve()
    network = assembly.build(resolved, 10)
    network.load_state_dict(first)
    assembly.prepare(network, resolved, 1)
    fresh = network.state_dict()
    assert changed(first, fresh) == {"classifier.weight", "classifier.bias"}
    other = assembly.build(resolved, 10).state_dict()
    assert not torch.equal(fresh["classifier.weight"], other["classifier.weight"]), "weights of its own, drawn anew"
    # a few steps from those fresh weights, not from the first stage's
    moved = (second["classifier.weight"] - fresh["classifier.weight"]).norm()
    assert moved < (second["classifier.weight"] - first["classifier.weight"]).norm()


@pytest.mark.parametrize("name", ["lws", "lws_mixup"])
def test_weight_scaling_learns_one_number_a_class(name: str, folder: Path) -> None:
    (first, second), _ = trained(name, folder)
    assert torch.equal(second["classifier.linear.weight"], first["classifier.weight"])
    assert torch.equal(second["classifier.linear.bias"], first["classifier.bias"])
    assert second["classifier.scales"].shape == (10,)
    assert bool((second["classifier.scales"] != 1).all())
    assert changed(first, second) == {"classifier.weight", "classifier.bias"}  # renamed, see above


def test_weight_scaling_of_mislas_trains_the_classifier_too(folder: Path) -> None:
    (first, second), _ = trained("mislas", folder)
    assert not torch.equal(second["classifier.linear.weight"], first["classifier.weight"])
    assert bool((second["classifier.scales"] != 1).any())
    assert {key for key in changed(first, second) if not key.startswith("classifier")} == set()


@pytest.mark.parametrize(
    "name", ["lws_mixup_shifted_bn", "mislas[shift=true]", "awabs_cutout[variant=decoupled_shifted]"]
)
def test_shifted_batch_normalisation_changes_statistics_only(name: str, folder: Path) -> None:
    (first, second), _ = trained(name, folder)
    backbone = {key for key in changed(first, second) if not key.startswith("classifier")}
    statistics = {key for key in first if key.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    assert backbone == statistics
    assert statistics


def test_continuing_awabs_trains_everything(folder: Path) -> None:
    (first, second), _ = trained("awabs_cutout[variant=continue]", folder)
    assert changed(first, second) == set(first)
    assert stage_ids("awabs_cutout")[0] == stage_ids("awabs_cutout[variant=continue]")[0]


def features_of(exp: Experiment, weights: dict[str, Tensor]) -> tuple[Any, Tensor, Tensor]:
    resolved, data = exp.resolve(), runs.load_data(exp)
    network = assembly.build(resolved, 10)
    network.load_state_dict(weights)
    network.eval()
    place = torch.device("cpu")
    train, test = (residents.resident(part, data, resolved, place) for part in (data.train, data.test))
    with torch.no_grad():
        return data, *(network.backbone(part.batch(torch.arange(len(part)))) for part in (train, test))


def test_division_by_the_maximum_changes_no_prediction(folder: Path) -> None:
    (first, second), _rows = trained("weight_maximum", folder)
    largest = first["classifier.weight"].abs().max()
    assert second["classifier.weight"].abs().max() == pytest.approx(1.0)
    torch.testing.assert_close(second["classifier.weight"] * largest, first["classifier.weight"])
    torch.testing.assert_close(second["classifier.bias"] * largest, first["classifier.bias"])
    features = torch.randn(50, first["classifier.weight"].shape[1])
    before, after = (features @ w["classifier.weight"].T + w["classifier.bias"] for w in (first, second))
    assert torch.equal(before.argmax(1), after.argmax(1))


def test_tau_normalised_weights_have_length_one_and_no_bias(folder: Path) -> None:
    (first, second), _ = trained("tau_norm", folder)
    weight = second["classifier.weight"]
    torch.testing.assert_close(weight.norm(dim=1), torch.ones(10))
    assert torch.equal(second["classifier.bias"], torch.zeros(10))
    torch.testing.assert_close(weight, first["classifier.weight"] / first["classifier.weight"].norm(dim=1)[:, None])
    assert changed(first, second) == {"classifier.weight", "classifier.bias"}
    half = trained("tau_norm[tau=0.5]", folder)[0][1]["classifier.weight"]
    torch.testing.assert_close(
        half, first["classifier.weight"] / first["classifier.weight"].norm(dim=1)[:, None].sqrt()
    )
    # what is evaluated is the normalised classifier
    exp = TWO.replace(method="tau_norm")
    _, _, test = features_of(exp, first)
    place = folder / exp.resolve().stage_id(1)
    torch.testing.assert_close(
        sealed.read_tensors(place / "logits.safetensors")["last"], test @ weight.T, atol=1e-4, rtol=1e-4
    )


def test_nearest_class_mean_equals_a_slow_loop(folder: Path) -> None:
    (first, second), _ = trained("ncm", folder)
    exp = TWO.replace(method="ncm")
    data, train, test = features_of(exp, first)
    means = []
    for c in range(10):
        mine = [train[i].double() for i in range(len(train)) if data.train.targets[i] == c]
        assert len(mine) == data.class_counts[c]
        means.append(sum(mine) / len(mine))
    wanted = [[float(F.cosine_similarity(x.double(), mean, dim=0)) for mean in means] for x in test]
    logits = sealed.read_tensors(folder / exp.resolve().stage_id(1) / "logits.safetensors")["last"]
    torch.testing.assert_close(logits.double(), torch.tensor(wanted, dtype=torch.float64), atol=1e-5, rtol=1e-5)
    assert set(second) - set(first) == set()
    assert "classifier.bias" not in second


@pytest.mark.parametrize("name", METHODS.names())
def test_the_last_stages_weights_fit_the_assembled_network(name: str) -> None:
    """What saved weights are loaded into has the names and shapes that training ends with."""
    resolved = TWO.replace(method=name).resolve()
    network = assembly.build(resolved, 10)
    for i, stage in enumerate(resolved.stages):
        assembly.prepare(network, resolved, i)
        if stage.finish is not None:
            width = network.feature_dim
            finish = finishes.FINISHES.create(stage.finish)
            finish(network, torch.randn(20, width), torch.arange(20) % 10, [2] * 10)
    again = assembly.assembled(resolved, 10)
    assert {k: v.shape for k, v in network.state_dict().items()} == {k: v.shape for k, v in again.state_dict().items()}


def test_ldam_reads_cosines_and_its_linear_form_does_not() -> None:
    def classifier(method: str) -> Any:
        return assembly.build(TWO.replace(method=method).resolve(), 10).classifier

    for name in ("ldam", "ldam_drw"):
        assert isinstance(classifier(name), models.classifiers.Cosine)
        assert isinstance(classifier(f"{name}[classifier=linear]"), torch.nn.Linear)
    assert float(classifier("ldam")(torch.randn(50, 64) * 100).detach().abs().max()) <= 1 + 1e-6
    assert isinstance(classifier("ce"), torch.nn.Linear)


@pytest.mark.parametrize(
    ("method", "names"),
    [("cmo[loss=ldam]", ("cmo", "ldam")), ("cmo[loss=loss_equalised]", ("cmo", "loss_equalised"))],
)
def test_mixed_labels_are_refused_where_they_have_no_meaning(method: str, names: tuple[str, str]) -> None:
    with pytest.raises(SettingError, match=rf"{names[0]} mixes labels.*the loss {names[1]}"):
        TWO.replace(method=method).run_id  # noqa: B018 - before any data is read


@pytest.mark.parametrize("loss", ["ldam", "loss_equalised", "ldam_drw", "deferred[base=ldam]"])
@pytest.mark.parametrize("mix", ["mixup", "cutmix", "mixed_thumbnail"])
def test_no_stage_mixes_labels_for_such_a_loss(mix: str, loss: str) -> None:
    name = loss.partition("[")[0]
    with pytest.raises(SettingError, match=rf"{mix} mixes labels.*the loss {name};") as caught:
        Stage(loss=losses.spec(loss), mix=mixing.spec(mix))
    assert "\n" not in str(caught.value)
    Stage(loss=losses.spec(loss), mix=mixing.spec("cutout"))  # labels stay
    Stage(loss=losses.spec("deferred"), mix=mixing.spec(mix))


@pytest.mark.parametrize("more", [{"contrastive": losses.spec("supcon")}, {"network": "bbn"}, {"network": "reslt"}])
def test_mixing_is_refused_beside_views_and_branches(more: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="mixup mixes one stream of images and cannot be combined with"):
        Stage(loss=losses.spec("ce"), mix=mixing.spec("mixup"), **more)


def test_second_stages_follow_their_sources() -> None:
    """Ten epochs of two hundred, cosine from the full rate, balanced classes, frozen backbone."""
    for name in ("crt", "lws", "mislas", "crt_mixup", "lws_mixup_shifted_bn"):
        resolved = Experiment(method=name, recipe="ldam").resolve()
        stage, recipe = resolved.stages[1], resolved.stage_recipe(1)
        assert resolved.epochs(1) == 10
        assert [recipe.learning_rate(e, 10) for e in (1, 6, 10)] == pytest.approx(
            [0.1, 0.05, 0.1 * 0.0244717], rel=1e-5
        )
        assert "backbone" not in stage.lr
        assert stage.sampler.name in ("class_balanced", "class_aware")
    assert Experiment(method="mislas").resolve().stages[1].sampler == spec("class_aware")


def test_a_refit_trains_the_classifier_alone_on_what_its_method_has_trained(folder: Path) -> None:
    """Twenty epochs beside two hundred, from the full rate again; the method's own stages are shared."""
    resolved = Experiment(method="refit[of=cmo[loss=balanced_softmax]]", recipe="ldam").resolve()
    assert [resolved.epochs(i) for i in range(2)] == [200, 20]
    stage, recipe = resolved.stages[1], resolved.stage_recipe(1)
    assert (str(stage.loss), stage.sampler.name, stage.mix) == ("balanced_softmax", "instance_balanced", None)
    assert [recipe.learning_rate(e, 20) for e in (1, 11)] == pytest.approx([0.1, 0.05])
    assert resolved.stage_id(0) == Experiment(method="cmo[loss=balanced_softmax]", recipe="ldam").run_id
    (before, after), _ = trained("refit[epochs=0.5]", folder)
    assert changed(before, after) == {"classifier.weight", "classifier.bias"}
    (_, kept), _ = trained("refit[epochs=0.5;fresh=false]", folder)
    assert not torch.equal(after["classifier.weight"], kept["classifier.weight"]), "from other weights"
    (_, moved), rows = trained("refit[epochs=0.5;shift=true]", folder)
    assert {row["stage"] for row in rows} == {2}, "the first stage is there"
    assert changed(before, moved) - changed(before, after)
    assert all("running" in name or "num_batches" in name for name in changed(before, moved) - changed(before, after))


def test_a_refit_of_a_method_of_several_stages_follows_the_last() -> None:
    one, two = (Experiment(method=name).resolve() for name in ("crt_mixup", "refit[of=crt_mixup]"))
    assert one.stages == two.stages[:2]
    assert Experiment(method="refit[of=supcon_ce[classifier_input=projection]]").resolve().stages[-1] == Stage(
        loss="balanced_softmax",
        epochs=0.1,
        lr={"classifier": 1.0},
        schedule="cosine",
        classifier="reset",
        classifier_input="projection",
    )
    for name in ("bbn", "glmc", "tau_norm", "lws"):
        with pytest.raises(SettingError, match=f"one classifier as it was trained, which {name} does not end with"):
            methods.stages(f"refit[of={name}]")


def test_a_second_process_takes_what_another_finished(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the stage's finish has put another classifier there: nothing is loaded into the network here."""
    trained("ncm", folder)
    seen: list[Path] = []  # the first look comes before the other process is done
    real = outcome.whole
    last = folder / stage_ids("ncm")[1]

    def look(place: Path) -> bool:
        seen.extend([place] if place == last else [])
        return real(place) and not (place == last and len(seen) == 1)

    monkeypatch.setattr(outcome, "whole", look)
    before = (last / "DONE").stat().st_mtime_ns
    weights, rows = trained("ncm", folder)
    assert (rows, len(seen)) == ([], 2)
    assert (last / "DONE").stat().st_mtime_ns == before
    assert "classifier.weight" in weights[1]


def test_estimates_count_what_a_sampler_visits() -> None:
    plain = cost.work(TWO.replace(limit=None))
    more = cost.work(TWO.replace(limit=None, method="oversampling"))
    assert samplers.epoch_length("random_oversampling", [5, 3, 1]) == 15
    assert more.steps > 2.5 * plain.steps
    assert more.macs > 1.4 * plain.macs
    assert methods.stages("oversampling")[0].sampler == spec("random_oversampling")


@pytest.mark.parametrize(
    "method",
    ["remix_drw", "bbn", "equalization[threshold=0.05]", "cmo", "kcl[probe_epochs=0.5]"],
)
def test_what_a_stage_says_reaches_its_steps(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mixing, counts, second sampler, noise and the epoch's number, from the method's data to the steps."""
    steps_made: list[dict[str, Any]] = []
    draws_made: list[dict[str, Any]] = []
    epochs_told: list[tuple[int, int]] = []
    real_step, real_draws = stages.steps.EagerStep, stages.epoch_draws

    def step(learning: Any, *given: Any, **settings: Any) -> Any:
        steps_made.append(settings)
        told = learning.objective.set_epoch
        monkeypatch.setattr(learning.objective, "set_epoch", lambda *e: (epochs_told.append(e), told(*e))[1])
        return real_step(learning, *given, **settings)

    def draws(*given: Any, **settings: Any) -> Any:
        draws_made.append({"order": given[0], **settings})
        return real_draws(*given, **settings)

    monkeypatch.setattr(stages.steps, "EagerStep", step)
    monkeypatch.setattr(stages, "epoch_draws", draws)
    trained(method, tmp_path)
    resolved = TWO.replace(method=method).resolve()
    trains = [(i, stage) for i, stage in enumerate(resolved.stages) if resolved.epochs(i)]
    assert len(steps_made) == len(trains)
    seen = iter(draws_made)
    for (i, stage), settings in zip(trains, steps_made, strict=True):
        mixes = None if stage.mix is None else mixing.create(stage.mix)
        assert settings["mixing"] == mixes
        assert settings["class_counts"].tolist() == list(runs.load_data(TWO).class_counts)
        for epoch in range(1, resolved.epochs(i) + 1):
            found = next(seen)
            assert (found["stage"], found["epoch"], found["epochs"]) == (i, epoch, resolved.epochs(i))
            assert found["order"] == SAMPLERS.create(stage.sampler)
            second = None if stage.second_sampler is None else SAMPLERS.create(stage.second_sampler)
            assert (found["mixing"], found["second"]) == (mixes, second)
            wanted = {"equalization": (1, 10), "kcl": (2, 1)}.get(method.partition("[")[0]) if i == 0 else None
            assert found["noise"] == wanted
    per_stage = [(epoch, resolved.epochs(i)) for i, _ in trains for epoch in range(1, resolved.epochs(i) + 1)]
    assert epochs_told == per_stage
