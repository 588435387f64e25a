"""Whether what is stored of runs holds: digests, identities, images' fingerprints, and records by their own answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ltlib import datasets, places, sealed
from ltlib.datasets import contents
from ltlib.errors import DataError, LtlibError
from ltlib.files import canonical_json, is_temporary
from ltlib.runs import recomputed, store
from ltlib.runs.result import Run
from ltlib.runs.store import load, load_data
from ltlib.training import outcome


def verify() -> list[str]:
    """Read every finished run again: what is wrong, one sentence each.

    Checks the digests of run and stage folders, that the identity still gives the id, and the fingerprints of the
    images where the data is there; of a committed record, that its numbers are those of its predictions.
    """
    contents.forget()  # of image files: what is in them decides, whatever their times say
    wrong: list[str] = []
    prints: dict[str, tuple[str, ...]] = {}
    top = places.runs_folder()
    for folder in (done.parent for done in sorted(top.glob("*/DONE")) + sorted((top / "stages").glob("*/DONE"))):
        if not is_temporary(folder):
            wrong += sealed.problems(folder)
            if folder.parent.name == "stages" and sealed.finished(folder):
                with _listed(wrong):
                    outcome.facts(folder)
    for name in store.names():
        found = None
        with _listed(wrong):
            found = load(name)
        if found is None:
            continue
        if found.folder is None:
            wrong += recomputed.problems(found)
        now = store.made_by(found)
        if store.own_elsewhere(found):
            continue  # sound: its files' digests hold, and nobody here can say more; `elsewhere` names it
        if now and now != found.id and (other := store.other_images(found)):
            wrong.append(other)
        elif now not in (None, found.id):
            version = f"now {now}" if now else "unknown now"
            wrong.append(f"run {found.id} was made by another version of its components ({version}); it is not shown")
        elif now and datasets.available(found.experiment.dataset):
            key = canonical_json(found.experiment.resolve().data)
            with _listed(wrong):
                if key not in prints:
                    data = load_data(found.experiment)
                    prints[key] = data.fingerprint, data.subset_fingerprint, data.contents, data.test_fingerprint
                trained, subset, inside, tested = prints[key]
                others = found.subset_fingerprint != subset or found.test_fingerprint not in ("", tested)
                others = others or found.fingerprint not in (trained, found.subset_fingerprint)
                if others or (found.folder is not None and found.contents not in ("", inside)):
                    wrong.append(store.trained_on_others(found))
    return wrong


def elsewhere() -> list[str]:
    """Runs that are sound as far as can be told, one sentence each.

    Those of one's own components that are not registered here, and records of another copy of a set than the one here.
    """
    return [said for run in store.finished() if (said := store.own_elsewhere(run) or _other_copy(run))]


def _other_copy(run: Run) -> str:
    """A sentence for a record made on files of the same names with other contents; empty where it is not."""
    name = run.experiment.dataset
    if run.folder is not None or not run.contents or not datasets.available(name):
        return ""
    with contextlib.suppress(DataError):  # a set that cannot be read is named by `verify`
        if datasets.read(name).contents != run.contents:
            return f"the record of run {run.id} was made with another copy of {name} than the one here"
    return ""


@contextlib.contextmanager
def _listed(wrong: list[str]) -> Iterator[None]:
    """Add an error's sentence to the list instead of raising it."""
    try:
        yield
    except LtlibError as error:
        wrong.append(str(error))
