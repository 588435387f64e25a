"""``ltlib compare`` and ``ltlib predict``: which method for a set of one's own, and what the chosen model says."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from ltlib import plugins
from ltlib.cli.saying import note, say
from ltlib.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltlib.compare.choices import Choices
    from ltlib.compare.comparison import Comparison
    from ltlib.experiment import Experiment


@dataclass(frozen=True)
class Compare:
    """Compare methods on images of your own, say which to use, and write a report and a model.

    Attributes:
        path: A folder of class folders, one with train and test folders, or a CSV file of paths and labels.
        target: What counts: balanced, as-is, or a CSV file with a weight for each label.
        backbone: The network in front, with its weights, or timm:NAME; auto takes a pretrained one where its file is
            there.
        weights: A file of weights for the backbone.
        methods: Methods instead of the usual ones.
        splits: How often training and test images are drawn.
        full: Besides, train the whole network with a few methods on three of the splits; one without weights is
            trained whole in any case.
        plugin: Files with methods, losses or samplers of your own.
        own: Methods of your own to try besides.
        skip: Steps to leave out: audit; parts, the audit's search for images cut out of others; comparison; report;
            model.
        out: Where the report and the model go; by default a folder named after the images, in reports/own.
        dry_run: Say what would be done.
    """

    path: Annotated[str, tyro.conf.Positional]
    target: str = "balanced"
    backbone: str = "auto"
    weights: str = ""
    methods: tuple[str, ...] = ()
    splits: int = 10
    full: bool = False
    plugin: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    out: Path | None = None
    dry_run: bool = False

    def run(self) -> int:
        from ltlib import places, runs
        from ltlib.compare import comparison, experiments, recommend, whole
        from ltlib.compare.choices import command
        from ltlib.pages import own_report

        plugins.load(*self.plugin)
        chosen = self.choices()
        made = comparison.prepare(chosen)
        for finding in made.audit.findings if made.audit else ():
            note(f"{finding.severity}: {finding.sentence}")
        for line in runs.describe_data(made.planned[0]).lines():
            note(line)
        note(f"{made.front.said} {experiments.test_part(made.dataset)}")
        if "comparison" in self.skip:
            return 0
        self._cost(made)
        if self.dry_run:
            return 0
        place = self.out or places.reports_folder() / "own" / Path(self.path).resolve().stem
        found = made.run()
        said = found.recommendation()
        say(recommend.text(said, found.labels, found.target.metric, found.scores()))
        if self.full and not made.front.whole:
            trained = made.whole(said.method).run()
            say(f"The whole network trained: {whole.text(found, said, trained)}")
            found, said = whole.chosen(found, said, trained)
        again = command(made)
        own_report.write_command(again, place / "again.sh")
        if "model" not in self.skip:
            model = own_report.write_model(found, said, place / "model", again)
            say(f"model: {model}; use it with: ltlib predict {shlex.quote(str(model))} IMAGES...")
        if "report" not in self.skip:
            say(f"report: {own_report.write_page(chosen, place / 'report.html')}")
        say(f"again: {again}")
        return 0

    def choices(self) -> Choices:
        """What the notebook of the report is given too."""
        from ltlib.compare.choices import Choices

        return Choices(
            path=self.path,
            target=self.target,
            methods=self.methods,
            own=self.own,
            splits=self.splits,
            backbone=self.backbone,
            weights=self.weights,
            full=self.full,
            skip=self.skip,
        )

    def _cost(self, made: Comparison) -> None:
        """Say what is trained, and about how long it takes."""
        from ltlib.progress import duration
        from ltlib.runs import cost, sweep

        def say_it(planned: Sequence[Experiment], what: str, more: str = "") -> None:
            todo = sweep.missing(planned)
            done = len(planned) - len(todo)
            text = f"{len(planned)} trainings{what}" + (f", {done} of them done already" if done else "")
            note(f"{text}, about {duration(cost.estimate(todo)) if todo else '0 s'} on one core (estimate){more}")

        say_it(made.planned, "")
        if self.full and not made.front.whole:
            more = ", and those of the method that is recommended, where it is another"
            say_it(made.whole("ce").planned, " of the whole network", more)


@dataclass(frozen=True)
class Predict:
    """Say what an exported model makes of images: one line a file, as CSV or JSON on standard output.

    Attributes:
        model: The model's folder.
        images: Image files, or folders of them.
        form: csv or json.
        top: How many classes to name for each image.
    """

    model: Annotated[Path, tyro.conf.Positional]
    images: Annotated[tuple[str, ...], tyro.conf.Positional]
    form: str = "csv"
    top: int = 3

    def run(self) -> int:
        from ltlib.compare import predict

        if self.form not in ("csv", "json"):
            raise SettingError(f"form must be csv or json, not {self.form!r}")
        if not self.images:
            raise SettingError("name image files, or folders of them")
        found = list(predict.predictions(predict.Model(self.model), predict.files_of(self.images), self.top))
        if self.form == "json":
            lines = [asdict(one) | {"confidence": one.confidence if one.label else None} for one in found]
            json.dump(lines, sys.stdout, ensure_ascii=False, indent=1)
            print()
        else:
            rows = csv.writer(sys.stdout, lineterminator="\n")
            rows.writerow(["path", "label", "confidence", "others", "problem"])
            for one in found:
                others = " ".join(f"{name}:{value:.6f}" for name, value in one.others)
                sure = f"{one.confidence:.9f}" if one.label else ""
                rows.writerow([one.path, one.label, sure, others, one.problem])
        wrong = [one for one in found if one.problem]
        for one in wrong:
            note(one.problem)
        return 1 if wrong else 0
