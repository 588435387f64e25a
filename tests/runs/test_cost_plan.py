"""What work costs and what is to be done, said before anything starts and without data on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltlib import datasets, grids, models, runs
from ltlib.errors import SettingError, UnknownName
from ltlib.experiment import Experiment
from ltlib.progress import duration
from ltlib.runs import Run, cost, plan, pricing, recorded
from ltlib.runs.cost import Pace, Work

PLAIN = Experiment(dataset="cifar10", imbalance_factor=100, model="resnet32", method="ce", recipe="ldam")


@pytest.fixture(autouse=True)
def _known_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "measure", lambda: Pace(1e-4, 1e10))


def test_work_by_hand(no_data: Path) -> None:
    """12,406 images (CIFAR-10, IF 100), 200 epochs in batches of 128; three forward passes a step, 20 evaluations."""
    found = cost.work(PLAIN)
    forward = models.macs("resnet32", 10, 32)
    assert found.steps == 200 * 97
    assert found.macs == pytest.approx(forward * (200 * 3 * 12_406 + 20 * 10_000))
    assert found.depth == 32
    assert Pace(1e-3, 1e9).seconds(Work(10, 5e9, 8)) == pytest.approx(10 * 8 * 1e-3 + 5)


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        ("resnet50v2", 1 + 16 * 3 + 4 + 1),  # stem, blocks, shortcuts, classifier: its name has the digits 502
        ("mobilenet_v2", 1 + 2 + 16 * 3 + 1 + 1),  # the first of 17 blocks does not expand
        ("efficientnet_lite0[size=tiny]", 1 + 2 + 3 * 3 + 1 + 1),
    ],
)
def test_layers_of_a_network_whose_name_does_not_say_them(model: str, layers: int, no_data: Path) -> None:
    found = cost.work(PLAIN.replace(model=model))
    assert found.depth == layers
    assert found.macs == pytest.approx(models.macs(model, 10, 32) * (200 * 3 * 12_406 + 20 * 10_000))


def test_a_long_tail_as_it_lies_is_priced_by_its_own_counts(no_data: Path) -> None:
    """caltech PART: 2,021 images, 64 steps of 32; filled up to 700 a class 5,600 images, 175 steps."""
    exp = Experiment("caltech_part@32", 1, "resnet8", "ce", "loss_balance")
    assert cost.work(exp).steps == 30 * 64
    assert cost.work(exp.replace(method="oversampling")).steps == 30 * 175


@pytest.mark.parametrize(
    "more",
    [
        {"recipe": "ldam[epochs=201]"},
        {"imbalance_factor": 50},
        {"model": "resnet56"},
        {"dataset": "cifar10", "method": "supcon_ce"},
        {"recipe": "ldam[batch_size=64]"},
        {"class_counts": (5000,) * 10},
    ],
)
def test_the_estimate_grows_with_the_work(more: dict[str, object], no_data: Path) -> None:
    assert cost.estimate([PLAIN.replace(**more)]) > cost.estimate([PLAIN]) > 0
    assert cost.estimate([PLAIN, PLAIN.replace(seed=1)]) == pytest.approx(2 * cost.estimate([PLAIN]))


@pytest.mark.parametrize(
    "less", [{"limit": 100}, {"recipe": "ldam[evaluate_every=20]"}, {"method": "supcon[probe_epochs=0.1]"}]
)
def test_and_shrinks_with_it(less: dict[str, object], no_data: Path) -> None:
    base = PLAIN.replace(method="supcon") if "method" in less else PLAIN
    assert 0 < cost.estimate([base.replace(**less)]) < cost.estimate([base])


def test_lists_that_share_runs_are_estimated_as_each_alone(no_data: Path) -> None:
    several = [PLAIN, PLAIN.replace(method="crt"), PLAIN.replace(seed=1)], [PLAIN.replace(method="crt")], []
    assert cost.estimates(*several) == [cost.estimate(one) for one in several]
    assert cost.estimates([]) == [0]


def test_the_probe_measures_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    pace = cost.measure.__wrapped__()
    assert 0 < pace.dispatch < 1
    assert 1e6 < pace.macs_per_second < 1e15


def test_a_plan_without_data_lists_what_is_missing(no_data: Path, reports: Path) -> None:
    found = plan.make("paper", grids.wanted(["convergent/1", "convergent/4"], "paper"))
    assert found.missing == []
    assert found.seconds == []
    assert set(found.no_data) == {"cifar10", "cifar100"}
    assert sum(found.no_data.values()) == len(found.experiments) > 0
    text = found.text()
    assert (
        f"{found.no_data['cifar10']} runs wait for cifar10, which is not here: {datasets.info('cifar10').where}" in text
    )
    assert not reports.exists(), "a plan writes nothing"
    assert list(no_data.iterdir()) == []


def test_a_plan_counts_what_is_there(trained: Run, tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tiny.replace(seed=1)
    monkeypatch.setattr(grids, "experiments", lambda name, profile: ([tiny, other], {}))
    found = plan.make("quick", grids.wanted(["x", "x"], "quick"))
    assert found.experiments == [tiny, other]
    assert found.missing == [other]
    assert found.seconds == pytest.approx([trained.seconds]), "what the other seed took here"
    assert found.text(2).startswith("quick: 2 runs, 1 finished, 1 to train now, about ")
    assert "with 2 processes (estimate)" in found.text(2)


def test_a_budget_serves_most_cells_first_and_first_seeds_before_second(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = tiny, tiny.replace(recipe="convergent[augmentation=shift1;epochs=20]")
    second = short.replace(seed=1)
    lists = {"a": [long, short, second], "b": [long], "c": [long], "d": [second]}
    monkeypatch.setattr(grids, "experiments", lambda name, profile: (lists[name], {}))
    price = {exp: cost.estimate([exp]) for exp in (short, long, second)}

    def within(budget: float) -> list[Experiment]:
        found = plan.make("quick", grids.wanted("abcd", "quick"), budget)
        assert sum(found.seconds) <= budget
        assert set(found.missing) | set(found.left_out) == {short, long, second}
        return found.missing

    assert within(0.0) == []
    assert within(price[short]) == [short]
    assert within(price[short] + price[second]) == [short, second], "what does not fit is passed over"
    assert within(price[short] + price[long]) == [long, short]
    assert within(sum(price.values()) * 1.01) == [long, short, second]
    two = plan.make("quick", grids.wanted("abcd", "quick"), price[short] + price[long])
    assert two.text().startswith("quick: 3 runs, 0 finished, 2 to train now")
    assert "within the budget 2 runs can be trained: 4 table cells filled" in two.text()
    assert "left out: 1 run, about " in two.text()
    assert "and 2 table cells with them; the same command goes on with them" in two.text()


def test_a_budget_fills_whole_cells(tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that prints the mean of two runs needs both; three cells of one run are worth more than two of another."""
    a, b, c, d = (tiny.replace(method=name) for name in ("ce", "focal", "balanced_softmax", "ldam"))
    needs = [
        grids.Need("x/1", frozenset([a.run_id, b.run_id]), 0, 3),
        grids.Need("x/1", frozenset([c.run_id]), 0, 2),
        grids.Need("x/2", frozenset([d.run_id]), 0, 1),
    ]
    price = cost.estimate([a])
    monkeypatch.setattr(runs, "finished", list)
    wanted = dict.fromkeys((a, b, c, d), 1)

    def within(units: float) -> plan.Plan:
        return plan.make("quick", wanted, units * price * 1.01, needs=needs)

    assert within(1).missing == [c], "two cells for one run, before three for two"
    assert within(2).missing == [c, d], "a mean of two is no cell with one of them"
    three = within(3)
    assert three.missing == [a, b, c]
    assert three.chosen is not None
    assert (three.chosen.cells, three.chosen.left) == (5, {"x/2": 1})
    assert "left out: 1 run, about 0 s more, and 1 table cell with them (x/2 1); the same" in three.text()
    both = plan.make("quick", wanted, 1.01 * price, needs=needs, jobs=2)
    assert both.missing == [c, d], "two processes train twice as much in the same time"


