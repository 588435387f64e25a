"""The chapter `architectures`: what is this document's own on its pages."""

from ltlib.sections import study

ARCHITECTURES = study.of("architectures")
"""The document: names of its rows, runs by row, what stands for its data."""
