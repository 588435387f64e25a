"""Finished runs taken away with what is only theirs: stages that no other run needs, cached features, checkpoints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ltlib import places, sealed
from ltlib.errors import LockedError, RunError, UnknownName
from ltlib.files import scratch_folder
from ltlib.runs import leftovers, store
from ltlib.runs.archive import stage_ids
from ltlib.runs.facts import facts_of


@dataclass
class Removal:
    """What is or would be removed.

    Attributes:
        paths: Folders and files, runs first.
        size: Their bytes.
        kept: Sentences on what stays, and why.
    """

    paths: list[Path] = field(default_factory=list)
    size: int = 0
    kept: list[str] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Count a path, where it is there."""
        inside = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        if path.exists():
            self.paths.append(path)
            self.size += sum(file.stat().st_size for file in inside)


def remove(run_ids: Iterable[str], dry: bool = False) -> Removal:
    """Remove finished runs; whatever else was trained stays as it is.

    A committed record stays: it belongs to the repository. One that came with an archive goes.

    Args:
        run_ids: Which.
        dry: Only say what would be removed.

    Raises:
        UnknownName: A run that is not there; names the nearest ids.
        LockedError: One is being trained.
        RunError: Only a committed record of one is there.
    """
    top, ids = places.runs_folder(), list(dict.fromkeys(run_ids))
    known = store.names()
    with contextlib.ExitStack() as held:
        for run_id in ids:
            lock = top / "locks" / f"{run_id}.lock"
            if run_id in known or lock.is_file():
                held.enter_context(sealed.claim(lock, f"run {run_id}"))
            if run_id not in known:
                raise UnknownName("finished run", run_id, known)
        found = _listed(ids, top, held)
        if not dry:
            leftovers.sweep_reports()
            _take_away(found.paths, top)
    return found


def _listed(ids: Iterable[str], top: Path, held: contextlib.ExitStack) -> Removal:
    """What goes with these runs; the locks of their stages are held from now on."""
    found, own = Removal(), set[str]()
    for run_id in ids:
        before = len(found.paths)
        found.add(top / run_id)
        for folder in places.records_folders():
            pair = [folder / f"{run_id}{ending}" for ending in (".json", ".npz")]
            own |= _stages(pair[0])
            if folder.parent.name == "imported":
                for path in pair:
                    found.add(path)
            elif pair[0].is_file():
                found.kept.append(f"the committed record of run {run_id} stays: {pair[0]}")
        if len(found.paths) == before:
            raise RunError(f"run {run_id} is here only as a committed record; {found.kept[-1]}")
        own |= _stages(top / run_id / "run.json")
        found.add(top / "failures" / f"{run_id}.txt")
        found.add(top.parent / "cache" / "features" / f"{run_id}.npz")
    others = [path for path in sorted(top.glob("*/run.json")) if path.parent not in found.paths]
    for path in others:
        stages = _stages(path)
        if not stages and own:
            found.kept.append(f"the stages stay: what run {path.parent.name} needs cannot be read")
            return found
        own -= stages
    for name in sorted(own):
        try:
            if (top / "stages").is_dir():
                held.enter_context(sealed.claim(top / "stages" / "locks" / f"{name}.lock", f"stage {name}"))
        except LockedError as error:
            found.kept.append(f"stage {name} stays: {error}")
            continue
        found.add(top / "stages" / name)
        found.add(top / "stages" / "work" / name)
    return found


def _stages(path: Path) -> set[str]:
    """The stages of the run whose facts are in a file; none where they cannot be read."""
    with contextlib.suppress(RunError):
        return set(stage_ids(facts_of(path, path.parent.name if path.name == "run.json" else path.stem)["identity"]))
    return set()


def _take_away(paths: Iterable[Path], top: Path) -> None:
    """Rename folders out of their place, so that no part of one is left there, then delete all."""
    try:
        with scratch_folder(top) as scratch:
            for number, path in enumerate(paths):
                if path.is_dir():
                    path.rename(scratch / str(number))
                else:
                    path.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"cannot remove {error.filename}: {error.strerror}; the same command goes on") from error
