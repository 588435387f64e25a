"""The command line: ``ltlib reproduce | train | list | status | verify | data | notebooks | bench``.

Each command is a frozen dataclass; its fields are the flags. A mistake of the user's ends in one sentence and an exit
code that is not 0; ``--debug`` shows the traceback.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ltlib.errors import DataError, IncompleteError, LtlibError, SettingError
from ltlib.experiment import Experiment
from ltlib.progress import duration
from ltlib.registry import format_spec, parse


def say(line: str) -> None:
    """One line for the user, at once."""
    print(line, flush=True)


@dataclass(frozen=True)
class Reproduce:
    """Train what is missing, execute the notebooks, write the HTML report. Running it again goes on where it stopped.

    Attributes:
        profile: quick (embedded digits, minutes), laptop (real images, small network) or paper (one GPU).
        only: Notebooks or chapters, such as convergent or convergent/cifar10; all by default.
        grid: Train these grids only, such as convergent/1 or all of awabs, and execute no notebook.
        jobs: Training processes and notebooks at once; by default one a core.
        streams: Runs at once in each training process; by default 4 on a GPU, where their kernels run side by side.
        budget: Stop adding runs after this much estimated training, as 30m or 6h.
        dry_run: Print the plan and its cost; needs no data on disk.
        force: Execute fresh pages again, and allow the paper profile without a GPU.
    """

    profile: str = "quick"
    only: tuple[str, ...] = ()
    grid: tuple[str, ...] = ()
    jobs: int | None = None
    streams: int | None = None
    budget: str | None = None
    dry_run: bool = False
    force: bool = False

    def run(self) -> int:
        from ltlib import grids, places, profiles, runs
        from ltlib.pages import chain, declared
        from ltlib.runs import plan, sweep
        from ltlib.training import accelerator

        profiles.get(self.profile)
        for name, value in (("jobs", self.jobs), ("streams", self.streams)):
            if value is not None and value < 1:
                raise SettingError(f"{name} must be at least 1, not {value}")
        jobs = self.jobs or sweep.default_jobs()
        budget = plan.parse_budget(self.budget) if self.budget is not None else None
        pages = chain.select(declared.all_pages(), self.only or None) if self.only or not self.grid else []
        names = grids.expand(self.grid) or tuple(name for page in pages for name in page.grids)
        work = plan.make(self.profile, names, budget)
        say(work.text(jobs))
        if self.dry_run:
            say(work.account())
            return 0
        if self.profile == "paper" and accelerator.device().type == "cpu" and work.missing and not self.force:
            raise SettingError(
                "the paper profile is made for a GPU and none is here; add --force to train on the CPU anyway"
            )

        failed: dict[str, str] = {}

        def train(experiments: Sequence[Experiment]) -> None:
            wanted = {experiment.run_id for experiment in experiments}
            chosen = [experiment for experiment in work.missing if experiment.run_id in wanted]
            found = sweep.run_all(chosen, jobs=jobs, streams=self.streams, label=f"{self.profile} runs", done=record)
            for run_id, reason in found.failures.items():
                say(f"run {run_id} failed: {reason}")
            failed.update(found.failures)

        def record(run: Any) -> None:
            records = places.reports_folder() / self.profile / "records"
            if self.profile != "quick" and not (records / f"{run.id}.json").is_file():
                run.record(records)

        todo = set(work.missing)
        for run in (runs.load(e.run_id) for e in work.experiments if e not in todo):
            if run is not None and run.folder is not None:  # trained by hand, or killed before its record was written
                record(run)
        if self.grid:
            train(work.missing)
            waiting = sum(work.no_data.values())
            if failed or waiting:
                raise IncompleteError(
                    f"{len(failed)} runs failed and {waiting} wait for data; the same command goes on from there"
                )
            return 0
        states = chain.run_chain(self.profile, self.only or None, jobs=jobs, force=self.force, train=train, say=say)
        say(f"report: {places.reports_folder() / self.profile / 'index.html'}")
        chosen = {page.id for page in pages}
        chain.require_complete([state for state in states if state.page.id in chosen])
        return 0


@dataclass(frozen=True)
class Train:
    """Train one run, or load it if it is finished; prints an epoch a line and the result.

    Attributes:
        experiment: What to train.
        epochs: Epochs instead of the recipe's.
        profile: Train what this profile trains for the experiment.
        weights: Train a run anew where only its record is there, which has no weights.
    """

    experiment: Annotated[Experiment, tyro.conf.arg(name="")] = field(default_factory=Experiment)
    epochs: int | None = None
    profile: str | None = None
    weights: bool = False

    def run(self) -> int:
        from ltlib import profiles, runs
        from ltlib.runs import cost
        from ltlib.training.loop import Stopped

        experiment = self.experiment
        if self.epochs is not None:
            name, settings = parse(experiment.recipe)
            experiment = replace(experiment, recipe=format_spec(name, settings | {"epochs": self.epochs}))
        if self.profile is not None:
            mapped = profiles.resolve(experiment, self.profile)
            if isinstance(mapped, profiles.Impossible):
                raise SettingError(mapped.reason)
            experiment = mapped
        run_id = experiment.run_id
        if runs.load(run_id, records=not self.weights) is None:
            say(f"run {run_id}: about {duration(cost.estimate([experiment]))} of training (estimate, one thread)")
        with _graceful() as stop:
            try:
                run = runs.run(experiment, report=_say_epoch, stop=stop.is_set, weights=self.weights)
            except Stopped:
                say(f"stopped; the state of run {run_id} is saved and the same command goes on from there")
                return 128 + stop.signal  # type: ignore[attr-defined]
        say(_summary(run))
        return 0


@dataclass(frozen=True)
class List:
    """List what there is: methods, models, datasets, recipes, samplers, losses, grids, notebooks, profiles or runs."""

    what: Annotated[
        Literal[
            "methods",
            "models",
            "datasets",
            "recipes",
            "optimizers",
            "samplers",
            "losses",
            "grids",
            "notebooks",
            "profiles",
            "runs",
        ],
        tyro.conf.Positional,
    ] = "methods"

    def run(self) -> int:
        for line in _LISTS[self.what]():
            say(line)
        return 0


@dataclass(frozen=True)
class Status:
    """Say which pages are fresh, stale, failed or missing, and which runs are there."""

    profile: str = "quick"

    def run(self) -> int:
        from ltlib import profiles
        from ltlib.pages import chain, declared, freshness
        from ltlib.runs import plan

        profiles.get(self.profile)
        pages = chain.in_order(declared.all_pages())
        for page in pages:
            state = freshness.state(page, self.profile)
            say(f"{state.state:8} {page.id}" + (f"  ({state.reason})" if state.reason else ""))
        say(plan.make(self.profile, [name for page in pages for name in page.grids]).text())
        return 0


@dataclass(frozen=True)
class Verify:
    """Read every finished run again: digests, identities, fingerprints of the images."""

    def run(self) -> int:
        from ltlib import runs

        wrong = runs.verify()
        for line in wrong:
            say(line)
        if wrong:
            raise IncompleteError(
                f"{len(wrong)} problems; delete what is named and run ltlib reproduce to make it again"
            )
        say(f"{len(runs.finished())} runs, nothing wrong")
        return 0


@dataclass(frozen=True)
class Data:
    """Show, download or verify image sets.

    Attributes:
        action: list what is here, download a set, or verify one (reads every file).
        name: The set.
    """

    action: Annotated[Literal["list", "download", "verify"], tyro.conf.Positional] = "list"
    name: Annotated[str | None, tyro.conf.Positional] = None

    def run(self) -> int:
        from ltlib import datasets

        if self.action == "list":
            for line in _LISTS["datasets"]():
                say(line)
            return 0
        if self.name is None:
            raise SettingError(f"say which set to {self.action}: {', '.join(datasets.names())}")
        if self.action == "download":
            datasets.fetch(self.name)
        wrong = datasets.verify(self.name)
        for line in wrong:
            say(line)
        if wrong:
            raise DataError(
                f"{len(wrong)} files of {self.name} are damaged; ltlib data download {self.name} repairs them"
            )
        source = datasets.read(self.name)
        classes = datasets.info(self.name).num_classes
        say(f"{self.name}: {len(source.train):,} training and {len(source.test):,} test images, {classes} classes")
        return 0


@dataclass(frozen=True)
class Notebooks:
    """Check the notebooks' form, or write it (canonical: no outputs, readable cell ids, made header)."""

    action: Annotated[Literal["check", "format"], tyro.conf.Positional] = "check"

    def run(self) -> int:
        from ltlib import places
        from ltlib.pages import canonical

        folder = places.notebooks_folder()
        if folder is None:
            raise SettingError("there is no notebooks folder here; run this in a checkout")
        paths = sorted(path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
        if self.action == "format":
            changed = [path for path in paths if canonical.format_notebook(path)]
            say(f"{len(paths)} notebooks, {len(changed)} rewritten")
            return 0
        wrong = [f"{path.relative_to(folder)}: {problem}" for path in paths for problem in canonical.check(path)]
        for line in wrong:
            say(line)
        if wrong:
            raise IncompleteError(f"{len(wrong)} problems; ltlib notebooks format repairs the form")
        say(f"{len(paths)} notebooks, nothing wrong")
        return 0


@dataclass(frozen=True)
class Bench:
    """Measure ours beside the baseline, all arms interleaved in one run on this machine.

    Attributes:
        what: data: crop, flip and normalise of 32x32 images, against PIL and DataLoader. step: a whole ResNet-32
            optimizer step with each classification loss, against cross-entropy. run: a whole training, against the
            usual training loop and against a good engineer's. grid: several runs, one by one against side by side.
            start: imports and a lean notebook, against import torch. embedding: principal components and t-SNE.
        rounds: Interleaved rounds; the median of their ratios is the result.
        model: For run and grid: tiny (ResNet-8 on 8x8 digits) or a network on 32x32 images.
        epochs: For run and grid: of each training.
        images: For run and grid: training images of 32x32 pixels.
        precision: For run and grid: float32 or bf16.
        threads: For run and grid: torch's threads in this process.
        count: For grid: runs a round.
        jobs: For grid: processes side by side.
        out: Also write the result as JSON.
    """

    what: Annotated[Literal["data", "step", "run", "grid", "start", "embedding"], tyro.conf.Positional] = "data"
    rounds: int = 5
    model: str | None = None
    epochs: int | None = None
    images: int | None = None
    precision: str | None = None
    threads: int | None = None
    count: int | None = None
    jobs: int | None = None
    out: Path | None = None

    def run(self) -> int:
        from ltlib import bench
        from ltlib.files import write_json

        shared = ("model", "epochs", "images", "precision")
        taken = {"run": (*shared, "threads"), "grid": (*shared, "threads", "count", "jobs")}.get(self.what, ())
        names = (*shared, "threads", "count", "jobs")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        if unknown := [name for name in given if name not in taken]:
            raise SettingError(f"bench {self.what} has no setting {', '.join(unknown)}")
        result = getattr(bench, self.what)(rounds=self.rounds, **given)
        if self.out is not None:
            write_json(self.out, result)
        return 0


_COMMANDS: dict[str, Callable[..., Any]] = {
    "reproduce": Reproduce,
    "train": Train,
    "list": List,
    "status": Status,
    "verify": Verify,
    "data": Data,
    "notebooks": Notebooks,
    "bench": Bench,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            _COMMANDS,
            prog="ltlib",
            description="A reproducible workbook on long-tailed image recognition.",
            args=given,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        return command.run()
    except LtlibError as error:
        if debug:
            raise
        print(f"ltlib: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ltlib: stopped; what is finished is kept, the same command goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


@contextlib.contextmanager
def _graceful() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second one ends the process at once."""
    event = threading.Event()

    def handle(number: int, frame: object) -> None:
        if event.is_set():
            os._exit(128 + number)
        event.signal = number  # type: ignore[attr-defined]
        event.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_epoch(row: Any) -> None:
    parts = [f"epoch {row['epoch']}/{row['epochs']}", f"{row['seconds']:.1f} s", f"train loss {row['train_loss']:.4f}"]
    if "test_accuracy" in row:
        parts.append(f"test accuracy {row['test_accuracy']:.1%}, ECE {row['test_ece']:.1%}")
    say("  ".join(([f"stage {row['stage']}"] if row["stage"] > 1 else []) + parts))


def _summary(run: Any) -> str:
    last = run.metrics["last"]
    lines = [
        f"run {run.id}: test accuracy {last['accuracy']:.2%} at the last epoch ({last['epoch']})",
        "  groups: "
        + ", ".join(
            f"{name} {group['accuracy']:.1%}" for name, group in last["groups"].items() if group["accuracy"] is not None
        ),
    ]
    if "ece" in last:
        lines[0] += f", ECE {last['ece']:.2%}"
    if run.selection != "last":
        chosen = run.metrics["selected"]
        lines.append(f"  by {run.selection.replace('_', ' ')}: {chosen['accuracy']:.2%} at epoch {chosen['epoch']}")
    lines.append(f"  {run.parameters:,} parameters, {duration(run.seconds)}, data {run.fingerprint[:12]}")
    return "\n".join(lines)


def _registered(kind: str) -> list[str]:
    from ltlib import losses, methods, models, recipes
    from ltlib.batches import draws

    registry: Any = {
        "methods": methods.METHODS,
        "models": models.MODELS,
        "recipes": recipes.RECIPES,
        "samplers": draws.SAMPLERS,
        "losses": losses.LOSSES,
        "optimizers": recipes.OPTIMIZERS,
    }[kind]
    width = max(len(entry.name) for entry in registry)
    lines = []
    for entry in registry:
        line = f"{entry.name:{width}}  {entry.summary}  [{entry.source}]"
        if kind == "methods":
            stages = len(methods.stages(entry.name))
            line += f"  {stages} stage{'s' if stages > 1 else ''}"
        lines.append(line)
    return lines


def _datasets() -> list[str]:
    from ltlib import datasets

    known = [datasets.info(name) for name in datasets.names()]
    width = max(len(info.name) for info in known)
    return [
        f"{info.name:{width}}  {info.num_classes:3} classes, {info.train_images:6,} training images, "
        + ("here" if datasets.available(info.name) else f"not here: {info.where}")
        for info in known
    ]


def _pages() -> list[str]:
    from ltlib.pages import declared

    return [f"{page.id}: {page.title}" for page in declared.all_pages()]


def _runs() -> list[str]:
    from ltlib import runs

    return [
        f"{run.id}  {run.metrics['last']['accuracy']:6.1%}  {exp.method} on {exp.dataset}, "
        f"IF {exp.imbalance_factor:g}, {exp.model}, {exp.recipe}, seed {exp.seed}"
        + (f"  ({run.profile} record)" if run.profile else "")
        for run in runs.finished()
        for exp in [run.experiment]
    ]


def _profiles() -> list[str]:
    from ltlib import profiles

    return [f"{profile.name:7} {profile.summary}" for profile in profiles.PROFILES.values()]


def _grids() -> list[str]:
    from ltlib import grids

    return grids.names()


_LISTS: dict[str, Callable[[], list[str]]] = {
    **{
        kind: (lambda kind=kind: _registered(kind))  # type: ignore[misc]
        for kind in ("methods", "models", "recipes", "optimizers", "samplers", "losses")
    },
    "datasets": _datasets,
    "grids": _grids,
    "notebooks": _pages,
    "profiles": _profiles,
    "runs": _runs,
}

if __name__ == "__main__":
    sys.exit(main())
