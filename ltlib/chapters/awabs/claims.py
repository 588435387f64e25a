"""What `awabs` says of its results: the sentences of sections 4.2, 4.5, 4.7, 4.8 and 5.1, each with its judge."""

from __future__ import annotations

from ltlib.chapters.awabs import AWABS
from ltlib.chapters.awabs.judges import (
    ALL,
    C10,
    C100,
    HEAD,
    MIDDLE,
    SECOND,
    TAIL,
    columns,
    less_over_confident,
    rises,
    section_4_8,
)
from ltlib.grids.awabs import PROPOSED
from ltlib.sections import claims
from ltlib.sections.answers import most
from ltlib.sections.judges import above, against, ahead, best, better_than_most, keeps_up, least, needs
from ltlib.tables.scores import CLOSE

BOTH = ("accuracy", "ece")
_RIVALS = ("mislas", "lws", "crt")
_claim = claims.of(AWABS.id)

CLAIMS = (
    _claim("Re-weighting is worse than AWABS", above([(SECOND, "cbce")], columns("4.2", 100, 50, 10), BOTH, most)),
    _claim("Method 2 beats most earlier methods", better_than_most(SECOND, [*C10, *C100], BOTH, PROPOSED)),
    _claim("CE is the least accurate", least("ce", C100)),
    _claim("Mixup and LDAM-DRW beat CE", above([("mixup", "ce"), ("ldam_drw", "ce")], C100, rule=most)),
    _claim("BBN and Remix-DRW go further", above([("bbn", "ldam_drw"), ("remix_drw", "ldam_drw")], C100, rule=most)),
    _claim("The proposed methods are superior", best(PROPOSED, C100, rule=most)),
    _claim("Method 2 is best at 100 and 10", best([SECOND], columns("4.7", 100, 10), BOTH)),
    _claim("MiSLAS is best on the head", above(against("mislas", ("lws", "crt", *PROPOSED)), [HEAD])),
    _claim("Method 1 is best overall", above(against(PROPOSED[0], (*_RIVALS, *PROPOSED)), [ALL])),
    _claim("Method 2 is best in the tail", above(against(SECOND, (*_RIVALS, *PROPOSED)), [TAIL])),
    _claim(
        "The proposed methods excel in middle and tail",
        above([(own, other) for own in PROPOSED for other in _RIVALS], [MIDDLE, TAIL], rule=most),
    ),
    _claim("Method 2's group accuracies", section_4_8()),
    _claim("Method 2 is best on CIFAR-10", best([SECOND], C10, BOTH)),
    _claim("MiSLAS is the most accurate on CIFAR-10", best(["mislas"], C10)),
    _claim("Method 2 beats LADE and MiSLAS", above([(SECOND, "lade"), (SECOND, "mislas")], C100, BOTH, most)),
    _claim("Method 2 has the lowest ECE on CIFAR-100", best([SECOND], C100, ["ece"])),
    _claim(
        "Method 2 outperforms or matches",
        keeps_up(SECOND, [*C10, *C100], {metric: CLOSE[metric] for metric in BOTH}, rule=most),
    ),
    _claim("The proposed methods are better calibrated", best(PROPOSED, [*C10, *C100], ["ece"], rule=most)),
    _claim("MiSLAS for the head, method 2 for the tail", ahead([(HEAD, "mislas", SECOND), (TAIL, SECOND, "mislas")])),
)

SHIFT = (
    _claim(
        "Less over-confidence in head and middle",
        needs("confidence", "confidence by class group", less_over_confident(["head", "middle"])),
    ),
    _claim(
        "The tail shifts right",
        needs("confidence", "confidence by class group", rises("tail", ("confidence", "accuracy"))),
    ),
)
