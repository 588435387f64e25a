"""The chapter `loss_balance`: what is this document's own on its pages."""

from ltlib.sections import study

LOSS_BALANCE = study.of("loss_balance")
"""The document: names of its rows, runs by row, what stands for its data."""
