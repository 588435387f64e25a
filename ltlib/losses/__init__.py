"""Losses by name: ``losses.create("focal", class_counts, gamma=1.0)`` is an `nn.Module` for anybody's training loop.

Classification losses are called ``loss(logits, targets)``, contrastive ones ``loss(features, targets)``; both return a
scalar. ``loss.per_sample`` gives the values before averaging.

Example:
    >>> import torch
    >>> from ltlib import losses
    >>> loss = losses.create("focal", class_counts=[5000, 500, 50], gamma=2.0, alpha="inverse_frequency")
    >>> loss(torch.randn(8, 3), torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])).shape
    torch.Size([])
"""

from __future__ import annotations

from ltlib.losses.adjusted import BalancedSoftmax, LogitAdjustment, VectorScaling
from ltlib.losses.base import LOSSES, Loss, create, spec
from ltlib.losses.bcl import BalancedContrastive
from ltlib.losses.binary import BinaryCrossEntropy, FocalSigmoid
from ltlib.losses.cefl import CEFL, CEFL2
from ltlib.losses.concutmix import ContrastiveCutMix
from ltlib.losses.contrastive import SimCLR, SupCon
from ltlib.losses.cross_entropy import CrossEntropy
from ltlib.losses.deferred import Deferred, deferred, ldam_drw
from ltlib.losses.equalization import Equalization
from ltlib.losses.focal import Focal
from ltlib.losses.hard_examples import HardExamples
from ltlib.losses.kcl import KPositive
from ltlib.losses.lade import LADE
from ltlib.losses.ldam import LDAM
from ltlib.losses.loss_balance import LossEqualised, PriorEqualised
from ltlib.losses.paco import ParametricContrastive
from ltlib.losses.proco import ProCo
from ltlib.losses.smoothing import AWABS, LabelAwareSmoothing, LabelSmoothing, mislas_epsilons
from ltlib.losses.tsc import Targeted
from ltlib.losses.weighted import ClassBalanced, WeightedCrossEntropy
from ltlib.losses.weights import class_weights

__all__ = [
    "AWABS",
    "CEFL",
    "CEFL2",
    "LADE",
    "LDAM",
    "LOSSES",
    "BalancedContrastive",
    "BalancedSoftmax",
    "BinaryCrossEntropy",
    "ClassBalanced",
    "ContrastiveCutMix",
    "CrossEntropy",
    "Deferred",
    "Equalization",
    "Focal",
    "FocalSigmoid",
    "HardExamples",
    "KPositive",
    "LabelAwareSmoothing",
    "LabelSmoothing",
    "LogitAdjustment",
    "Loss",
    "LossEqualised",
    "ParametricContrastive",
    "PriorEqualised",
    "ProCo",
    "SimCLR",
    "SupCon",
    "Targeted",
    "VectorScaling",
    "WeightedCrossEntropy",
    "class_weights",
    "create",
    "mislas_epsilons",
    "names",
    "spec",
]

LOSSES.register("ce", source="Bishop 2006, section 4.3.4; convergent Eq. 3")(CrossEntropy)
LOSSES.register("focal", source="Lin et al. 2017, Eq. 5; convergent Eq. 4")(Focal)
LOSSES.register("bce", source="awabs section 2.2.1")(BinaryCrossEntropy)
LOSSES.register("focal_sigmoid", source="Lin et al. 2017, Eq. 5; code of Cui et al. 2019")(FocalSigmoid)
LOSSES.register("label_smoothing", source="Szegedy et al. 2016, section 7")(LabelSmoothing)
LOSSES.register("ohem", source="Shrivastava et al. 2016; cefl section II.C")(HardExamples)
LOSSES.register("weighted_ce", source="architectures Eqs. 2.4 and 2.5", added=("exponent",))(WeightedCrossEntropy)
LOSSES.register("class_balanced", source="Cui et al. 2019; awabs section 2.2.3", aliases=("cbce",))(ClassBalanced)
LOSSES.register("balanced_softmax", source="Ren et al. 2020; awabs section 2.2.4")(BalancedSoftmax)
LOSSES.register("logit_adjustment", source="Menon et al. 2021", added=("inverse",))(LogitAdjustment)
LOSSES.register("vs", source="Kini et al. 2021")(VectorScaling)
LOSSES.register("ldam", version=2, source="Cao et al. 2019, section 3")(LDAM)
LOSSES.register("equalization", source="Tan et al. 2020; code of BagofTricks-LT")(Equalization)
LOSSES.register("lade", source="Hong et al. 2021; awabs section 2.2.5")(LADE)
LOSSES.register("cefl", source="cefl Eq. 9")(CEFL)
LOSSES.register("cefl2", source="cefl Eq. 11")(CEFL2)
LOSSES.register("loss_equalised", source="Huang et al. 2019 (loss_balance), our reading of LE")(LossEqualised)
LOSSES.register("prior_equalised", source="Huang et al. 2019 (loss_balance), our reading of PE")(PriorEqualised)
LOSSES.register(
    "label_aware_smoothing",
    source="Zhong et al. 2021 (MiSLAS); awabs Eqs. 3.11-3.13",
    aliases=("las",),
    added=("smoothed",),
)(LabelAwareSmoothing)
LOSSES.register("awabs", source="awabs Eqs. 3.1-3.3 and 3.11-3.13", added=("smoothed",))(AWABS)
LOSSES.register("deferred", source="Cao et al. 2019, Algorithm 1", added=("reduction",))(deferred)
LOSSES.register("ldam_drw", version=2, source="Cao et al. 2019, section 3 and Algorithm 1")(ldam_drw)
LOSSES.register("supcon", source="Khosla et al. 2020, Eq. 2; convergent Eq. 5")(SupCon)
LOSSES.register("simclr", source="Chen et al. 2020, Eq. 1")(SimCLR)
LOSSES.register("bcl", source="Zhu et al. 2022, Eq. 6; convergent section 2.5")(BalancedContrastive)
LOSSES.register("kcl", source="Kang et al. 2021, Eq. 4")(KPositive)
LOSSES.register("tsc", source="Li et al. 2022, Eqs. 2 and 4")(Targeted)
LOSSES.register("concutmix", source="Pan et al. 2024, and its code")(ContrastiveCutMix)
LOSSES.register("paco", source="Cui et al. 2021, Eq. 7; its code")(ParametricContrastive)
LOSSES.register("proco", source="Du et al. 2024, and its code")(ProCo)


def names() -> list[str]:
    """Names of the losses."""
    return LOSSES.names()
