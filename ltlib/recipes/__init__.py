"""Training settings by name: what a document's code or the field's standard says about everything but the method.

A recipe's numbers can be changed in brackets, ``ldam[epochs=100;lr=0.05]``; the changed values are part of a run's
identity. Milestones are shares of the epochs, so a schedule scales when the epochs change.
"""

from ltlib.recipes.averages import AVERAGES
from ltlib.recipes.named import RECIPES, create, spec
from ltlib.recipes.optimizers import OPTIMIZERS
from ltlib.recipes.recipe import PRECISIONS, SELECTIONS, Recipe

__all__ = ["AVERAGES", "OPTIMIZERS", "PRECISIONS", "RECIPES", "SELECTIONS", "Recipe", "create", "spec"]
