"""What a bench watches beside the clock: the memory an arm takes, and the machine's rate of matrix products."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ltlib.bench.common import threads

_SAMPLE_SECONDS = 0.01
_SIZES = {"cpu": (512, 1024, 2048), "cuda": (4096, 8192)}


def peak_memory(work: Callable[[], None]) -> dict[str, int] | None:
    """Run something and say what memory it took: peak of this process, and rise above where it started, in bytes.

    The system's own maximum (``ru_maxrss``) is one of the whole process and cannot be set back, so the resident size is
    read every hundredth of a second. Freed memory is given back to the system first, as far as the C library can.
    DataLoader workers are not counted. On a CUDA device its allocator's peak is given as well.

    Returns:
        ``peak``, ``rise`` and, with CUDA, ``device_peak``; None where the resident size cannot be read (the work is
        done all the same).
    """
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    start = resident_bytes()
    if start is None:
        work()
        return None
    seen, over = [start], threading.Event()

    def sample() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            seen.append(resident_bytes() or 0)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        work()
    finally:
        over.set()
        sampler.join()
    found = {"peak": max(seen), "rise": max(seen) - start}
    return found | ({"device_peak": torch.cuda.max_memory_allocated()} if cuda else {})


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM, or None where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, AttributeError, ValueError, IndexError):
        return None


def matmul_rate(device: torch.device, thread_count: int, repeats: int = 5) -> float:
    """Floating-point operations a second of the best square matrix product: float32 on a CPU, bf16 on CUDA.

    The most that a network's convolutions could reach on this machine, and a scale that does not depend on data sheets.

    Args:
        device: Where.
        thread_count: torch's threads, those of the arms.
        repeats: Products of each size; the fastest counts.
    """
    kind = torch.bfloat16 if device.type == "cuda" else torch.float32
    best = 0.0
    with threads(thread_count):
        for size in _SIZES.get(device.type, _SIZES["cpu"]):
            a, b = (torch.rand(size, size, device=device).to(kind) for _ in range(2))
            for _ in range(repeats + 1):  # the first one warms up, and can only be slower
                _wait(device)
                started = time.perf_counter()
                a @ b
                _wait(device)
                best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
