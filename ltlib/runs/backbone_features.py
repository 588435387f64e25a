"""Filling the cache of a frozen backbone's features ahead of the runs that read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.runs.store import load_data
from ltlib.runs.sweep import default_jobs
from ltlib.training import accelerator, assembly, frozen


def fill(experiments: Iterable[Experiment], stop: Callable[[], bool] = lambda: False) -> None:
    """Compute the features that these runs would read and that are not kept yet, see `ltlib.training.frozen`.

    A run does so itself when it begins, in one thread. Ahead of a sweep it is better done once, on all cores: its
    processes would wait for the one that computes.

    Args:
        experiments: The runs; those that share a backbone, a set and how its images are shown share the cache.
        stop: True asks to stop; what is computed by then is kept.

    Raises:
        SettingError: A run that never sees its images as constant features.
        Stopped: `stop` said so.
    """
    for experiment in experiments:
        resolved = experiment.resolve()
        if not frozen.constant(resolved, 0):
            raise SettingError(
                f"{experiment.method} with recipe {experiment.recipe} computes its features anew in every epoch; they "
                "are kept where the recipe says frozen=backbone and augmentation=none"
            )
        data, target = load_data(experiment), accelerator.device()
        accelerator.prepare(target)
        with accelerator.fixed_threads(target):
            network = assembly.build(resolved, data.num_classes).to(target)
            frozen.features(network, resolved, data, target, stop, default_jobs())
