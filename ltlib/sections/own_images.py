"""A comparison on a set of one's own as a page shows it: what is there, what is best, and how to have it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltlib.compare import choices, comparison, experiments, recommend, results, whole
from ltlib.compare.experiments import Front
from ltlib.pages import html
from ltlib.version import __version__

if TYPE_CHECKING:
    from ltlib.audit import Audit
    from ltlib.compare.comparison import Comparison
    from ltlib.compare.recommend import Recommendation
    from ltlib.compare.results import Results
    from ltlib.pages.page import Page


def statement(path: str) -> str:
    """What a page is of; empty for the example, which a profile makes."""
    return f"A comparison of methods on the images in {path}." if path else ""


def planned_of(path: str, target: str, text: str, front: Front | None = None) -> Comparison:
    """What is in a set, and the experiments of a page's choices.

    Args:
        path: A folder or a CSV file.
        target: As of `target.of`.
        text: As ``methods=ce + prior, crt; splits=10``; see `choices.read`.
        front: Instead of the network that the choices say.

    Raises:
        SettingError: A choice that is none.
    """
    return comparison.prepare(choices.read(path, target, text), front)


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


def compared(page: Page, made: Comparison) -> tuple[Results, Recommendation]:
    """Train what is missing, and what the runs allow to say: the recommendation and the table of all candidates."""
    found = made.run()
    said = found.recommendation()
    page.say(recommend.text(said, found.labels, found.target.metric, found.scores()))
    left = [one.label for one in made.tried if one not in found.tried]
    if left:
        page.note(f"Not run on every split, and so left out: {', '.join(left)}.")
    return found, said


def show_table(page: Page, found: Results, said: Recommendation) -> None:
    """All candidates, simplest first, and what of the recommended one's calibration error is chance."""
    runs = [run for own in found.runs.values() for run in own]
    caption = (
        f"mean over {found.splits} splits; the score is {found.target.metric}; intervals hold together 95% of the time"
    )
    page.frame("Methods", results.table(found), caption, runs)
    page.say(results.calibration_sentence(found, found.candidate(said.method)))


def show_whole(page: Page, made: Comparison, found: Results, said: Recommendation) -> None:
    """The same with the whole network trained, where that was asked for and has not been done above."""
    if not made.choices.full or made.front.whole:
        return
    other = made.whole(said.method)
    trained = other.run()
    page.say(f"{other.front.said} {whole.text(found, said, trained)}")
    runs = [run for own in trained.runs.values() for run in own]
    caption = f"whole network trained; mean over {trained.splits} splits; the score is {trained.target.metric}"
    page.frame("Trained whole", results.table(trained), caption, runs)


def show_again(page: Page, made: Comparison, front: Front | None = None) -> None:
    """The command that repeats all of it; the example of a page without a path has none."""
    if front is not None:
        page.say("With a path the command that repeats the comparison stands here, every choice said in full.")
        return
    text = (
        f"Made by ltlib {__version__}. This repeats it, every choice said in full; what is trained already is not "
        "trained again:"
    )
    page.show(html.command(text, choices.command(made)))


def show_audit(page: Page, audit: Audit | None) -> None:
    """What was found in the set, the most severe first."""
    if audit is None:
        page.say("The audit was skipped, as was asked: copies, near duplicates and poor images were not looked for.")
        return
    if not audit.findings:
        page.say(f"Nothing is wrong with these {len(audit.files):,} images, as far as was looked.")
        return
    errors = sum(finding.severity == "error" for finding in audit.findings)
    page.say(
        f"{len(audit.files):,} images can be read; {errors} finding(s) must be mended before numbers are right. The "
        "comparison leaves out what cannot be read, and keeps copies and near duplicates on one side of every split."
    )
    page.sentences("Findings", audit.frame(), "what, where, and what to do")


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