def test_on_a_gpu_the_runs_that_share_it_take_its_time(tiny: Experiment) -> None:
    """10 steps of 8 layers, 1 ms each: 80 ms of dispatch; 5e9 operations at 1e11 a second: 50 ms of arithmetic."""
    work = Work(10, 5e9, 8)
    alone, four = (recorded.Rates(Pace(1e-3, 1e11), together) for together in (1, 4))
    assert alone.seconds(tiny, work) == pytest.approx(0.13)
    assert recorded.Rates(Pace(1e-3, 1e11), 2).seconds(tiny, work) == pytest.approx(0.065)
    assert four.seconds(tiny, work) == pytest.approx(0.05), "its arithmetic cannot be shared away"


def test_what_runs_took_here_prices_others_like_them(trained: Run, tiny: Experiment) -> None:
    found = recorded.rates([trained])
    work = cost.work(tiny)
    assert found.seconds(tiny.replace(seed=5), work) == pytest.approx(trained.seconds)
    assert found.factor(tiny.replace(method="focal")) == found.factor(tiny), "another method on the same images"
    assert found.factor(PLAIN) == found.factor(tiny), "nothing nearer is known"
    trained.provenance["together"] = 4
    assert recorded.rates([trained]).factor(tiny) == pytest.approx(found.factor(tiny) / 4), "it shared the device"
    trained.provenance["device"] = "another machine's"
    assert recorded.rates([trained]).factor(tiny) == 1.0


