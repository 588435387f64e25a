"""The chapter `beyond`: the workbook's own questions."""

from ltlib.sections import study

BEYOND = study.of("beyond")
