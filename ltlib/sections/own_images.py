"""A comparison on a set of one's own as a page shows it: what is there, what is best, class by class, single images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from ltlib import calibration
from ltlib.compare import comparison, experiments, recommend, results
from ltlib.compare.experiments import Front
from ltlib.errors import SettingError

if TYPE_CHECKING:
    from ltlib.audit import Audit
    from ltlib.compare.comparison import Comparison
    from ltlib.compare.recommend import Recommendation
    from ltlib.compare.results import Results
    from ltlib.pages.page import Page

IMAGES = 16


def show_set(page: Page, made: Comparison) -> None:
    """What the set is and what is done to its images."""
    from ltlib import runs
    from ltlib.plots import distribution

    said = runs.describe_data(made.planned[0])
    lines = said.lines()
    lines[0] = lines[0].removeprefix(f"{made.dataset}: ")
    page.say(f"{' '.join(f'{line[0].upper()}{line[1:]}.' for line in lines)} {made.front.said}")
    page.say(experiments.test_part(made.dataset))
    chart = distribution.class_distribution(list(said.found), list(said.class_names))
    page.figure("Classes", chart, caption="Images of each class, all of them.", runs=[])


def compared(page: Page, made: Comparison, target: str) -> tuple[Results, Recommendation]:
    """Train what is missing, and what the runs allow to say: the recommendation and the table of all candidates."""
    found = made.run(target)
    said = found.recommendation()
    page.say(recommend.text(said, found.labels, found.target.metric, found.scores()))
    left = [one.label for one in made.tried if one not in found.tried]
    if left:
        page.note(f"Not run on every split, and so left out: {', '.join(left)}.")
    return found, said


def show_table(page: Page, found: Results) -> None:
    """All candidates, simplest first, and their scores as points with intervals over splits."""
    runs = [run for own in found.runs.values() for run in own]
    caption = (
        f"mean over {found.splits} splits; the score is {found.target.metric}; intervals hold together 95% of the time"
    )
    page.frame("Methods", results.table(found), caption, runs)


def show_classes(page: Page, found: Results, said: Recommendation) -> None:
    """The recommended method class by class, rarest first, and where the images of each class end up."""
    from ltlib.plots import matrices

    one = found.candidate(said.method)
    frame = results.by_class(found, one)
    page.frame("Classes, one by one", frame, f"{one.label}; recall with its 95% interval", list(found.runs[one.method]))
    if few := [str(name) for name, why in zip(frame["class"], frame["judged"], strict=True) if why]:
        page.say(f"Fewer than ten test images a split, so hardly judged: {', '.join(few)}.")
    chart = matrices.confusion_matrix(results.confusion(found, one), found.class_names, title=one.label)
    page.figure("Confusion", chart, caption="Test images of all splits.", runs=list(found.runs[one.method]))


def show_mistakes(page: Page, found: Results, said: Recommendation, images: int = IMAGES) -> None:
    """Test images of the rarest classes that the recommended method has wrong, the most confident first."""
    from ltlib import runs
    from ltlib.plots import images as draw

    one = found.candidate(said.method)
    run = found.runs[one.method][0]
    probabilities = calibration.probabilities(found.logits(one, 0))
    taken, actual = probabilities.argmax(1), found.targets(0)
    wrong = np.flatnonzero(taken != actual)
    if not len(wrong):
        page.say("No test image of the first split is wrong.")
        return
    counts = np.asarray(run.class_counts)
    order = sorted(wrong.tolist(), key=lambda i: (counts[actual[i]], -probabilities[i, taken[i]]))[:images]
    data = runs.load_data(run.experiment)
    titles = [f"{found.class_names[actual[i]]}\nas {found.class_names[taken[i]]}" for i in order]
    chart = draw.show_images(data.test.images[np.asarray(order)], titles)
    caption = f"{one.label}, first split: wrong test images, rarest class first, the most confident before others."
    page.figure("Mistakes", chart, caption=caption, runs=[run])


def planned_of(path: str, choices: str, front: Front | None = None) -> Comparison:
    """What is in a set, and the experiments of a page's choices.

    Args:
        path: A folder or a CSV file.
        choices: As ``methods=ce + prior, crt; splits=10``; see `chosen`.
        front: Instead of the network that the choices say.

    Raises:
        SettingError: A choice that is none.
    """
    said = chosen(choices)
    methods, own = _names(said["methods"]), _names(said["own"])
    full = said["full"] == "true"
    return comparison.prepare(path, methods, own, int(said["splits"]), said["backbone"], full, front)


def chosen(text: str) -> dict[str, str]:
    """The choices of a comparison from a text, those that are not said as usual.

    Args:
        text: ``methods=``, ``own=`` with commas between names, ``splits=``, ``backbone=``, ``full=true``, with ``;``
            between them.

    Raises:
        SettingError: Another word, or splits that are no number.
    """
    found = {"methods": "", "own": "", "splits": str(experiments.SPLITS), "backbone": "auto", "full": "false"}
    for part in filter(str.strip, re.split(r";(?![^\[]*\])", text)):
        name, _, value = part.partition("=")
        if name.strip() not in found:
            raise SettingError(f"{name.strip()!r} is no choice of a comparison; there are {', '.join(found)}")
        found[name.strip()] = value.strip()
    if not found["splits"].isdecimal():
        raise SettingError(f"splits must be a number, not {found['splits']!r}")
    return found


def show_audit(page: Page, audit: Audit) -> None:
    """What was found in the set, the most severe first."""
    if not audit.findings:
        page.say(f"Nothing is wrong with these {len(audit.files):,} images, as far as was looked.")
        return
    errors = sum(finding.severity == "error" for finding in audit.findings)
    page.say(
        f"{len(audit.files):,} images can be read; {errors} finding(s) must be mended before numbers are right. The "
        "comparison leaves out what cannot be read, and keeps copies and near duplicates on one side of every split."
    )
    page.sentences("Findings", audit.frame(), "what, where, and what to do")


def show_labels(page: Page, found: Results, said: Recommendation) -> None:
    """Images whose labels are likely to be wrong, from models that were not trained on them."""
    from ltlib.compare import labels as label_errors

    one = found.candidate(said.method)
    try:
        frame = label_errors.frame(results.label_errors(found, one))
    except SettingError as error:
        page.note(f"Label errors: {error}")
        return
    tested = results.tested_share(found)
    if frame.empty:
        page.say(f"No label looks wrong among the {tested:.0%} of the images that some split tested.")
        return
    page.say(f"{len(frame)} label(s) look wrong among the {tested:.0%} of the images that some split tested.")
    page.frame("Likely label errors", frame, "the most suspicious first", list(found.runs[one.method]))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def example(page: Page, path: str) -> tuple[str, Front | None]:
    """The path as it is given; else a small example with its network, which the page says it is."""
    if path:
        return path, None
    from ltlib.datasets import digits_natural

    page.say(
        "No path was given: a folder of digits with a natural tail and planted faults, made for this page, stands in. "
        "It shows how the page is read and says nothing about photographs."
    )
    recipe = "ldam[epochs=15;warmup_epochs=1;batch_size=64;augmentation=shift1]"
    return str(digits_natural.folder()), Front("resnet8", recipe, 8, "ResNet-8 trained from random weights.")