def test_needs_are_the_printed_cells(no_data: Path) -> None:
    """Every cell of every table once, as far as the profile trains it; a mean of two datasets asks for both."""
    found = grids.needs(["convergent/1"], "laptop")
    ids = {experiment.run_id for experiment in grids.experiments("convergent/1", "laptop")[0]}
    assert {run for need in found for run in need.runs} <= ids
    trained = [c for c in grids.cells("convergent", "1") if isinstance(grids.trained(c, "laptop"), Experiment)]
    assert sum(need.cells for need in found if need.level == 0) == len({id(cell.row) for cell in trained})


@pytest.mark.parametrize(("every", "least", "most"), [(1, 0.2, 0.3), (10, 0.0, 0.05)])
def test_what_evaluation_costs(every: int, least: float, most: float, no_data: Path) -> None:
    """Where the last epoch counts, a twentieth of the work; where a rule asks for every epoch, a quarter."""
    found = cost.work(PLAIN.replace(recipe=f"ldam[evaluate_every={every}]"))
    evaluation = 200 / every * 10_000 * models.macs("resnet32", 10, 32)
    assert least < evaluation / found.macs < most


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("30 min", 1800), (" 6h ", 21600), ("1.5h", 5400), ("0s", 0)]
)
def test_budgets(text: str, seconds: float) -> None:
    assert plan.parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "-5m", "1h30m", "5 days", "1e3s", "infh"])
def test_wrong_budgets(text: str) -> None:
    with pytest.raises(SettingError, match="write it as 90s, 30m or 6h"):
        plan.parse_budget(text)


def test_a_stage_that_runs_share_is_counted_once(no_data: Path, reports: Path) -> None:
    """ce, cRT and LWS start alike: three first stages between them, one to train."""
    works = {name: cost.stage_works(PLAIN.replace(method=name)) for name in ("ce", "crt", "lws")}
    assert works["crt"][0] == works["lws"][0] == works["ce"][0]
    assert cost.work(PLAIN.replace(method="crt")) == works["crt"][0] + works["crt"][1]
    pace = cost.measure()
    alone = {name: [pace.seconds(work) for work in own] for name, own in works.items()}
    found = pricing.prices([PLAIN, PLAIN.replace(method="crt"), PLAIN.replace(method="lws")], pricing.at(pace))
    assert found == pytest.approx([alone["ce"][0], alone["crt"][1], alone["lws"][1]])
    assert cost.estimate([PLAIN, PLAIN.replace(method="crt"), PLAIN.replace(method="lws")]) == pytest.approx(sum(found))


def test_the_account_needs_no_data_and_names_stages_time_and_disk(no_data: Path, reports: Path) -> None:
    found = plan.make("paper", grids.wanted(grids.expand(["awabs"]), "paper"))
    text = found.account()
    assert f"all that is left, its data here or not: {len(found.experiments)} runs with" in text
    stages = {e.resolve().stage_id(i) for e in found.experiments for i in range(len(e.resolve().stages))}
    assert f"{len(stages)} of them different" in text
    assert "GPU-seconds" in text
    assert "nothing measured here" in text
    assert "GB of disk" in text
    assert not reports.exists()
    laptop = plan.make("laptop", grids.wanted(["convergent/1"], "laptop"))
    assert "GPU" not in laptop.account()
    pace = cost.measure()  # kept from the first call on
    seconds = sum(pace.seconds(cost.work(experiment)) for experiment in laptop.waiting)
    assert f"about {duration(seconds)} in one process of this machine" in laptop.account()


def test_disk_is_what_a_stage_writes(trained: Run) -> None:
    folder = trained.folder
    assert folder is not None
    stage = folder.parent / "stages" / trained.experiment.resolve().stage_id(0)
    written = sum(file.stat().st_size for file in stage.glob("*.safetensors"))
    asked = cost.stage_bytes(trained.experiment)
    assert asked / 2.5 < written < 1.5 * asked + 20_000


def test_a_document_stands_for_all_its_grids() -> None:
    assert grids.expand(["awabs"]) == [name for name in grids.names() if name.startswith("awabs/")]
    assert grids.expand(["awabs/4.6", "awabs/4.6", "convergent/1"]) == ["awabs/4.6", "convergent/1"]
    with pytest.raises(UnknownName, match="awabs"):
        grids.expand(["awab"])


def test_unknown_grids_and_profiles() -> None:
    with pytest.raises(UnknownName, match="unknown grid 'convergent/99'"):
        plan.make("quick", grids.wanted(["convergent/99"], "quick"))
    with pytest.raises(UnknownName, match="did you mean quick"):
        plan.make("quik", grids.wanted(["convergent/1"], "quik"))
