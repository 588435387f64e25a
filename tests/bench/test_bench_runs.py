"""The benches of whole trainings: that all arms do the same work, and the arithmetic around them. Nothing is timed."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ltlib import bench, cli, datasets
from ltlib.bench import clocks, common, loops, maps, peer, starts, together, watch, workload
from ltlib.bench import runs as bench_runs
from ltlib.errors import RunError, SettingError, UnknownName
from ltlib.pages import declared
from ltlib.runs import sweep
from ltlib.training import evaluation

CPU = torch.device("cpu")


def small(recipe: str = "ldam[epochs=2;evaluate_every=1]") -> workload.Workload:
    work = workload.workload(epochs=2)
    experiment = work.experiment.replace(limit=150, recipe=recipe)
    return workload.Workload(experiment, datasets.load("digits", limit=150), "8x8 digits", True)


# --- the arms do the same work


def test_the_strong_arm_and_ours_have_equal_losses_for_the_same_draws():
    work = workload.workload(epochs=1)
    theirs, mine = [], []
    network = loops.strong(work, CPU, note=lambda loss: theirs.append(loss.item()))
    outcome = loops.ours(work, CPU, note=lambda losses: mine.extend(losses.tolist()))
    assert len(mine) == len(theirs) == math.ceil(1297 / 128)
    assert mine == pytest.approx(theirs, abs=1e-6)
    assert len(set(mine)) > 1
    logits = evaluation.predict(network, loops.resident(work, CPU)[1])
    torch.testing.assert_close(outcome.logits["last"], logits, atol=1e-5, rtol=0)


def test_the_peer_and_ours_have_equal_losses_where_nothing_is_drawn():
    """Without augmentation and in the same order; the peer sums in another memory order."""
    work = small("ldam[epochs=1;augmentation=none;batch_size=16;warmup_epochs=0]")
    order = torch.cat([draw.index.flatten() for draw in work.draws(1)]).tolist()
    theirs, mine = [], []
    network = peer.train(work, CPU, 0, order=order, note=lambda loss: theirs.append(loss.item()))
    loops.ours(work, CPU, note=lambda losses: mine.extend(losses.tolist()))
    assert len(mine) == len(theirs) == math.ceil(len(work.data.train) / 16) >= 9
    assert mine == pytest.approx(theirs, abs=2e-4)
    assert theirs[0] - theirs[-1] > 0.3, "it learns"
    assert network.backbone.get_parameter("conv1.weight").is_contiguous()


def test_the_peer_prepares_images_as_the_resident_set_does():
    data = small().data
    images = data.test.with_transform(peer.transform(data, ()))
    ours = loops.resident(small(), CPU)[1].batch(torch.arange(5))
    torch.testing.assert_close(torch.stack([images[i][0] for i in range(5)]), ours, atol=1e-6, rtol=0)


def test_the_peer_shuffles_crops_and_flips_anew_in_each_epoch():
    data = small().data
    again = peer.transform(data, ("crop4", "flip"))
    images = [data.train.with_transform(again)[0][0] for _ in range(8)]
    assert len({tuple(image.flatten().tolist()) for image in images}) > 4
    with pytest.raises(SettingError, match="no augmentation cutout"):
        peer.transform(data, ("crop4", "cutout"))


def test_the_peers_evaluation_is_the_share_of_each_class_that_is_right():
    data = small().data
    test = torch.utils.data.DataLoader(data.test.with_transform(peer.transform(data, ())), batch_size=100)
    network = loops.strong(small(), CPU)
    found = peer.evaluate(network, test, CPU)
    right = {c: [] for c in range(10)}
    with torch.no_grad():
        for i in range(len(data.test)):
            image, target = test.dataset[i]
            right[target].append(int(network(image[None]).argmax()) == target)
    assert found == pytest.approx([np.mean(right[c]) for c in range(10)])


def test_evaluations_happen_as_often_as_the_arm_says(monkeypatch):
    calls = {"peer": 0, "strong": 0, "ours": 0}
    real_peer, real_predict, real_evaluate = peer.evaluate, evaluation.predict, evaluation.evaluate

    def counting(name, real):
        def go(*args):
            calls[name] += 1
            return real(*args)

        return go

    monkeypatch.setattr(peer, "evaluate", counting("peer", real_peer))
    work = small().every(2, epochs=3)  # after epochs 2 and 3
    peer.train(work, CPU, 0)
    monkeypatch.setattr(evaluation, "predict", counting("strong", real_predict))
    loops.strong(work, CPU)
    monkeypatch.setattr(evaluation, "predict", real_predict)
    monkeypatch.setattr(evaluation, "evaluate", counting("ours", real_evaluate))
    loops.ours(work, CPU)
    assert calls == {"peer": 2, "strong": 2, "ours": 2}
    assert workload.operations(1, 1, 1, work.epochs, 2) == (6 * 3, 2 * 2)


def test_usual_settings_change_nothing_on_a_cpu():
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    with peer.usual_settings(CPU):
        assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == before


def test_usual_settings_come_back_on_cuda(monkeypatch):
    """Only flags are set, so this needs no GPU."""
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "deterministic", True)
    monkeypatch.setattr(cudnn, "benchmark", False)
    with peer.usual_settings(torch.device("cuda")):
        assert cudnn.benchmark
        assert not cudnn.deterministic
    assert cudnn.deterministic
    assert not cudnn.benchmark


def test_a_whole_run_leaves_no_reports(reports):
    made = loops.ours_with_files(small())
    assert made.id == small().experiment.run_id
    assert not (reports / "runs").exists()
    assert os.environ["LTLIB_REPORTS"] == str(reports)


def test_temporary_reports_come_back_after_an_error(reports, monkeypatch):
    seen = []

    def fail():
        with loops.temporary_reports():
            seen.append(os.environ["LTLIB_REPORTS"])
            raise RunError("the disk is full")

    with pytest.raises(RunError, match="full"):
        fail()
    assert os.environ["LTLIB_REPORTS"] == str(reports) != seen[0]
    assert not Path(seen[0]).exists()
    monkeypatch.delenv("LTLIB_REPORTS")
    with loops.temporary_reports():
        assert "LTLIB_REPORTS" in os.environ
    assert "LTLIB_REPORTS" not in os.environ


# --- what is trained


def test_workloads_are_the_images_they_say(no_data):
    tiny = workload.workload()
    assert (len(tiny.data.train), len(tiny.data.test), tiny.data.image_size) == (1297, 500, 8)
    assert (tiny.epochs, tiny.stored) == (10, True)
    large = workload.workload("resnet20", images=200, epochs=1, seed=3)
    assert (large.source, large.stored, large.data.num_classes) == ("random pixels", False, 100)
    assert large.data.train.images.shape == large.data.test.images.shape == (200, 32, 32, 3)
    assert set(large.data.class_counts) == {2}
    assert not np.array_equal(large.data.train.images, large.data.test.images)
    with pytest.raises(UnknownName):
        workload.workload("resnet33")


def test_a_gpu_gets_more_work_by_default(no_data, monkeypatch):
    assert len(workload.workload("resnet8").data.train) == 1280
    monkeypatch.setattr("ltlib.training.accelerator.device", lambda: torch.device("cuda"))
    work = workload.workload("resnet8")
    assert (work.epochs, len(work.data.train), work.experiment.limit) == (5, 10_847, None)


def test_evaluations_share_of_the_operations():
    assert workload.evaluation_share(10_847, 10_000, 200, 1) == pytest.approx(10_000 / (3 * 10_847 + 10_000))
    assert workload.evaluation_share(10_847, 10_000, 200, 10) == pytest.approx(20e4 / (3 * 200 * 10_847 + 20e4))
    for epochs, every in ((1, 10), (25, 10), (30, 10), (7, 3), (5, 1)):
        happen = sum(e % every == 0 or e == epochs for e in range(1, epochs + 1))
        assert workload.operations(5, 3, 7, epochs, every) == (6 * 5 * 3 * epochs, 2 * 5 * 7 * happen)
    work = small().every(1)
    assert work.operations() == 2 * work.macs * 2 * (3 * len(work.data.train) + len(work.data.test))


# --- clocks and noise

STAT = """cpu  900 0 0 9000 0 0 0 0 0 0
cpu0 100 20 30 5000 700 4 6 40 11 12
cpu1 100 0 0 4000 0 0 0 0 0 0
cpu11 999 0 0 0 0 0 0 0 0 0
intr 5
"""


def test_busy_seconds_are_those_of_the_cores_this_process_may_use():
    ticks = os.sysconf("SC_CLK_TCK")
    assert clocks.busy_seconds(STAT, {0}) == (100 + 20 + 30 + 4 + 6 + 40) / ticks
    assert clocks.busy_seconds(STAT, {0, 1}) == 300 / ticks
    assert clocks.busy_seconds("nothing here", {0}) is None


def test_foreign_is_what_all_used_less_what_we_used(monkeypatch):
    busy, own, now = iter([100.0, 103.0]), iter([10.0, 11.0]), iter([0.0, 4.0])
    monkeypatch.setattr(clocks, "busy_seconds", lambda: next(busy))
    monkeypatch.setattr(clocks, "cpu_seconds", lambda: next(own))
    monkeypatch.setattr(clocks.time, "perf_counter", lambda: next(now))
    assert clocks.Foreign().share() == (3 - 1) / 4


def test_foreign_is_unknown_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.setattr(clocks, "busy_seconds", lambda: None)
    assert clocks.Foreign().share() is None


def arm(wall, foreign, count=10):
    return bench.Arm(lambda: None, count, 1, wall=list(wall), cpu=list(wall), foreign=list(foreign))


def test_noisy_rounds_are_left_out_where_enough_are_quiet():
    slow = arm([10, 99, 12, 14], [0.0, 0.9, 0.1, 0.15])
    fast = arm([1, 1, 2, 1], [0.1, 0.0, 0.0, 0.0])
    assert bench.quiet_rounds(slow, fast) == ([0, 2, 3], 1)
    found = common.compare(slow, fast)
    assert found["wall"] == {"median": 10.0, "low": 6.0, "high": 14.0}
    assert (found["rounds"], found["noisy"]) == (3, 1)
    assert common.counted(found) == "3 (1 noisy, left out)"
    assert common.describe(slow)["images_per_second"] == pytest.approx(1 / 12)
    assert common.describe(slow)["round_seconds"] == [100, 990, 120, 140]


def test_with_too_few_quiet_rounds_all_count_and_it_is_said():
    slow, fast = arm([10, 30, 20], [0.0, 0.9, 0.1]), arm([1, 1, 1], [0.2, 0.0, 0.0])
    assert bench.quiet_rounds(slow, fast) == ([0, 1, 2], 2)
    found = common.compare(slow, fast)
    assert found["wall"]["median"] == 20
    assert common.counted(found) == "3 (2 noisy, kept: too few quiet)"
    quiet = common.compare(arm([2, 2], [0, 0]), arm([1, 1], [0, 0]))
    assert common.counted(quiet) == "2 (all quiet)"
    unknown = arm([1, 1, 1], [None, 0.0, 0.0])
    assert bench.quiet_rounds(slow, unknown) == ([0, 1, 2], None)
    assert common.counted(common.compare(slow, unknown)) == "3 (noise unknown)"


def test_a_measured_arm_notes_the_others(monkeypatch):
    monkeypatch.setattr(common, "SHORTEST", 0.0)
    measured = bench.Arm(lambda: None, 1, 1)
    heard = []
    common.take_turns({"a": measured}, 2, heard.append)
    assert len(measured.foreign) == 2
    assert heard == ["a", "a"]


# --- memory and matrix products


@pytest.mark.skipif(watch.resident_bytes() is None, reason="this system does not tell the resident size")
def test_peak_memory_is_that_of_the_work():
    def work():
        held = np.ones(64 * 2**20, np.uint8)
        time.sleep(0.1)
        del held

    found = watch.peak_memory(work)
    assert 60 * 2**20 < found["rise"] < 200 * 2**20
    assert found["peak"] > found["rise"]


def test_matmul_rate_counts_two_operations_a_product(monkeypatch):
    now = iter([0.0, 2.0, 10.0, 11.0, 20.0, 24.0])
    monkeypatch.setattr(watch, "_SIZES", {"cpu": (16,)})
    monkeypatch.setattr(watch.time, "perf_counter", lambda: next(now))
    assert watch.matmul_rate(CPU, 1, repeats=2) == 2 * 16**3 / 1.0


# --- bench run


@pytest.fixture(scope="module")
def ran():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(common, "SHORTEST", 0.0)
        patch.setattr(watch, "_SIZES", {"cpu": (64,)})
        patch.setenv("LTLIB_DEVICE", "cpu")
        patch.setattr(bench_runs, "workload", lambda *args, **settings: small())
        return bench.run(rounds=1, quiet=True)


def test_run_compares_every_arm(ran):
    assert json.loads(json.dumps(ran, allow_nan=False)) == ran
    assert (ran["bench"], ran["epochs"], ran["rounds"], ran["threads"], ran["device"]) == ("run", 2, 1, 1, "cpu")
    ways = ("peer", "strong", "ours", "run with files")
    assert list(ran["arms"]) == [f"{way}, {when}" for when in ("each epoch", "last only") for way in ways]
    assert list(ran["ratios"]) == [name for name, _, _ in bench_runs.PAIRS]
    for found in ran["arms"].values():
        assert found["seconds_per_epoch"] == pytest.approx(ran["data"]["train"] / found["images_per_second"])
        assert len(found["round_seconds"]) == len(found["round_foreign"]) == 1
    assert str(ran["peer_workers"]["chosen"]) in ran["peer_workers"]["epoch_seconds"]
    assert ran["operations"]["evaluation_share"]["CIFAR-100-LT, 200 epochs"]["every epoch"] == pytest.approx(
        0.2351, abs=1e-4
    )


def test_run_text_names_every_arm_and_ratio(ran):
    text = bench_runs.text(ran)
    for name in [*ran["arms"], *ran["ratios"]]:
        assert name in text
    assert "23.5% evaluated every epoch, 3.0% evaluated every 10 epochs" in text
    assert "150 training and 150 test images (8x8 digits, 8x8), 2 epochs" in text


def test_speed_of_an_arm_counts_its_evaluations():
    work = small()
    fake = arm([0.01], [0.0], count=2 * len(work.data.train))
    each = bench_runs.speed(fake, work, "ours, each epoch", None, 1e9)
    last = bench_runs.speed(fake, work, "ours, last only", None, 1e9)
    train, test = len(work.data.train), len(work.data.test)
    assert each["images_per_second"] == pytest.approx(100)
    assert each["flops_per_second"] == pytest.approx(100 * 2 * work.macs * (3 + test / train))
    assert last["flops_per_second"] == pytest.approx(100 * 2 * work.macs * (3 + test / train / 2))
    assert each["matmul_share"] == pytest.approx(each["flops_per_second"] / 1e9)


def test_the_peer_gets_the_faster_number_of_workers(monkeypatch):
    asked, now = [], iter([0, 5, 10, 13, 20, 24, 30, 32])  # 0 workers: 5 and 2 s; 2 workers: 3 and 4 s
    monkeypatch.setattr(bench_runs.peer, "train", lambda work, target, workers: asked.append((workers, work.epochs)))
    monkeypatch.setattr(bench_runs.time, "perf_counter", lambda: next(now))
    assert bench_runs.choose_workers(small(), CPU, 1, 2) == (0, {"0": 2, "2": 3})
    assert asked == [(0, 1), (0, 1), (2, 1), (2, 1), (0, 1)]


# --- bench grid


@pytest.fixture
def gridded(monkeypatch):
    monkeypatch.setattr(common, "SHORTEST", 0.0)
    monkeypatch.setattr(together, "workload", lambda *args, **settings: small())
    return lambda **settings: bench.grid(rounds=1, quiet=True, **settings)


def test_grid_trains_all_runs_in_every_arm(gridded, monkeypatch, reports):
    asked = []

    def run_all(experiments, *, jobs, streams, show, strict):
        asked.append((sorted(experiment.seed for experiment in experiments), jobs, streams))
        return sweep.RunList()

    monkeypatch.setattr(sweep, "run_all", run_all)
    found = gridded(count=2, jobs=2, streams=(2,), threads=1)
    assert asked == [([0, 1], 2, 1)] * 2
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found["arms"]) == ["one by one", "2 processes", "2 streams"]
    assert list(found["ratios"]) == ["2 processes against one by one", "2 streams against one by one"]
    images = 2 * 2 * found["images"]
    for values in found["arms"].values():
        assert values["seconds_per_run"] == pytest.approx(images / values["images_per_second"] / 2)
    assert not (reports / "runs").exists()
    text = together._text(found)
    assert "2 runs of tiny" in text
    assert "2 processes against one by one" in text


@pytest.mark.parametrize("way", ["side_by_side", "packed"])
def test_a_failed_run_fails_the_grid(way, monkeypatch):
    failed = sweep.RunList((), {"0": "the disk is full"})
    monkeypatch.setattr(sweep, "run_all", lambda *a, **k: failed)
    monkeypatch.setattr(together.packing, "run_packed", lambda *a, **k: failed)
    with pytest.raises(RunError, match="the disk is full"):
        getattr(together, way)([small().experiment], 1)


def test_grid_needs_real_images(no_data):
    with pytest.raises(RunError, match="not here"):
        bench.grid(model="resnet20", rounds=1, quiet=True)


# --- bench start and bench embedding


def test_the_lean_notebook_comes_to_its_end(tmp_path, reports):
    page = starts.lean_page(tmp_path)
    assert declared.of_notebook(declared.read_notebook(page.path), page.path)[0].notebook == "lean"
    starts.execute(page)
    assert not reports.exists()


def test_start_judges_the_lean_notebook_by_import_torch():
    def arms(spent):
        return {name: arm([spent if name == starts.NOTEBOOK else 2.0] * 3, [0] * 3, 1) for name in names}

    names = [*starts.IMPORTS, starts.NOTEBOOK]
    found = starts.summary(arms(5.9))
    assert found["lean_notebook"] == {"seconds": pytest.approx(5.9), "allowed": pytest.approx(6.0), "passes": True}
    assert found["ratios"][starts.NOTEBOOK]["wall"]["median"] == pytest.approx(2.95)
    assert not starts.summary(arms(6.1))["lean_notebook"]["passes"]
    text = starts._text(found | {"machine": bench.machine()})
    assert "2.95x" in text
    assert "5.9 s, within what it may" in text


def test_embedding_measures_each_work_with_each_number_of_threads(monkeypatch):
    asked = []

    def measure(what, rows, width, seed, threads, show):
        asked.append((what, rows, width, threads, show))
        return float(len(asked))

    monkeypatch.setattr(maps, "_measure", measure)
    found = bench.embedding(rows=60, width=50, rounds=3, threads=(1, 2), quiet=True)
    assert asked == [(what, 60, 50, n, False) for what in ("pca", "tsne") for n in (1, 2)] * 3
    assert found["seconds"]["pca, 1 thread"] == {"median": 5.0, "low": 1.0, "high": 9.0}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert "60 x 50 features" in maps._text(found)


def test_embedding_runs_in_a_process_of_its_own():
    assert 0 < maps._measure("pca", 60, 50, 0, 1, False) < 60


def test_features_are_clusters():
    x, targets = maps.features(100, 50, 0)
    assert (x.shape, x.dtype, x.min()) == ((100, 50), np.float32, 0)
    means = torch.stack([torch.from_numpy(x[targets == c].mean(0)) for c in range(10)])
    nearest = torch.cdist(torch.from_numpy(x), means).argmin(1)
    assert (nearest.numpy() == targets).mean() > 0.95


# --- settings and the command


@pytest.mark.parametrize(
    ("what", "settings"),
    [
        ("run", {"rounds": 0}),
        ("run", {"threads": 0}),
        ("run", {"epochs": 0}),
        ("run", {"model": "resnet20", "images": 100}),
        ("grid", {"rounds": 0}),
        ("grid", {"count": 0}),
        ("grid", {"jobs": 0}),
        ("grid", {"threads": 0}),
        ("grid", {"streams": (0,)}),
        ("start", {"rounds": 0}),
        ("embedding", {"rounds": 0}),
        ("embedding", {"rows": 49}),
        ("embedding", {"threads": (0,)}),
    ],
)
def test_bad_settings_are_refused(what, settings):
    with pytest.raises(SettingError, match="needs"):
        getattr(bench, what)(**settings)


def test_the_command_hands_its_settings_on(monkeypatch, tmp_path, capsys):
    asked = {}
    for name in ("run", "grid", "start", "embedding"):
        monkeypatch.setattr(
            bench, name, lambda name=name, **settings: asked.update({name: settings}) or {"bench": name}
        )
    out = tmp_path / "run.json"
    assert cli.main(["bench", "run", "--model=resnet32", "--epochs=3", "--threads=1", f"--out={out}"]) == 0
    assert json.loads(out.read_text()) == {"bench": "run"}
    assert cli.main(["bench", "grid", "--jobs=2", "--count=8", "--rounds=3"]) == 0
    assert cli.main(["bench", "start"]) == cli.main(["bench", "embedding", "--rounds=1"]) == 0
    assert asked == {
        "run": {"rounds": 5, "model": "resnet32", "epochs": 3, "threads": 1},
        "grid": {"rounds": 3, "jobs": 2, "count": 8},
        "start": {"rounds": 5},
        "embedding": {"rounds": 1},
    }
    assert cli.main(["bench", "start", "--model=resnet32"]) != 0
    assert "bench start has no setting model" in capsys.readouterr().err
