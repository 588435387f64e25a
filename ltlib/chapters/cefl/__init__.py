"""The chapter `cefl`: what is this document's own on its pages."""

from ltlib.sections import study

CEFL = study.of("cefl")
"""The document: names of its rows, runs by row, what stands for its data."""
