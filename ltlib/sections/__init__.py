"""What pages have in common, written once: what stands for what, tables and their reading, groups, calibration, claims.

Functions that put something on a page take the page first; the others return frames and sentences. What is one
document's own (its rows, their names, its groups) comes from its description in `ltlib.grids`.
"""
