"""Muon against singular values, a slow form of its formula and torch's own; recorded, resumed, in a recipe."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from outcomes import same
from test_capture import Repeats, everything
from test_loop import Training, differing, one_step_chunks, run_through, stopped_at
from test_steps import Watch, made
from torch import Tensor

from ltlib import recipes
from ltlib.errors import SettingError
from ltlib.models import Network
from ltlib.recipes import muon
from ltlib.training import loop, memory, optimizers
from ltlib.training.capture import CapturedStep

RECIPE = "ldam[optimizer=muon[momentum=0.8;others_momentum=0.7;others_lr=4.0;steps=3];weight_decay=0.1]"
RATES = [2.0**-7, 2.0**-9, 2.0**-8]


def values(x: Tensor, rounds: int) -> Tensor:
    """What becomes of singular values."""
    for _ in range(rounds):
        x = 3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5
    return x


def random_matrix(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(4, 4), (16, 27), (64, 9)])
@pytest.mark.parametrize("rounds", [1, 5])
def test_singular_vectors_stay_and_singular_values_go_through_the_polynomial(shape: Any, rounds: int) -> None:
    matrix = random_matrix(*shape)
    left, size, right = torch.linalg.svd(matrix, full_matrices=False)
    expected = left @ torch.diag(values(size / matrix.norm(), rounds)) @ right
    torch.testing.assert_close(muon.orthogonalised(matrix[None], rounds)[0], expected, rtol=0, atol=1e-6)


def test_five_rounds_bring_singular_values_into_their_band() -> None:
    """Of a matrix whose shortest is a two-hundredth of its norm."""
    size = torch.tensor([1.0, 0.5, 0.1, 0.02, 0.0057], dtype=torch.float64)
    basis, _ = torch.linalg.qr(random_matrix(5, 5, 1))
    other, _ = torch.linalg.qr(random_matrix(9, 5, 2))
    matrix = basis @ torch.diag(size) @ other.T
    found = torch.linalg.svdvals(muon.orthogonalised(matrix[None])[0])
    assert float(found.min()) > 0.68
    assert float(found.max()) < 1.16


def slow_step(network: Network, momenta: dict[str, Tensor], lr: float) -> None:
    """One step by the formula, weight by weight, with the settings of `RECIPE`."""
    for name, weight in network.named_parameters():
        g, m = weight.grad, momenta.setdefault(name, torch.zeros_like(weight))
        assert g is not None
        if name.startswith("backbone") and weight.ndim > 1:
            m.copy_(0.8 * m + 0.2 * g)
            u = (0.2 * g + 0.8 * m).reshape(len(g), -1)
            x = u / (u.norm() + 1e-7)
            for _ in range(3):
                gram = x @ x.T
                x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
            size = (u.shape[0] / u.shape[1]) ** 0.5 if u.shape[0] > u.shape[1] else 1.0
            update, rate = size * x.reshape(g.shape), lr
        else:
            m.copy_(0.7 * m + g)
            update, rate = g + 0.7 * m, 4 * lr
        weight.data.copy_(weight.data * (1 - rate * 0.1) - rate * update)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("recorded", [False, True])
def test_steps_are_those_of_the_formula(fused: bool, recorded: bool) -> None:
    """In float64, over epochs of changing rates; `fused` has the rates in tensors, as on CUDA."""
    stage, network, step, draws = made("ce")
    network.double()
    other = copy.deepcopy(network)
    stored = step.data.stored
    step.data.stored = lambda *given: stored(*given).double()  # type: ignore[method-assign]
    optimizer = optimizers.create(network, recipes.create(RECIPE), stage.lr, fused=fused)
    step.learner = replace(step.learner, optimizer=optimizer)
    momenta: dict[str, Tensor] = {}
    for lr in RATES:
        for draw in draws:
            for one in (draw.part(s, s + 1) for s in range(draw.steps)):
                images = step.data.batch(one.index[0], {key: value[0, 0] for key, value in one.views.items()})
                other.zero_grad()
                torch.nn.functional.cross_entropy(other(images).float(), step.data.targets[one.index[0]]).backward()
                slow_step(other, momenta, lr)
    trained = CapturedStep(step, Repeats()) if recorded else step
    for lr in RATES:
        for draw in draws:
            trained(draw, lr)
    for name, value in other.named_parameters():
        torch.testing.assert_close(network.get_parameter(name), value, rtol=0, atol=1e-9)
    if recorded:
        assert trained.refusal is None  # type: ignore[union-attr]


def test_steps_with_bf16_are_torchs_own_the_longer_ones_of_a_tall_matrix_too() -> None:
    """Torch's form (bfloat16 rounds) on one matrix of 12 rows and 3 columns."""
    torchs = getattr(torch.optim, "Muon", None)
    if torchs is None:
        pytest.skip("this torch has no Muon")
    weight, own = (torch.nn.Parameter(random_matrix(12, 3).float()) for _ in range(2))
    settings = {"momentum": 0.9, "nesterov": True, "weight_decay": 0.2}
    ours = muon.Muon([{"params": [own], "orthogonal": True}], 0.1, **settings, steps=5, bf16=True)  # type: ignore[arg-type]
    other = torchs([weight], lr=0.1, **settings)
    for seed in range(3):
        gradient = random_matrix(12, 3, seed + 5).float()
        weight.grad, own.grad = gradient.clone(), gradient.clone()
        other.step()
        ours.step()
    torch.testing.assert_close(own, weight, rtol=0, atol=0.02)  # bfloat16 in another order


