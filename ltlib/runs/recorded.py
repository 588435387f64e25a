"""What runs took on this machine, and so what others like them will: recorded seconds beside a probe's guess."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ltlib.errors import LtlibError
from ltlib.experiment import Experiment
from ltlib.runs import cost, provenance
from ltlib.runs.cost import Pace, Work
from ltlib.runs.result import Run
from ltlib.training import accelerator

_LIKE = (("dataset", "model", "method", "recipe"), ("dataset", "model"), ("model",), ())
"""What a recorded run has in common with one that is to be priced; the first that any run has decides."""


@dataclass(frozen=True)
class Rates:
    """Seconds of a device that a run's work takes.

    On a GPU several runs share one: their arithmetic adds up, while the time in which a run alone would leave the GPU
    idle (Python's dispatch) is another's. So a run there takes as long as its arithmetic, or its whole time over the
    runs that share the GPU, whichever is more.

    Attributes:
        pace: Of a run alone, by the probe.
        together: Runs at once on one device.
        factors: Recorded seconds over the probe's, by the settings of `_LIKE` and their values; the median of the runs.
    """

    pace: Pace
    together: int = 1
    factors: dict[tuple[Any, ...], float] = field(default_factory=dict)

    def seconds(self, experiment: Experiment, work: Work) -> float:
        """Seconds of the device."""
        return self._guess(work) * self.factor(experiment)

    def factor(self, experiment: Experiment) -> float:
        """How many times longer than the probe's guess runs like this one took; 1 where none is recorded."""
        keys = (_key(experiment, names) for names in _LIKE)
        return next((self.factors[key] for key in keys if key in self.factors), 1.0)

    def _guess(self, work: Work) -> float:
        alone = self.pace.seconds(work)
        return max(work.macs / self.pace.macs_per_second, alone / self.together) if self.together > 1 else alone


def rates(runs: Iterable[Run], together: int = 1) -> Rates:
    """The rates of this machine.

    Args:
        runs: Finished runs; those made on another device are passed over.
        together: Runs at once on a device.
    """
    plain = Rates(cost.measure(), together)
    found: dict[tuple[Any, ...], list[float]] = {}
    device = provenance.device(accelerator.device())
    for run in runs:
        if run.provenance.get("device") != device:
            continue
        try:
            guessed = plain._guess(cost.work(run.experiment))
        except LtlibError:  # of a component or an image folder that is not here any more
            continue
        took = run.seconds / run.provenance.get("together", 1)
        if guessed > 0 and took > 0:
            for names in _LIKE:
                found.setdefault(_key(run.experiment, names), []).append(took / guessed)
    return Rates(plain.pace, together, {key: statistics.median(values) for key, values in found.items()})


def _key(experiment: Experiment, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple((name, getattr(experiment, name)) for name in names)
