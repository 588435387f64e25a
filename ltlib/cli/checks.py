"""``ltlib status | verify | data | notebooks``: how things stand, and whether they are whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from ltlib.cli.lists import image_sets
from ltlib.cli.saying import say
from ltlib.errors import DataError, IncompleteError, SettingError


@dataclass(frozen=True)
class Status:
    """Say how batches under way stand, which pages are fresh, stale, failed or missing, and which runs are there."""

    profile: str = "quick"

    def run(self) -> int:
        from ltlib import grids, profiles
        from ltlib.pages import freshness, order
        from ltlib.runs import journal, plan

        profiles.get(self.profile)
        for line in journal.standing():
            say(line)
        pages = order.pages(say=say)
        for page in pages:
            state = freshness.state(page, self.profile)
            say(f"{state.state:8} {page.id}" + (f"  ({state.reason})" if state.reason else ""))
        wanted = grids.wanted([name for page in pages for name in page.grids], self.profile)
        say(plan.make(self.profile, wanted).text())
        return 0


@dataclass(frozen=True)
class Verify:
    """Read every finished run again: digests, identities, fingerprints of the images, records by their own predictions.

    Attributes:
        evaluate: Evaluate so many runs anew from their stored weights and compare the logits.
        retrain: Train so many runs on embedded data anew, in a scratch folder, and compare to the bit.
    """

    evaluate: int = 0
    retrain: int = 0

    def run(self) -> int:
        from ltlib import runs
        from ltlib.runs import reruns

        for name in ("evaluate", "retrain"):
            if getattr(self, name) < 0:
                raise SettingError(f"{name} must be at least 0, not {getattr(self, name)}")
        wrong = runs.verify()
        for line in wrong:
            say(line)
        if wrong:
            raise IncompleteError(
                f"{len(wrong)} problems; delete what is named and run ltlib reproduce to make it again"
            )
        for line in runs.elsewhere():
            say(f"{line}; its files are whole")
        others = 0
        for same, line in reruns.again(self.evaluate, self.retrain):
            say(line)
            others += not same
        if others:
            raise IncompleteError(f"{others} runs did not come out as they are stored; the lines above name them")
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
            for line in image_sets():
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
            files = "1 file is" if len(wrong) == 1 else f"{len(wrong)} files are"
            raise DataError(f"{files} damaged or missing in {self.name}; {datasets.repair(self.name)}")
        for line in datasets.remarks(self.name):
            say(line)
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
        from ltlib.pages import canonical, declared

        folder = places.notebooks_folder()
        if folder is None:
            raise SettingError("there is no notebooks folder here; run this in a checkout")
        paths = [path for path in declared.notebook_files(folder) if not declared.left_out(path, say)]
        if self.action == "format":
            changed, refused = 0, 0
            for path in paths:
                try:
                    changed += canonical.format_notebook(path)
                except DataError as error:
                    refused += 1
                    say(str(error))
            say(f"{len(paths)} notebooks, {changed} rewritten")
            if refused:
                raise IncompleteError(f"{refused} notebooks were left as they are; mend what is named")
            return 0
        wrong = [f"{path.relative_to(folder)}: {problem}" for path in paths for problem in canonical.check(path)]
        for line in wrong:
            say(line)
        if wrong:
            raise IncompleteError(f"{len(wrong)} problems; ltlib notebooks format repairs the form")
        say(f"{len(paths)} notebooks, nothing wrong")
        return 0
