"""``ltlib runs {list,show,remove,export,import}``: finished runs listed, shown, taken away, moved between machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ltlib.cli.saying import note, say
from ltlib.errors import UnknownName
from ltlib.progress import duration
from ltlib.registry import parse

if TYPE_CHECKING:
    from ltlib.runs import Run

Ids = Annotated[tuple[str, ...], tyro.conf.Positional]


@dataclass(frozen=True)
class ListRuns:
    """List finished runs: id, accuracy at the last epoch, training time, where they are, settings.

    Attributes:
        dataset: Only of this data set.
        method: Only of this method, with its settings in brackets or without.
        model: Only of this network.
        where: Only those here in full (full), or only records (paper, laptop, imported).
    """

    dataset: str | None = None
    method: str | None = None
    model: str | None = None
    where: str | None = None

    def run(self) -> int:
        from ltlib import runs

        found = runs.finished(note)
        for name in ("dataset", "method", "model", "where"):
            if (wanted := getattr(self, name)) is not None and found:
                if not (chosen := [run for run in found if wanted in _called(run, name)]):
                    raise UnknownName(f"{name} of these runs", wanted, {_called(run, name)[0] for run in found})
                found = chosen
        for line in lines(found):
            say(line)
        say(f"{len(found)} run{'' if len(found) == 1 else 's'}")
        return 0


def _called(run: Run, name: str) -> tuple[str, ...]:
    """What a run's dataset, method, model or place may be called."""
    if name == "where":
        return (run.profile or "full",)
    value = getattr(run.experiment, name)
    return value, value.partition("@")[0] if name == "dataset" else parse(value)[0]


def lines(found: list[Run]) -> Iterator[str]:
    """A line a run, as ``ltlib runs list`` and ``ltlib list runs`` show it."""
    for run in found:
        exp, accuracy = run.experiment, run.metrics["last"]["accuracy"]
        where = f"{run.profile} record" if run.profile else "full"
        yield (
            f"{run.id}  {accuracy:6.1%}  {duration(run.seconds):>12}  {where:15}  {exp.method} on {exp.dataset}, "
            f"IF {exp.imbalance_factor:g}, {exp.model}, {exp.recipe}, seed {exp.seed}"
        )


@dataclass(frozen=True)
class ShowRun:
    """Say all about one finished run: settings, identity, provenance, metrics by group, its last epoch, its files.

    Attributes:
        id: As ltlib runs list says it.
    """

    id: Annotated[str, tyro.conf.Positional]

    def run(self) -> int:
        from ltlib import runs
        from ltlib.runs import store

        found = runs.load(self.id) if self.id in store.names() else None
        if found is None:
            raise UnknownName("finished run", self.id, store.names())
        for line in _all_of(found):
            say(line)
        return 0


def _all_of(run: Run) -> Iterator[str]:
    yield next(lines([run]))
    for title, values in (("settings", run.experiment.settings()), ("provenance", run.provenance)):
        yield f"{title}:"
        yield from (f"  {name}: {value}" for name, value in values.items() if value is not None)
    yield "identity:"
    yield from (f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in run.identity.items())
    for name, values in run.metrics.items():
        yield f"{name} epoch, {values.get('epoch')}: {_numbers(values)}"
        yield from (f"  {group}: {_numbers(own)}" for group, own in values["groups"].items())
    yield "the history's last row: " + ", ".join(f"{name} {value:g}" for name, value in run.history.iloc[-1].items())
    yield "files:"
    yield from (f"  {path}  {path.stat().st_size:,} bytes" for path in run.files())


def _numbers(values: dict[str, Any]) -> str:
    shown = {name: value for name, value in values.items() if isinstance(value, float) and name != "epoch"}
    return ", ".join(f"{name} {value:.4g}" for name, value in shown.items()) or "no test image"


@dataclass(frozen=True)
class RemoveRuns:
    """Remove finished runs, and the stages that no other run needs.

    Attributes:
        ids: As ltlib runs list says them.
        dry_run: Only say what would be removed.
    """

    ids: Ids
    dry_run: bool = False

    def run(self) -> int:
        from ltlib.errors import SettingError
        from ltlib.runs import removal

        if not self.ids:
            raise SettingError("name the runs to remove; ltlib runs list says their ids")
        found = removal.remove(self.ids, dry=self.dry_run)
        for path in found.paths:
            say(f"{'would remove' if self.dry_run else 'removed'} {path}")
        for line in found.kept:
            say(line)
        say(f"{found.size:,} bytes {'would be ' if self.dry_run else ''}freed")
        return 0


@dataclass(frozen=True)
class ExportRuns:
    """Pack finished runs into one archive with checksums, for ltlib runs import on another machine.

    Attributes:
        file: The archive, such as runs.tar.
        ids: As ltlib runs list says them; every finished run where none is named.
        records: Pack the small records only, without weights and logits.
    """

    file: Annotated[Path, tyro.conf.Positional]
    ids: Ids = ()
    records: bool = False

    def run(self) -> int:
        from ltlib import runs
        from ltlib.runs import archive

        ids = self.ids or tuple(run.id for run in runs.finished(note))
        archive.pack(ids, self.file, weights=not self.records)
        say(f"{self.file}: {len(set(ids))} runs, {self.file.stat().st_size:,} bytes")
        return 0


@dataclass(frozen=True)
class ImportRuns:
    """Unpack an archive of runs; one that is not whole or not what it says is refused and nothing is written.

    Attributes:
        file: What ltlib runs export made.
    """

    file: Annotated[Path, tyro.conf.Positional]

    def run(self) -> int:
        from ltlib.runs import archive, store

        before = set(store.names())
        found = archive.unpack(self.file)
        for run_id in found:
            say(f"{run_id}  {'was here' if run_id in before else 'imported'}")
        say(f"{len(found)} runs, every checksum and identity compared")
        return 0


_ACTIONS: Any = (
    Annotated[ListRuns, tyro.conf.subcommand("list")]
    | Annotated[ShowRun, tyro.conf.subcommand("show")]
    | Annotated[RemoveRuns, tyro.conf.subcommand("remove")]
    | Annotated[ExportRuns, tyro.conf.subcommand("export")]
    | Annotated[ImportRuns, tyro.conf.subcommand("import")]
)


@dataclass(frozen=True)
class Runs:
    """List, show, remove, export or import finished runs."""

    action: tyro.conf.OmitSubcommandPrefixes[tyro.conf.OmitArgPrefixes[_ACTIONS]]

    def run(self) -> int:
        return self.action.run()
