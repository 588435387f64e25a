"""``ltlib bench run``: a whole training end to end, against the usual loop and against a good engineer's loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ltlib.bench import loops, peer, watch
from ltlib.bench.common import Arm, compare, counted, describe, machine, table, take_turns, threads
from ltlib.bench.workload import PUBLISHED, TINY, Workload, evaluation_share, workload
from ltlib.errors import SettingError
from ltlib.progress import Progress
from ltlib.training import accelerator

EACH, LAST = "each epoch", "last only"
"""When the test images are evaluated."""
PAIRS = (
    ("ours against peer, both evaluate each epoch", f"peer, {EACH}", f"ours, {EACH}"),
    ("ours against peer, both evaluate the last epoch", f"peer, {LAST}", f"ours, {LAST}"),
    ("ours (last epoch) against peer (each epoch)", f"peer, {EACH}", f"ours, {LAST}"),
    ("ours against strong, both evaluate each epoch", f"strong, {EACH}", f"ours, {EACH}"),
    ("ours against strong, both evaluate the last epoch", f"strong, {LAST}", f"ours, {LAST}"),
    ("strong against peer, both evaluate each epoch", f"peer, {EACH}", f"strong, {EACH}"),
    ("run with its files against peer, each epoch", f"peer, {EACH}", f"run with files, {EACH}"),
    ("run with its files against peer, last epoch", f"peer, {LAST}", f"run with files, {LAST}"),
)
"""What is compared: name, the slower arm, the faster one."""


def run(
    *,
    model: str = TINY,
    epochs: int | None = None,
    rounds: int = 5,
    threads: int | None = None,
    images: int | None = None,
    precision: str = "float32",
    seed: int = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """A whole training, the arms interleaved in one process.

    Arms, with the same initial weights, images, batch size, learning rates and number of epochs:

    - ``peer``: the usual loop (`ltlib.bench.peer`). Its workers are 0 or min(4, cores), whichever was faster in the
      warm-up.
    - ``strong``: a plain loop over images that stay on the device (`ltlib.bench.loops.strong`).
    - ``ours``: the workbook's training in memory (`ltlib.bench.loops.ours`).
    - ``run with files``: `ltlib.runs.run`, from the images on disk to the sealed run folder. Only where the images are
      on this machine.

    Each evaluates the test images at each epoch, and at the last one only.

    Args:
        model: ``tiny`` (ResNet-8 on the 8x8 digits) or a network on 32x32 images, see `workload.workload`.
        epochs: Of a training; 10 for ``tiny``, else 2, on a GPU 5.
        rounds: Measured rounds, after a warm-up of each arm; at least 5 for a number worth keeping.
        threads: Of torch, in every arm; by default 1 for ``tiny``, whose layers are too small to share, else all
            cores.
        images: Training images of 32x32 pixels, and test images; 1,280 by default, on a GPU the whole long-tailed set.
        precision: Of ``strong`` and ours; the peer is float32.
        seed: Of weights and draws.
        quiet: Print nothing.

    Returns:
        JSON-ready: ``bench``, ``model``, ``data`` (source, image sizes and counts), ``batch``, ``epochs``, ``rounds``,
        ``threads``, ``precision``, ``device``, ``peer_workers`` (chosen, and the seconds of an epoch of either),
        ``arms`` (by name: images_per_second, seconds_per_epoch, memory, flops_per_second, matmul_share and the numbers
        of each round), ``ratios`` (by name: median, low, high of wall and CPU time, rounds that counted, noisy rounds),
        ``operations`` (of a training, evaluation's shares), ``matmul_flops_per_second``, ``machine``.

    Raises:
        SettingError: No round, no thread, no epoch, too few images.
        UnknownName: Unknown network.
    """
    cores = machine()["cores"]
    count = threads if threads is not None else 1 if model == TINY else cores
    if rounds < 1 or count < 1:
        raise SettingError(f"bench run needs at least one round and one thread, not {rounds} and {count}")
    work, target = workload(model, epochs=epochs, images=images, precision=precision, seed=seed), accelerator.device()
    workers, tried = choose_workers(work, target, count, min(4, cores))
    arms = {name: Arm(go, len(work.data.train) * work.epochs, count) for name, go in _arms(work, target, workers)}
    line = Progress(len(arms) * (rounds + 1), f"bench run {model}", enabled=not quiet)
    memory = _warm_up(arms, line)
    rate = watch.matmul_rate(target, count)
    take_turns(arms, rounds, line.step)
    result = {
        "bench": "run",
        "model": model,
        "data": {
            "source": work.source,
            "image_size": work.data.image_size,
            "classes": work.data.num_classes,
            "train": len(work.data.train),
            "test": len(work.data.test),
        },
        "batch": work.recipe().batch_size,
        "epochs": work.epochs,
        "rounds": rounds,
        "threads": count,
        "precision": work.resolved.precision,
        "device": str(target),
        "peer_workers": {"chosen": workers, "epoch_seconds": tried},
        "arms": {name: speed(arm, work, name, memory[name], rate) for name, arm in arms.items()},
        "ratios": {name: compare(arms[slow], arms[fast]) for name, slow, fast in PAIRS if fast in arms},
        "operations": operations(work),
        "matmul_flops_per_second": rate,
        "machine": machine(),
    }
    if not quiet:
        print(text(result))  # noqa: T201 - a bench is run to be read
    return result


def choose_workers(work: Workload, target: torch.device, thread_count: int, most: int) -> tuple[int, dict[str, float]]:
    """How many workers the peer gets: none or `most`, whichever is faster here, and the seconds of an epoch of each.

    Forking workers costs more than a small set takes; the peer must not lose by that. Each way gets two epochs in
    turns, after a warm-up, and its faster one counts.
    """
    seconds: dict[int, float] = {}
    epoch = work.every(1, epochs=1)
    with threads(thread_count), peer.usual_settings(target):
        peer.train(epoch, target, 0)
        for workers in (0, most, most, 0):
            started = time.perf_counter()
            peer.train(epoch, target, workers)
            _wait(target)
            seconds[workers] = min(seconds.get(workers, math.inf), time.perf_counter() - started)
    return min(seconds, key=lambda workers: seconds[workers]), {str(key): value for key, value in seconds.items()}


def _arms(work: Workload, target: torch.device, workers: int) -> list[tuple[str, Callable[[], None]]]:
    """The arms by name; each is one whole training."""
    found: list[tuple[str, Callable[[], None]]] = []
    for when, every in ((EACH, 1), (LAST, work.epochs)):
        its = work.every(every)
        ways: dict[str, Callable[[Workload], Any]] = {
            "peer": _usual(target, lambda its: peer.train(its, target, workers)),
            "strong": _usual(target, lambda its: loops.strong(its, target)),
            "ours": lambda its: loops.ours(its, target),
        }
        if work.stored:
            ways["run with files"] = loops.ours_with_files
        found += [(f"{name}, {when}", _synchronised(way, its, target)) for name, way in ways.items()]
    return found


def _usual(target: torch.device, way: Callable[[Workload], Any]) -> Callable[[Workload], Any]:
    """The same under the settings that training code usually has."""

    def go(work: Workload) -> Any:
        with peer.usual_settings(target):
            return way(work)

    return go


def _synchronised(way: Callable[[Workload], Any], work: Workload, target: torch.device) -> Callable[[], None]:
    def go() -> None:
        way(work)
        _wait(target)

    return go


def _wait(target: torch.device) -> None:
    if target.type == "cuda":
        torch.cuda.synchronize(target)


def _warm_up(arms: Mapping[str, Arm], line: Progress) -> dict[str, dict[str, int] | None]:
    """Run each arm once and note the memory it takes; the timed rounds are left alone."""
    memory = {}
    for name, arm in arms.items():
        with threads(arm.threads):
            memory[name] = watch.peak_memory(arm.run)
        line.step(f"{name}, warm-up")
    return memory


def speed(arm: Arm, work: Workload, name: str, memory: dict[str, int] | None, rate: float) -> dict[str, Any]:
    """An arm's medians over the rounds that count, and every round as it was.

    Args:
        arm: After its rounds.
        work: What it trains; evaluated as its name says.
        name: Of the arm.
        memory: From `watch.peak_memory`.
        rate: Of matrix products, floating-point operations a second.
    """
    found = describe(arm)
    images = len(work.data.train)
    flops = work.every(work.epochs if name.endswith(LAST) else 1).operations()
    reached = flops / (images * work.epochs) * found["images_per_second"]
    return found | {
        "seconds_per_epoch": images / found["images_per_second"],
        "flops_per_second": reached,
        "matmul_share": reached / rate,
        "memory": memory,
    }


def operations(work: Workload) -> dict[str, Any]:
    """Floating-point operations of one training image, and what share of a run's go into evaluation."""
    own = (len(work.data.train), len(work.data.test), work.epochs)
    share = {
        name: {when: evaluation_share(*run, every) for when, every in (("every epoch", 1), ("every 10 epochs", 10))}
        for name, run in (("this workload", own), ("CIFAR-100-LT, 200 epochs", PUBLISHED))
    }
    return {"macs": work.macs, "flops_per_training_image": 6 * work.macs, "evaluation_share": share}


def text(result: Mapping[str, Any]) -> str:
    """The result as people read it."""
    data, host = result["data"], result["machine"]
    device = result["device"].partition(":")[0]
    sizes_of = {"peak": "peak MB", "rise": "rise MB"} | ({"device_peak": "GPU MB"} if device == "cuda" else {})
    rows = [[f"{result['model']}, whole training", "images/s", "s/epoch", "of matmul", *sizes_of.values()]]
    for name, arm in result["arms"].items():
        memory = arm["memory"] or {}
        sizes = [f"{memory[key] / 2**20:,.0f}" if key in memory else "?" for key in sizes_of]
        numbers = (f"{arm['images_per_second']:,.0f}", f"{arm['seconds_per_epoch']:.3f}", f"{arm['matmul_share']:.1%}")
        rows.append([name, *numbers, *sizes])
    compared = [["ratio of wall time", "median", "range", "CPU time", "rounds"]]
    for name, kinds in result["ratios"].items():
        wall, cpu = kinds["wall"], kinds["cpu"]
        spread = f"{wall['low']:.2f} to {wall['high']:.2f}"
        compared.append([name, f"{wall['median']:.2f}x", spread, f"{cpu['median']:.2f}x", counted(kinds)])
    lines = [table(rows), "", table(compared), ""]
    for name, shares in result["operations"]["evaluation_share"].items():
        parts = ", ".join(f"{share:.1%} evaluated {when}" for when, share in shares.items())
        lines.append(f"evaluation's share of all operations, {name}: {parts}")
    seconds = ", ".join(f"{n}: {s:.2f} s an epoch" for n, s in result["peer_workers"]["epoch_seconds"].items())
    lines += [
        f"the peer has {result['peer_workers']['chosen']} workers, the faster way in the warm-up ({seconds})",
        f"{data['train']:,} training and {data['test']:,} test images ({data['source']}, {data['image_size']}x"
        f"{data['image_size']}), {result['epochs']} epochs, batch {result['batch']}, {result['rounds']} rounds, "
        f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}, {result['precision']}, {result['device']}",
        f"{'bf16' if device == 'cuda' else 'float32'} matrix products here: "
        f"{result['matmul_flops_per_second'] / 1e9:,.0f} GFLOP/s; memory is this process's, "
        "without DataLoader workers; rise is above the start of the arm",
        f"{host['cpu']}, {host['cores']} cores, torch {host['torch']}" + (f", {host['gpu']}" if host["gpu"] else ""),
    ]
    return "\n".join(lines)
