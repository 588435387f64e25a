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
from ltlib.sections.judges import above, against, ahead, best, better_than_most, keeps_up, least, needs
from ltlib.sections.scores import CLOSE

BOTH = ("accuracy", "ece")
_RIVALS = ("mislas", "lws", "crt")
_claim = claims.of(AWABS.id)

CLAIMS = (
    _claim(
        "Re-weighting is worse than AWABS", "section 4.2",
        "incorporating the re-weighting method in Stage-2 leads to diminished performance and calibration in "
        "comparison to the AWABS approach",
        above([(SECOND, "cbce")], columns("4.2", 100, 50, 10), BOTH),
        "method 2 above CBCE in accuracy and below it in ECE, at each factor",
    ),
    _claim(
        "Method 2 beats most earlier methods", "section 4.7",
        "Proposed Method 2 significantly outshines most previous methods in both top-1 accuracy and Expected "
        "Calibration Error (ECE)",
        better_than_most(SECOND, [*C10, *C100], BOTH, PROPOSED),
        "better than more than half of the earlier methods that have the number, in each column",
    ),
    _claim(
        "CE is the least accurate", "section 4.7.1",
        "The baseline method, Cross-Entropy (CE), showed lower accuracy across all IFs",
        least("ce", C100), "below every other method of Table 4.7",
    ),
    _claim(
        "Mixup and LDAM-DRW beat CE", "section 4.7.1",
        "Enhancements such as mixup and LDAM-DRW improved performance, with notable gains in accuracy",
        above([("mixup", "ce"), ("ldam_drw", "ce")], C100),
    ),
    _claim(
        "BBN and Remix-DRW go further", "section 4.7.1",
        "Advanced techniques like BBN and Remix-DRW further boosted accuracy, particularly at higher imbalance factors",
        above([("bbn", "ldam_drw"), ("remix_drw", "ldam_drw")], C100), "above LDAM-DRW at each factor",
    ),
    _claim(
        "The proposed methods are superior", "section 4.7.1",
        "Our proposed methods demonstrated superior performance",
        best(PROPOSED, C100), "each above every earlier method of Table 4.7 in accuracy",
    ),
    _claim(
        "Method 2 is best at 100 and 10", "section 4.7.1",
        "Proposed Method 2 stood out with the best overall performance, combining high accuracy with low ECE, "
        "particularly excelling at IF 100 and IF 10",
        best([SECOND], columns("4.7", 100, 10), BOTH), "the best accuracy and the lowest ECE of those columns",
    ),
    _claim(
        "MiSLAS is best on the head", "section 4.7.3",
        "MiSLAS: Best on Head (63.3), good overall (47.0)",
        above(against("mislas", ("lws", "crt", *PROPOSED)), [HEAD]), "above every other row of Table 4.8",
    ),
    _claim(
        "Method 1 is best overall", "section 4.7.3",
        "Proposed Method 1: Balanced, highest overall (48.13)",
        above(against(PROPOSED[0], (*_RIVALS, *PROPOSED)), [ALL]), "above every other row of Table 4.8",
    ),
    _claim(
        "Method 2 is best in the tail", "section 4.7.3",
        "Proposed Method 2: Best Tail (27.724), strong overall (48.03)",
        above(against(SECOND, (*_RIVALS, *PROPOSED)), [TAIL]), "above every other row of Table 4.8",
    ),
    _claim(
        "The proposed methods excel in middle and tail", "section 4.7.3",
        "Proposed methods excel, particularly in Tail and Middle classes, showing better handling of imbalanced data",
        above([(own, other) for own in PROPOSED for other in _RIVALS], [MIDDLE, TAIL]),
        "each above MiSLAS, LWS and cRT in both",
    ),
    _claim(
        "Method 2's group accuracies", "section 4.8",
        "Proposed Method 2 emerges as a stand-out performer with accuracy values of 45.930%, 48.030%, and 51.440% for "
        "the Head class, Middle class, and Tail classes, respectively",
        section_4_8(), "its group accuracies in Table 4.8 are these, to a point",
    ),
    _claim(
        "Method 2 is best on CIFAR-10", "section 5.1",
        "The proposed Method 2 consistently outperforms other methods across all imbalance factors (IF) with the "
        "highest accuracy and lowest ECE",
        best([SECOND], C10, BOTH), "in each column of Table 4.6",
    ),
    _claim(
        "MiSLAS is the most accurate on CIFAR-10", "section 5.1",
        "MiSLAS achieves the highest accuracy on CIFAR10-LT, closely followed by the proposed Method 2",
        best(["mislas"], C10), "the best accuracy of each column of Table 4.6",
    ),
    _claim(
        "Method 2 beats LADE and MiSLAS", "section 5.1",
        "LADE and MiSLAS methods also perform well but are surpassed by the Proposed Method 2 in terms of both "
        "accuracy and ECE",
        above([(SECOND, "lade"), (SECOND, "mislas")], C100, BOTH), "in each column of Table 4.7",
    ),
    _claim(
        "Method 2 has the lowest ECE on CIFAR-100", "section 5.1",
        "Proposed Method 2 achieves the lowest ECE values across all imbalance factors, indicating its excellent "
        "calibration",
        best([SECOND], C100, ["ece"]),
    ),
    _claim(
        "Method 2 outperforms or matches", "section 5.1",
        "Proposed Method 2 consistently outperforms or matches other methods in terms of accuracy and calibration on "
        "both CIFAR-10-LT and CIFAR-100-LT datasets",
        keeps_up(SECOND, [*C10, *C100], CLOSE),
        "at most a point of accuracy and one and a half of ECE behind the best of each column",
    ),
    _claim(
        "The proposed methods are better calibrated", "section 5.1",
        "The proposed methods exhibit superior calibration, crucial for reliable uncertainty estimation",
        best(PROPOSED, [*C10, *C100], ["ece"]), "each a lower ECE than every earlier method of the column",
    ),
    _claim(
        "MiSLAS for the head, method 2 for the tail", "section 5.1",
        "MiSLAS excels on frequent classes but struggles with rare ones, while Proposed Method 2 stands out by "
        "demonstrating high accuracy on rare categories",
        ahead([(HEAD, "mislas", SECOND), (TAIL, SECOND, "mislas")]),
        "MiSLAS above method 2 in the head, below it in the tail",
    ),
)  # fmt: skip


SHIFT = (
    _claim(
        "Less over-confidence in head and middle", "section 4.5",
        "AWABS reduces over-confidence in head and medium classes, balancing prediction distributions",
        needs("confidence", "confidence by class group", less_over_confident(["head", "middle"])),
        "confidence minus accuracy is smaller than with cross-entropy, without falling further below 0",
    ),
    _claim(
        "The tail shifts right", "section 4.5",
        "Tail class predictions shift right, indicating better confidence and accuracy for these classes",
        needs("confidence", "confidence by class group", rises("tail", ("confidence", "accuracy"))),
        "mean confidence and accuracy of the tail are larger than with cross-entropy",
    ),
)  # fmt: skip
