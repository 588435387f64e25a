"""Finished runs as one file that moves between machines: packed with checksums, unpacked only where all of it holds.

A plain tar whose first member, ``ltlib-archive.json``, names every other one with its size and SHA-256; then
``runs/ID`` and ``stages/ID``, sealed folders as they lie here, and ``records/PROFILE/ID`` for runs of which only that
is there. Times and owners are left out, so equal runs give equal bytes.

What is unpacked may come from anybody. The headers are read one by one, so that only plain files of known names and
sizes are taken and no extension of the format is followed; nothing is written outside a temporary folder before every
digest, identity and number has been compared.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ltlib import places, sealed
from ltlib.errors import LtlibError, RunError, SettingError, UnknownName
from ltlib.files import canonical_json, digest, put_in_place, read_bytes, read_json, scratch_folder, write_bytes
from ltlib.runs import facts, leftovers, members, recomputed, store
from ltlib.runs.result import Run


def pack(run_ids: Sequence[str], file: Path, *, weights: bool = True) -> None:
    """Write finished runs into one archive.

    Args:
        run_ids: Which; those of which only a record is there go as it.
        file: The archive; an older one of that name is replaced when this one is whole.
        weights: False packs the small record of every run, without logits, weights and stages.

    Raises:
        SettingError: No run is named.
        UnknownName: A run that is not there or not finished; names the nearest ids.
        RunError: A run is damaged, or the archive cannot be written.
    """
    if not run_ids:
        raise SettingError("name at least one run to pack")
    with scratch_folder(Path(file).absolute().parent) as scratch:
        found: dict[str, Path] = {}
        for run_id in dict.fromkeys(run_ids):
            found |= _members(run_id, weights, scratch)
        members.write(Path(file), found)


def unpack(file: Path, into: Path | None = None) -> list[str]:
    """Put an archive's runs in their place, once everything in it has been found right.

    A run or stage that is here already and whole is kept; one that is here and damaged is replaced. Killed at any
    moment, it leaves each run whole or absent.

    Args:
        file: The archive.
        into: The folder of runs; `places.runs_folder()` by default. Records go beside it, as ``laptop/records``.

    Returns:
        The ids of its runs, in its order.

    Raises:
        RunError: The archive is cut short, damaged, of another format, holds what no run has, or a run in it is not
            what it says; nothing is unpacked then. Or what is here already is another training's or a newer version's.
        LockedError: One of its runs is being trained here; a stage that is being trained is waited for.
    """
    top, file = Path(into) if into is not None else places.runs_folder(), Path(file)
    leftovers.sweep_reports()
    with scratch_folder(top) as scratch:
        try:
            with file.open("rb") as stream:
                listed = members.read(stream, file, scratch)
        except OSError as error:
            raise RunError(f"cannot unpack {file} to {top}: {error.strerror or error}") from error
        found = [_checked_run(run_id, listed, file, scratch) for run_id in members.ids(listed, "runs/")]
        owned = {name for run in found for name in stage_ids(run.identity)}
        if strange := [name for name in members.ids(listed, "stages/") if name not in owned]:
            raise RunError(f"{file} holds stage {strange[0]}, which is of no run in it; it was not unpacked")
        named = dict.fromkeys(members.inside(name) for name in listed if members.is_record(name))
        records = [_checked_record(scratch / name, file) for name in named if name.endswith(".npz")]
        for run in found:
            _place(run, scratch, top)
        for record in records:
            _place_record(record, top.parent / record.parent.parent.name / "records")
    return list(dict.fromkeys([*(run.id for run in found), *(record.stem for record in records)]))


def _members(run_id: str, weights: bool, scratch: Path) -> dict[str, Path]:
    """The files of one run by their names in the archive.

    Raises:
        UnknownName, RunError: As `pack`.
    """
    run = store.load(run_id)
    if run is None:
        raise UnknownName("finished run", run_id, store.names())
    if run.folder is None or not weights:
        return _record_members(run, scratch)
    folders = {f"runs/{run.id}": run.folder}
    folders |= {f"stages/{name}": run.folder.parent / "stages" / name for name in stage_ids(run.identity)}
    for folder in folders.values():
        if wrong := sealed.problems(folder):
            raise RunError(f"run {run_id} cannot be packed: {wrong[0]}")
    return {
        f"{place}/{name}": folder / name
        for place, folder in folders.items()
        for name in [*sorted(sealed.files_of(folder)), "DONE"]
    }


def _record_members(run: Run, scratch: Path) -> dict[str, Path]:
    """A run's record: the one that is there, else one made now, which is of no profile."""
    for folder in places.records_folders():
        if facts.load_record(path := folder / f"{run.id}.json") is not None:
            return {f"records/{folder.parent.name}/{run.id}{end}": path.with_suffix(end) for end in members.IN_RECORDS}
    path = run.record(scratch)
    return {f"records/imported/{run.id}{end}": path.with_suffix(end) for end in members.IN_RECORDS}


