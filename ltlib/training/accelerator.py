"""Where to train, what a GPU is told before it does, and how much of a device's memory a run's images may take.

``float32`` means float32: torch lets cuDNN's convolutions use TF32 by default, ten bits of mantissa, which is switched
off. Kernels are chosen by rule, not by timing (``benchmark``), and only repeatable ones are taken (``deterministic``):
timed choices differ from process to process, and with them the last bits of a run. For the same reason cuBLAS gets a
workspace of a fixed size on every stream. What that costs is not measured. And on a CPU every training has one thread,
wherever it is started: with two, sums are added in another order, and after some epochs it is another network.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from ltlib import places
from ltlib.errors import SettingError

QUIET = 256 * 2**20
"""Bytes below which nothing is said."""
CPU_THREADS = 1
"""Of a training on the CPU. Only a benchmark sets another number: its runs are thrown away."""
SHARE = 0.5
"""Of the free memory; the rest is for weights, activations, recorded steps and other runs."""
_UNITS = {"": 1, "B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def device() -> torch.device:
    """Where to train: ``LTLIB_DEVICE``, else a CUDA device, else the CPU.

    Raises:
        SettingError: ``LTLIB_DEVICE`` is no such device, or one that is not here.
    """
    wanted = places.variable("LTLIB_DEVICE")
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not wanted:
        return torch.device("cuda" if there else "cpu")
    if wanted == "cpu":
        return torch.device("cpu")
    shape = re.fullmatch(r"cuda(?::(0|[1-9]\d*))?", wanted)
    if shape is None:
        raise SettingError(f"LTLIB_DEVICE must be cpu, cuda or cuda:N, not {wanted!r}")
    if int(shape[1] or 0) >= there:
        here = f"{there} CUDA device{'s are' if there > 1 else ' is'}" if there else "no CUDA device is"
        raise SettingError(f"LTLIB_DEVICE is {wanted}, but {here} here; set another one, or unset it")
    return torch.device(wanted)


@contextlib.contextmanager
def fixed_threads(target: torch.device) -> Iterator[None]:
    """A CPU training's threads while the block runs, and the caller's own again after it; a GPU's numbers do not depend
    on them."""
    if target.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(CPU_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def prepare(target: torch.device) -> None:
    """Set what holds for the whole process; nothing on a CPU, and the same however often it is called."""
    if target.type != "cuda":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first product is computed
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    cudnn.benchmark = False
    cudnn.deterministic = True
    if hasattr(cudnn, "conv"):  # torch 2.9; the older names must not be mixed with these
        cudnn.conv.fp32_precision = "ieee"
        matmul.fp32_precision = "ieee"
    else:
        cudnn.allow_tf32 = False
        matmul.allow_tf32 = False


def memory_budget(target: torch.device) -> int:
    """Bytes that a run's images may take on a device: ``LTLIB_MEMORY`` ("2GiB"), else half of what is free now.

    Raises:
        SettingError: ``LTLIB_MEMORY`` is no amount of memory.
    """
    wanted = places.variable("LTLIB_MEMORY")
    return read_bytes(wanted) if wanted else int(SHARE * _free(target))


def read_bytes(text: str) -> int:
    """An amount of memory such as ``800MiB``, ``2GiB``, ``1.5GB`` or a bare number of bytes.

    Raises:
        SettingError: It is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    if found is None or found[2].upper() not in _UNITS:
        raise SettingError(f"LTLIB_MEMORY must be an amount of memory such as 800MiB or 2GiB, not {text!r}")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def plan_memory(needed: Mapping[str, int], target: torch.device) -> tuple[set[str], str]:
    """Which sets of images are kept on the device, and what to say about it.

    Args:
        needed: Bytes of each set, the most important first.
        target: Where they are wanted.

    Returns:
        Names of the sets that fit in the budget, taken in order; and a sentence, empty where all of them fit and take
        less than `QUIET`.
    """
    budget = memory_budget(target)
    kept, left = set(), budget
    for name, count in needed.items():
        if count <= left:
            kept.add(name)
            left -= count
    total = sum(needed.values())
    streamed = [name for name in needed if name not in kept]
    if not streamed and total < QUIET:
        return kept, ""
    text = f"the images take {size(total)} of memory on {target} (budget {size(budget)}, LTLIB_MEMORY sets another)"
    if streamed:
        text += f"; streamed from the host instead, which is slower: {', '.join(streamed)}"
    return kept, text


def size(count: int) -> str:
    """Bytes as people say them: ``512 MiB``, ``2.5 GiB``."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _free(target: torch.device) -> int:
    """Free bytes of the device; on a CPU, of the machine."""
    if target.type == "cuda":
        return torch.cuda.mem_get_info(target)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):  # not Linux
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):  # Windows
        return 4 * 2**30
