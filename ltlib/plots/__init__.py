"""Every figure of the workbook: functions from plain arrays to a matplotlib figure.

Each function returns a `Chart`: a figure that also carries its alt text (the finding, with numbers from the data) and
the data it shows, so that saving or displaying it needs nothing more. Nothing here touches pyplot's global state.
"""

from ltlib.plots import (
    alt,
    averages,
    bars,
    calibration,
    calibration_errors,
    count_panels,
    crossed,
    curves,
    diagrams,
    distribution,
    embedding,
    export,
    images,
    loss_curves,
    losses,
    matrices,
    oversampling,
    panels,
    points,
    posthoc,
    ranking,
    style,
    training_panels,
)
from ltlib.plots.export import save, svg
from ltlib.plots.palette import use_style
from ltlib.plots.style import Chart

__all__ = [
    "Chart",
    "alt",
    "averages",
    "bars",
    "calibration",
    "calibration_errors",
    "count_panels",
    "crossed",
    "curves",
    "diagrams",
    "distribution",
    "embedding",
    "export",
    "images",
    "loss_curves",
    "losses",
    "matrices",
    "oversampling",
    "panels",
    "points",
    "posthoc",
    "ranking",
    "save",
    "style",
    "svg",
    "training_panels",
    "use_style",
]
