"""The methods of a comparison class by class on a page: groups, curves, confusion, a map, single images and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ltlib import calibration
from ltlib.compare import by_group, results
from ltlib.errors import LtlibError, SettingError

if TYPE_CHECKING:
    from ltlib.compare.recommend import Recommendation
    from ltlib.compare.results import Results
    from ltlib.pages.page import Page

IMAGES = 16
MOST = 30
"""Classes up to which every cell of the confusion is among a figure's numbers; of more, those with an image are."""


def show_groups(page: Page, found: Results) -> None:
    """Every method's recall of head, middle and tail classes, with intervals."""
    from ltlib.plots import points

    runs = [run for own in found.runs.values() for run in own]
    names = by_group.groups(found)
    sizes = ", ".join(f"{name} {len(members)}" for name, members in names.items())
    caption = f"mean recall of the classes of a group (classes: {sizes}) over {found.splits} splits, 95% intervals"
    page.frame("Groups", by_group.table(found), caption, runs)
    chart = points.group_dots(by_group.rows(found), xlabel="Mean recall of the classes (%)")
    page.figure("Class groups", chart, caption=f"{caption[0].upper()}{caption[1:]}.", runs=runs)


def show_curves(page: Page, found: Results, said: Recommendation) -> None:
    """Recall over the classes from the largest to the smallest: which classes pay for what others gain."""
    from ltlib.plots import panels

    tried = by_group.shown(found, said)
    lines, width = by_group.lines(found, tried)
    runs = [run for one in tried for run in found.runs[one.method]]
    caption = f"Recall of each class, largest first, mean over {found.splits} splits"
    caption += f"; a running mean over {width} classes." if width > 1 else "."
    chart = panels.class_lines({"": lines}, ylabel="Recall (%)", what="Recall")
    page.figure("Recall by class", chart, caption=caption, runs=runs)


def show_classes(page: Page, found: Results, said: Recommendation) -> None:
    """The recommended method class by class, rarest first, and where the images of each class end up."""
    from ltlib.plots import matrices

    one = found.candidate(said.method)
    frame = results.by_class(found, one)
    page.frame("Classes, one by one", frame, f"{one.label}; recall with its 95% interval", list(found.runs[one.method]))
    if few := [str(name) for name, why in zip(frame["class"], frame["judged"], strict=True) if why]:
        page.say(f"Fewer than ten test images a split, so hardly judged: {', '.join(few)}.")
    chart = matrices.confusion_matrix(results.confusion(found, one), found.class_names, title=one.label)
    data = chart.frame()
    if len(found.class_names) > MOST:
        data = data[data["count"] > 0]
    runs = list(found.runs[one.method])
    page.figure("Confusion", chart, caption="Test images of all splits.", data=data, runs=runs)


def show_map(page: Page, found: Results, said: Recommendation) -> None:
    """The recommended method's test images in its network's feature space."""
    from ltlib.plots import embedding
    from ltlib.runs import features

    run = found.runs[found.candidate(said.method).method][0]
    try:
        space = features.space(run)
    except LtlibError as error:
        page.note(f"No map of the features: {error}")
        return
    chart = embedding.scatter(
        space.points,
        space.targets,
        found.class_names,
        class_counts=run.class_counts,
        groups=by_group.groups(found),
        separability=space.scores,
    )
    shown = f"{len(space.points):,} test images of the first split"
    few = len(found.class_names) <= 10
    how = "a mark for each class, with its training images" if few else "a mark for each class group"
    page.figure("Features", chart, caption=f"t-SNE of what the classifier is given, {shown}; {how}.", runs=[run])


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


def show_labels(page: Page, found: Results, said: Recommendation) -> None:
    """Images whose labels are likely to be wrong, from models that were not trained on them."""
    from ltlib.compare import labels as label_errors

    one = found.candidate(said.method)
    try:
        frame = label_errors.frame(results.label_errors(found, one))
    except SettingError as error:
        page.note(f"Label errors: {error}")
        return
    tested = results.tested_share(found, one)
    if frame.empty:
        page.say(f"No label looks wrong among the {tested:.0%} of the images that some split tested.")
        return
    page.say(f"{len(frame)} label(s) look wrong among the {tested:.0%} of the images that some split tested.")
    page.frame("Likely label errors", frame, "the most suspicious first", list(found.runs[one.method]))
