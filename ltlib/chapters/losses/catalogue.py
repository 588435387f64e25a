"""Every loss and method by name: what it is, who defines it how, and a trial of one's own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltlib import losses, published
from ltlib.labels import label
from ltlib.plots.loss_curves import called
from ltlib.tables import scores

if TYPE_CHECKING:
    import pandas as pd


def classification() -> list[str]:
    """Names of the registered losses that read logits."""
    return [entry.name for entry in losses.LOSSES if not getattr(entry.factory, "contrastive", False)]


def loss_table() -> pd.DataFrame:
    """Every registered loss: what it is, settings with their defaults, source, module."""
    import pandas as pd

    rows = []
    for entry in losses.LOSSES:
        settings = ", ".join(f"{key} {_word(value)}" for key, value in entry.defaults.items())
        reads = "features" if getattr(entry.factory, "contrastive", False) else "logits"
        module = entry.factory.__module__.removeprefix("ltlib.")
        rows.append([entry.name, reads, entry.summary.replace("`", ""), settings or "none", entry.source, module])
    return pd.DataFrame(rows, columns=["loss", "reads", "what it is", "settings", "source", "module"])


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def differences() -> pd.DataFrame:
    """Where papers, reference codes and documents disagree, and what is done here: the texts of the docstrings."""
    import pandas as pd

    return pd.read_csv(Path(__file__).with_name("differences.csv"), keep_default_na=False)


def differences_sentence(frame: pd.DataFrame) -> str:
    """Which losses have several functions under their name, from `differences`."""
    names = [label(name) for losses_of in frame["loss"] for name in losses_of.split(", ")]
    return f"{len(names)} names stand for more than one function: {', '.join(names)}."


def catalogue_line(document: str, frame: pd.DataFrame) -> str:
    """How many methods a document names and how many are built, from `catalogue`."""
    built = int((frame["here"] != "not built").sum())
    return f"{document}: {len(frame)} methods, {built} of them built here"


def catalogue(document: str) -> pd.DataFrame:
    """The methods of a document: its name for each, our id and module, or why it is not built."""
    rows = published.methods(document)
    frame = rows[["id", "name", "where", "module", "note"]].copy()
    frame.loc[frame["id"] == "", "id"] = "not built"
    return frame.rename(columns={"name": "its name", "id": "here", "module": "equation or code in", "note": "remark"})


TRIAL = "convergent[augmentation=shift1;epochs=12;lr=0.05]"


def trials(names: Sequence[str], recipe: str = TRIAL) -> pd.DataFrame:
    """Methods on the digits at imbalance 20, a few seconds each; their runs are thrown away.

    A loss that only this notebook knows could not be read again by the scoreboard.
    """
    import pandas as pd

    from ltlib import runs
    from ltlib.experiment import Experiment

    rows, before = [], os.environ.get("LTLIB_REPORTS")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LTLIB_REPORTS"] = folder
        try:
            for name in names:
                run = runs.run(Experiment("digits", 20, "resnet8", name, recipe))
                last = run.metrics["last"]
                groups = [f"{100 * last['groups'][g]['accuracy']:.1f}" for g in ("head", "middle", "tail")]
                errors = [f"{100 * value:.1f}" for value in (last["ece"], scores.without_chance([run], "last")[0])]
                rows.append([called(name), f"{100 * last['accuracy']:.1f}", *groups, *errors])
        finally:
            os.environ.pop("LTLIB_REPORTS") if before is None else os.environ.update(LTLIB_REPORTS=before)
    return pd.DataFrame(rows, columns=["method", "accuracy %", "head %", "middle %", "tail %", "ECE %", "by chance %"])
