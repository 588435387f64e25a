"""Runs: trained or loaded exactly once, many side by side, planned and priced, verified.

run = ltlib.run(experiment)
ltlib.runs.load(run_id), ltlib.runs.finished(), ltlib.runs.verify(), ltlib.runs.elsewhere()
"""

from ltlib.runs.checks import elsewhere, verify
from ltlib.runs.result import Predictions, Run, measure
from ltlib.runs.store import describe_data, finished, load, load_data, run

__all__ = [
    "Predictions",
    "Run",
    "describe_data",
    "elsewhere",
    "finished",
    "load",
    "load_data",
    "measure",
    "run",
    "verify",
]
