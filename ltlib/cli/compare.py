"""``ltlib compare`` and ``ltlib predict``: which method for a set of one's own, and what the chosen model says."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ltlib import plugins
from ltlib.cli.saying import note, say
from ltlib.errors import SettingError


@dataclass(frozen=True)
class Compare:
    """Compare methods on images of your own, say which to use, and write a report and a model.

    Attributes:
        path: A folder of class folders, one with train and test folders, or a CSV file of paths and labels.
        target: What counts: balanced, as-is, or a CSV file with a weight for each label.
        backbone: The network in front, with its weights; auto takes a pretrained one where its file is there.
        methods: Methods instead of the usual ones.
        splits: How often training and test images are drawn.
        full: Train the whole network and not a classifier on frozen features alone.
        plugin: Files with methods, losses or samplers of your own.
        own: Methods of your own to try besides.
        out: Where the report and the model go; by default a folder named after the images, in reports/own.
        dry_run: Say what would be done.
    """

    path: Annotated[str, tyro.conf.Positional]
    target: str = "balanced"
    backbone: str = "auto"
    methods: tuple[str, ...] = ()
    splits: int = 10
    full: bool = False
    plugin: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    out: Path | None = None
    dry_run: bool = False

    def run(self) -> int:
        from ltlib import places, runs
        from ltlib.compare import comparison, experiments, recommend
        from ltlib.pages import own_report
        from ltlib.progress import duration
        from ltlib.runs import cost

        plugins.load(*self.plugin)
        made = comparison.prepare(self.path, self.methods, self.own, self.splits, self.backbone, self.full)
        for finding in made.audit.findings:
            note(f"{finding.severity}: {finding.sentence}")
        for line in runs.describe_data(made.planned[0]).lines():
            note(line)
        note(f"{made.front.said} {experiments.test_part(made.dataset)}")
        seconds = duration(cost.estimate(made.planned))
        note(f"{len(made.planned)} trainings, about {seconds} on one core (estimate)")
        if self.dry_run:
            return 0
        found = made.run(self.target)
        said = found.recommendation()
        place = self.out or places.reports_folder() / "own" / Path(self.path).resolve().stem
        say(recommend.text(said, found.labels, found.target.metric, found.scores()))
        model = own_report.write_model(found, said, place / "model")
        page = own_report.write_page(self.parameters(), place / "report.html")
        say(f"report: {page}")
        say(f"model: {model}; use it with: ltlib predict {model} IMAGES...")
        return 0

    def parameters(self) -> dict[str, object]:
        """What the notebook of the report is given; its cells make the same choices."""
        choices = {
            "methods": ", ".join(self.methods),
            "own": ", ".join(self.own),
            "splits": self.splits,
            "backbone": self.backbone,
            "full": str(self.full).lower(),
        }
        return {
            "path": str(Path(self.path).resolve()),
            "target": self.target if not self.target.endswith(".csv") else str(Path(self.target).resolve()),
            "choices": "; ".join(f"{name}={value}" for name, value in choices.items()),
        }


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
