"""How fast: each bench runs its arms in one process on the same cores, in turns, and returns ratios with their range.

Seconds of different machines, or of one machine at different times, say nothing about a method; the ratio of two arms
measured within the same few seconds does. So a bench repeats rounds, each round runs every arm once, and what counts is
the median of the per-round ratios. Ratios of CPU time are given as well: on a busy machine they hold better. Where
rounds are long, each says how much other processes disturbed it, and noisy rounds are left out if enough are quiet.
"""

from __future__ import annotations

from ltlib.bench.batches import data
from ltlib.bench.common import Arm, interleave, machine, quiet_rounds, ratio, table
from ltlib.bench.decoding import decode
from ltlib.bench.engines import batch
from ltlib.bench.losses import step
from ltlib.bench.maps import embedding
from ltlib.bench.runs import run
from ltlib.bench.starts import start
from ltlib.bench.step_kernels import kernels
from ltlib.bench.together import grid

__all__ = [
    "Arm",
    "batch",
    "data",
    "decode",
    "embedding",
    "grid",
    "interleave",
    "kernels",
    "machine",
    "quiet_rounds",
    "ratio",
    "run",
    "start",
    "step",
    "table",
]
