"""Which images: the rules in public use, whether they nest, and what identifies a subset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltlib import datasets, plots
from ltlib.labels import label

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.datasets.images import ImageSet
    from ltlib.experiment import Experiment
    from ltlib.plots import Chart
    from ltlib.sections.images import Images

PICKS = {
    "random, subset seed 0": ("random", 0),
    "random, subset seed 1": ("random", 1),
    "ldam, seed 0": ("ldam", 0),
    "first of each class": ("first", 0),
}


def _chosen(train: ImageSet, factor: float, pick: str) -> np.ndarray:
    rule, seed = PICKS[pick]
    return datasets.choose_subset(train.targets, datasets.subset_counts(train.class_counts, factor), rule, seed)


def nesting(train: ImageSet, wide: float, steep: float) -> pd.DataFrame:
    """How much of the steep subset lies inside the wide one of the same rule, and inside the default's steep one."""
    import pandas as pd

    rows = []
    default = set(_chosen(train, steep, next(iter(PICKS))).tolist())
    for pick in PICKS:
        inner, outer = set(_chosen(train, steep, pick).tolist()), set(_chosen(train, wide, pick).tolist())
        inside, shared = len(inner & outer) / len(inner), len(inner & default) / len(inner)
        rows.append([pick, len(outer), len(inner), f"{inside:.0%}", f"{shared:.0%}"])
    names = ["images picked by", f"images at IF {wide:g}", f"images at IF {steep:g}"]
    names += [f"of IF {steep:g} inside IF {wide:g}", f"of IF {steep:g} shared with the default"]
    return pd.DataFrame(rows, columns=names)


def rarest(train: ImageSet, factor: float) -> Chart:
    """The smallest class's images under each rule: what the tail's score rests on."""
    last = len(train.class_names) - 1
    chosen = [_chosen(train, factor, pick) for pick in PICKS]
    picked = [own[train.targets[own] == last] for own in chosen]
    rows = np.repeat(np.arange(len(PICKS)), [len(own) for own in picked])
    chart = plots.images.samples_per_class(train.images[np.concatenate(picked)], rows, list(PICKS), per_class=9)
    name, number = train.class_names[last], len(picked[0])
    shared = [len(set(picked[0].tolist()) & set(own.tolist())) for own in picked[1:]]
    parts = [f"{pick}: {n} of {number} shared" for pick, n in zip(list(PICKS)[1:], shared, strict=True)]
    chart.alt = f"Images of class {name}, the rarest, under {len(PICKS)} rules. Beside the default, {'; '.join(parts)}."
    return chart


def fingerprints(sets: Sequence[str], factors: Sequence[float]) -> pd.DataFrame:
    """Fingerprints of (set, factor, rule); a set whose images are not on disk has one row that says so."""
    import pandas as pd

    rows = []
    for name in dict.fromkeys(sets):
        if not datasets.available(name):
            rows.append([label(name), "", "", "", f"images not on disk: {datasets.info(name).where}"])
            continue
        train = datasets.read(name).train
        for factor in factors:
            for pick in PICKS:
                chosen = _chosen(train, factor, pick)
                digest = datasets.fingerprint(chosen, train.targets[chosen])
                rows.append([label(name), f"{factor:g}", pick, f"{len(chosen):,}", digest[:16]])
    return pd.DataFrame(rows, columns=["set", "IF", "images picked by", "images", "fingerprint"])


def validation(experiment: Experiment) -> pd.DataFrame:
    """Images per class: the subset, what trains and what is held out with ``validation="subset"``."""
    import pandas as pd

    from ltlib import runs

    data = runs.load_data(experiment.replace(validation="subset"))
    assert data.validation is not None
    held = data.validation.class_counts
    rows = [
        [str(n), *row] for n, *row in zip(data.class_names, data.subset_counts, data.class_counts, held, strict=True)
    ]
    total = ["all", sum(data.subset_counts), sum(data.class_counts), sum(held)]
    return pd.DataFrame([*rows, total], columns=["class", "long-tailed subset", "trains", "validates"])


def same_subset(shown: Images, subset: Callable[[ImageSet, float], np.ndarray]) -> str:
    """Whether the two lines of the notebook choose what `datasets.load` loads."""
    if shown.long_tailed is None:
        return f"Its fingerprint: not here, {shown.why_not()}."
    train = shown.source.train
    chosen = subset(train, shown.experiment.imbalance_factor)
    digest = datasets.fingerprint(chosen, train.targets[chosen])
    same = "the same as from" if digest == shown.data.fingerprint else "not those of"
    return (
        f"Two lines give {len(chosen):,} images, fingerprint {digest[:16]}: {same} datasets.load, which every run uses."
    )
