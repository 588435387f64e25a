"""The chapter `awabs`: what is this document's own on its pages."""

from ltlib.sections import study

AWABS = study.of("awabs")
"""The document: names of its rows, runs by row, what stands for its data."""