def stage_ids(identity: Mapping[str, Any]) -> list[str]:
    """The ids of a run's stages, by its identity alone; as `Resolved.stage_id`."""
    stages = identity["stages"]
    return [digest(canonical_json({**identity, "stages": stages[: i + 1]}))[:12] for i in range(len(stages))]


def _checked_run(run_id: str, listed: Mapping[str, str], file: Path, scratch: Path) -> Run:
    """A run of an archive, found to be what it says.

    Raises:
        RunError: It is not; the sentence names the archive.
    """
    with _explained(f"run {run_id} in {file}"):
        _same_files(f"runs/{run_id}", scratch / run_id, listed)
        said = read_json(scratch / run_id / "run.json")
        if fault := facts.facts_fault(said, run_id):
            raise RunError(f"it {fault}")
        names = stage_ids(said["identity"])
        if said["stages"] != names or not names:
            raise RunError("its stages are not those of its identity")
        for name in names:
            folder = scratch / "stages" / name
            _same_files(f"stages/{name}", folder, listed)
            if read_json(folder / "outcome.json").get("id", name) != name:
                raise RunError(f"stage {name} is another stage")
            if not (folder / "weights.safetensors").is_file():
                raise RunError(f"stage {name} has no weights")
        run = Run(said, scratch / run_id, None, scratch / "stages" / names[-1] / "logits.safetensors")
        shape = len(run.predictions["last"].targets), len(run.class_counts)
        if any(found.logits is None or found.logits.shape != shape for found in run.predictions.values()):
            raise RunError("its logits are not one row a test image and one column a class")
        return run


def _same_files(place: str, folder: Path, listed: Mapping[str, str]) -> None:
    """Refuse a folder whose seal and the archive's list do not name the same files with the same digests."""
    here = {n.rpartition("/")[2]: sha for n, sha in listed.items() if n.startswith(f"{place}/")}
    here.pop("DONE", None)
    if sealed.files_of(folder) != here:
        raise RunError(f"its seal {place}/DONE names other files")


def _checked_record(arrays: Path, file: Path) -> Path:
    """A record of an archive, found to be what it says: its JSON file.

    Raises:
        RunError: It is not; the sentence names the archive.
    """
    path = arrays.with_suffix(".json")
    with _explained(f"the record of run {path.stem} in {file}"):
        run = facts.load_record(path)
        if run is None:
            raise RunError("its settings are missing")
        if wrong := recomputed.problems(run):
            raise RunError(wrong[0])
    return path


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Errors of reading what is in an archive become one sentence about the archive."""
    try:
        yield
    except (LtlibError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = str(error) if isinstance(error, RunError) else "it is no run this version can read"
        raise RunError(f"{what} cannot be taken ({reason}); nothing was unpacked") from error


def _place(run: Run, scratch: Path, top: Path) -> None:
    """Put a checked run where it belongs, its stages first.

    Raises:
        LockedError: It is being trained here.
        RunError: A newer version's folder or another training's last stage is here under that name.
    """
    last = stage_ids(run.identity)[-1]
    with sealed.claim(top / "locks" / f"{run.id}.lock", f"run {run.id}"):
        sealed.refuse_newer(top / run.id)
        whole = not any(map(sealed.problems, (top / run.id, top / "stages" / last)))
        if whole and not facts.facts_fault(read_json(top / run.id / "run.json"), run.id):
            return
        for name in stage_ids(run.identity):
            _place_stage(name, scratch / "stages" / name, top / "stages" / name, kept=name != last)
        put_in_place(scratch / run.id, top / run.id)


def _place_stage(name: str, ours: Path, place: Path, kept: bool) -> None:
    """Put a stage where it belongs, unless it is there.

    Args:
        name: Its id.
        ours: It, as it was unpacked; gone where an earlier run of the archive put it in its place.
        place: Where it belongs.
        kept: A whole one there may have other numbers; what was made on top of ours does not read it.
    """
    with sealed.claim(place.parent / "locks" / f"{name}.lock", f"stage {name}", wait=True):
        sealed.refuse_newer(place)
        if sealed.problems(place):
            put_in_place(ours, place)
        elif not kept and ours.is_dir() and sealed.files_of(ours) != sealed.files_of(place):
            raise RunError(
                f"stage {name} is here with other numbers than in the archive; train its run here, from that stage, "
                f"or delete {place}"
            )


def _place_record(path: Path, folder: Path) -> None:
    """Put a checked record where it belongs, unless a whole one is there."""
    with contextlib.suppress(RunError):
        if facts.load_record(folder / path.name) is not None:
            return
    for ending, most in members.IN_RECORDS.items():
        write_bytes(folder / f"{path.stem}{ending}", read_bytes(path.with_suffix(ending), most))
