"""The chapter `convergent`: what is this document's own on its pages."""

from ltlib.sections import study

CONVERGENT = study.of("convergent")
"""The document: names of its rows, runs by row, what stands for its data."""
