"""``ltlib reproduce``: runs, notebooks, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ltlib.cli.saying import say
from ltlib.errors import IncompleteError, SettingError
from ltlib.experiment import Experiment


@dataclass(frozen=True)
class Reproduce:
    """Train what is missing, execute the notebooks, write the HTML report. Running it again goes on where it stopped.

    Attributes:
        profile: quick (embedded digits, minutes), laptop (real images, small network) or paper (one GPU).
        only: Notebooks or chapters, such as convergent or convergent/cifar10; all by default.
        grid: Train these grids only, such as convergent/1 or all of awabs, and execute no notebook.
        jobs: Training processes and notebooks at once; by default one a core.
        streams: Runs at once in each training process; by default 4 on a GPU, where their kernels run side by side.
        budget: Train only what completes most table cells within this time, as 30m or 6h, by what finished runs took.
        cluster: Train on a Dask cluster: tcp://HOST:PORT of its scheduler, local, or slurm; needs ltlib[cluster].
        dry_run: Print the plan and its cost; needs no data on disk.
        force: Execute fresh pages again, and allow the paper profile without a GPU.
    """

    profile: str = "quick"
    only: tuple[str, ...] = ()
    grid: tuple[str, ...] = ()
    jobs: int | None = None
    streams: int | None = None
    budget: str | None = None
    cluster: str | None = None
    dry_run: bool = False
    force: bool = False

    def run(self) -> int:
        from ltlib import grids, places, profiles
        from ltlib.pages import chain, order
        from ltlib.runs import plan, records, sweep
        from ltlib.training import accelerator

        profiles.get(self.profile)
        for name, value in (("jobs", self.jobs), ("streams", self.streams)):
            if value is not None and value < 1:
                raise SettingError(f"{name} must be at least 1, not {value}")
        jobs = self.jobs or sweep.default_jobs()
        budget = plan.parse_budget(self.budget) if self.budget is not None else None
        pages = chain.select(order.pages(), self.only or None) if self.only or not self.grid else []
        names = grids.expand(self.grid) or tuple(name for page in pages for name in page.grids)
        work = plan.make(
            self.profile,
            grids.wanted(names, self.profile),
            budget,
            needs=grids.needs(names, self.profile) if budget is not None else None,
            jobs=jobs,
            streams=self.streams or sweep.default_streams(),
        )
        say(work.text(jobs))
        if self.dry_run:
            say(work.account())
            return 0
        paper = self.profile == "paper" and not self.force
        if paper and self.cluster is None and work.missing and accelerator.device().type == "cpu":
            raise SettingError(
                "the paper profile is made for a GPU and none is here; add --force to train on the CPU anyway"
            )

        folder = places.reports_folder() / self.profile
        failed: dict[str, str] = {}

        def train(experiments: Sequence[Experiment]) -> None:
            wanted = {experiment.run_id for experiment in experiments}
            chosen = [experiment for experiment in work.missing if experiment.run_id in wanted]
            label = f"{self.profile} runs"
            found = sweep.run_all(
                chosen,
                jobs=self.jobs if self.cluster else jobs,
                streams=self.streams,
                label=label,
                done=record,
                strict=False,
                cluster=self.cluster,
                resources={"GPU": 1} if paper and self.cluster else None,
            )
            for run_id, reason in found.failures.items():
                say(f"run {run_id} failed: {reason}")
            failed.update(found.failures)

        def record(run: Any) -> None:
            if self.profile != "quick" and not (folder / "records" / f"{run.id}.json").is_file():
                run.record(folder / "records")

        for run in work.finished:
            if run.folder is not None:  # trained by hand, or killed before its record was written
                record(run)
        try:
            if self.grid:
                return self._trained(work, train, failed)
            states = chain.run_chain(self.profile, self.only or None, jobs=jobs, force=self.force, train=train, say=say)
        finally:
            records.write(folder)
        say(f"report: {folder / 'index.html'}")
        chosen = {page.id for page in pages}
        chain.require_complete([state for state in states if state.page.id in chosen])
        return 0

    def _trained(self, work: Any, train: Callable[[Sequence[Experiment]], None], failed: Mapping[str, str]) -> int:
        """Train grids alone.

        Raises:
            IncompleteError: Runs failed, or wait for data.
        """
        train(work.missing)
        waiting = sum(work.no_data.values())
        if failed or waiting:
            raise IncompleteError(
                f"{len(failed)} runs failed and {waiting} wait for data; the same command goes on from there"
            )
        return 0