def test_the_classifier_and_all_vectors_are_left_to_sgd() -> None:
    stage, network, _, _ = made("ce")
    made_ = optimizers.create(network, recipes.create(RECIPE), stage.lr)
    optimizers.set_rates(made_, 0.01)
    names = {id(weight): name for name, weight in network.named_parameters()}
    found = {names[id(w)]: (g["orthogonal"], g["lr"]) for g in made_.param_groups for w in g["params"]}
    assert len(found) == len(names)
    assert found["backbone.conv1.weight"] == (True, 0.01)
    assert found["backbone.bn1.weight"] == (False, 0.04)
    assert found["classifier.weight"] == (False, 0.04)


def test_recorded_steps_are_eager_ones_bit_for_bit_and_wait_for_nothing() -> None:
    results = []
    for recorded in (False, True):
        stage, network, step, draws = made("ce")
        optimizer = optimizers.create(network, recipes.create("ldam[optimizer=muon]"), stage.lr, fused=True)
        step.learner = replace(step.learner, optimizer=optimizer)
        trained: Any = CapturedStep(step, Repeats()) if recorded else step
        losses = torch.cat([trained(draw, lr) for lr in RATES for draw in draws])
        results.append(everything(step) | {"losses": losses})
    same(results[0], results[1])
    with Watch() as watch:
        step(draws[0], 0.01)
    assert watch.waits == []


def test_a_resumed_training_is_one_that_ran_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_chunks", one_step_chunks)
    recipe = "epochs=3;lr=0.02;optimizer=muon"
    expected = run_through(recipe, "ce")
    found, starts = stopped_at(recipe, "ce", {3, 9})
    assert starts == 3
    assert differing(expected, found) == []
    assert any(key.endswith(".momentum_buffer") for key in expected)


def test_it_learns_and_its_memory_is_known() -> None:
    made_ = Training("epochs=8;lr=0.02;optimizer=muon")
    history = made_.fit().history
    assert history[-1]["train_accuracy"] > history[0]["train_accuracy"] + 0.2
    assert memory.moments(recipes.create("ldam[optimizer=muon]")) == 1


@pytest.mark.parametrize("text", ["momentum=1.0", "steps=0", "others_lr=0.0", "others_momentum=-0.1"])
def test_settings_outside_their_range_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match=f"{text.partition('=')[0]} of optimizer muon"):
        recipes.create(f"ldam[optimizer=muon[{text}]]")
