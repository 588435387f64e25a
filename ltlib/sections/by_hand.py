"""A training whose parts lie open on a page: what a network is made of, what a recipe says, and whether a loop of the
page's own comes to the numbers of the stored run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.models import Network
    from ltlib.recipes import Recipe
    from ltlib.runs import Run

SAME = 1e-4
"""How far a loss summed in another order may lie from the stored one, of its own size."""


def layers(network: Network) -> pd.DataFrame:
    """What a network is made of: one row a block, in order, with the modules in it and its parameters."""
    import pandas as pd

    rows = []
    for name, part in network.parts.items():
        for child, module in list(part.named_children()) or [("", part)]:
            kinds = [type(leaf).__name__ for leaf in module.modules() if not list(leaf.children())]
            made = ", ".join(f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds))
            rows.append((name, child or "-", made, sum(p.numel() for p in module.parameters())))
    return pd.DataFrame(rows, columns=["part", "block", "made of", "parameters"])


def settings(recipe: Recipe) -> pd.DataFrame:
    """What a recipe says: one row a setting."""
    import pandas as pd

    names = [f.name for f in fields(recipe) if f.name != "method_defaults"]
    values = [getattr(recipe, name) for name in names]
    texts = [" + ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in values]
    return pd.DataFrame({"setting": [name.replace("_", " ") for name in names], "value": texts})


def beside(losses: Sequence[float], run: Run) -> pd.DataFrame:
    """The training losses of the first epochs, those of the page's loop beside those of the stored run.

    Args:
        losses: Mean training loss of each epoch, from the first on.
        run: The stored run.
    """
    import pandas as pd

    stored = run.history["train_loss"].head(len(losses)).tolist()
    rows = zip(range(1, len(losses) + 1), losses, stored, strict=False)
    return pd.DataFrame(rows, columns=["epoch", "loop above", "stored run"])


def agreement(frame: pd.DataFrame) -> str:
    """What `beside` shows, in a sentence."""
    gap = float(((frame["loop above"] - frame["stored run"]).abs() / frame["stored run"].abs()).max())
    epochs = f"{len(frame)} epoch{'s' * (len(frame) != 1)}"
    if gap <= SAME:
        return f"The loop above comes to the stored run's training loss in each of {epochs}: it is the same training."
    return (
        f"Within {epochs} the loop above and the stored run lie up to {gap:.1%} apart: something in the cells above is "
        "not as the run had it."
    )
