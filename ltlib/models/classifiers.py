"""What sits on the features: classifiers by name, and the projector of contrastive training.

f are the features of an image, W the classifier's weights with a row w_c per class, b its biases:

- ``linear``: ``z = W f + b``.
- ``cosine``: ``z_c = cos(w_c, f)``, both normalised, no bias (``NormedLinear`` of LDAM-DRW). Where others multiply by a
  scale here (RIDE, SADE), LDAM has it in the loss.
- ``normed``: ``z_c = 30 cos(w_c, f)``, for losses without a scale of their own (``NormedLinear`` of BCL).
- ``nearest``: ``z_c = -|u(f - m) - w_c|^2``, w_c the mean of class c, m a centre, u nothing or division by the length.
- ``lws``: learnable weight scaling, ``z = s * (W f + b)``, s one scale per class, W and b frozen (Kang et al. 2020,
  arXiv 1910.09217, section 4.3; the code of classifier-balancing).
- ``lws_mislas``: the same with W and b trained as well, as MiSLAS does in its second stage (Zhong et al. 2021).

Where others differ: Kang et al. write ``s_c w_c``, the bias outside (``bias=kept``); their code, and MiSLAS's, multiply
the logits, the bias too (``bias=scaled``, the default). Without a bias in W the two are one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib.errors import SettingError
from ltlib.registry import Registry

CLASSIFIERS = Registry[nn.Module]("classifier")


@CLASSIFIERS.register("linear", source="Bishop 2006, section 4.3.4")
def linear(width: int, num_classes: int) -> nn.Module:
    """Linear classifier ``z = W f + b``."""
    return nn.Linear(width, num_classes)


@CLASSIFIERS.register("cosine", source="Cao et al. 2019, code of LDAM-DRW")
class Cosine(nn.Module):
    """Cosine classifier: normalised features times normalised weights, no bias.

    The logits lie in -scale ... scale and are computed in float32 also under autocast: at scale 30 the rounding of a
    cosine to bfloat16 would move a logit by up to 0.06.

    Args:
        width: D of the features.
        num_classes: K.
        scale: What the cosines are multiplied by.

    Attributes:
        weight: [K, D]; only the rows' directions matter.
    """

    def __init__(self, width: int, num_classes: int, scale: float = 1.0):
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(num_classes, width))

    def forward(self, features: Tensor) -> Tensor:
        """Cosines [N, K] of features [N, D], times the scale; 0 for features that are all zero."""
        with torch.autocast(features.device.type, enabled=False):
            features = features if features.dtype == torch.float64 else features.float()
            cosines = F.linear(F.normalize(features, dim=1), F.normalize(self.weight.to(features.dtype), dim=1))
            return cosines if self.scale == 1 else self.scale * cosines

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """Draw the weights as LDAM-DRW does: uniform in -1 ... 1, rows scaled to length one."""
        weight = torch.empty(self.weight.shape).uniform_(-1, 1, generator=generator)
        self.weight.copy_(F.normalize(weight, dim=1))


@CLASSIFIERS.register("normed", source="Zhu et al. 2022, code of BCL")
def normed(width: int, num_classes: int) -> nn.Module:
    """Cosine classifier with scale 30."""
    return Cosine(width, num_classes, scale=30.0)


@CLASSIFIERS.register("nearest", source="code of classifier-balancing, KNNClassifier.py")
class Nearest(nn.Module):
    """Nearest class mean by Euclidean distance: the logits are the negative squared distances, in float32 at least.

    Args:
        width: D of the features.
        num_classes: K.
        unit: Whether features, less the centre, are scaled to length one.

    Attributes:
        weight: [K, D], the class means of the features as they are compared.
        centre: [D], what is subtracted from the features; zeros at first.
    """

    centre: Tensor

    def __init__(self, width: int, num_classes: int, *, unit: bool = False):
        super().__init__()
        self.unit = unit
        self.weight = nn.Parameter(torch.zeros(num_classes, width))
        self.register_buffer("centre", torch.zeros(width))

    def compared(self, features: Tensor) -> Tensor:
        """Features [N, D] as they are compared: less the centre, and of length one where that is asked for."""
        moved = features - self.centre.to(features.dtype)
        return F.normalize(moved, dim=1) if self.unit else moved

    def forward(self, features: Tensor) -> Tensor:
        """Logits [N, K] of features [N, D], none above 0."""
        with torch.autocast(features.device.type, enabled=False):
            features = self.compared(features if features.dtype == torch.float64 else features.float())
            means = self.weight.to(features.dtype)
            # by differences: |f|^2 - 2 f.w + |w|^2 would lose the digits of what is near
            return -torch.cdist(features, means, compute_mode="donot_use_mm_for_euclid_dist").square()

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """Zeros; nothing is drawn."""
        self.weight.zero_()
        self.centre.zero_()


class ScaledLinear(nn.Module):
    """Linear classifier with a learnable scale per class, ``z = s * (W f + b)``.

    Args:
        linear: The classifier whose logits are scaled; it is taken over, not copied.
        trainable: Whether W and b are trained beside s.
        bias: ``scaled``: ``s * (W f + b)``, or ``kept``: ``s * (W f) + b``.

    Attributes:
        scales: s, [K], ones at the start: the logits are the linear classifier's.

    Raises:
        SettingError: An unknown word.
    """

    def __init__(self, linear: nn.Linear, *, trainable: bool, bias: str = "scaled"):
        super().__init__()
        if bias not in ("scaled", "kept"):
            raise SettingError(f"bias of lws must be scaled or kept, not {bias!r}")
        self.linear, self.bias, self.trainable = linear, bias, trainable
        self.scales = nn.Parameter(torch.ones(linear.out_features, device=linear.weight.device))
        linear.requires_grad_(trainable)

    def train_parts(self, trained: bool) -> list[nn.Parameter]:
        """Switch gradients on for what is trained in this classifier, and list it."""
        self.scales.requires_grad_(trained)
        self.linear.requires_grad_(trained and self.trainable)
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def forward(self, features: Tensor) -> Tensor:
        """Logits [N, K] of features [N, D]."""
        if self.bias == "scaled":
            return self.linear(features) * self.scales
        return F.linear(features, self.linear.weight * self.scales.unsqueeze(1), self.linear.bias)

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """Put the scales back to one; nothing is drawn."""
        self.scales.fill_(1)


@CLASSIFIERS.register("lws", source="Kang et al. 2020, section 4.3; code of classifier-balancing")
def lws(width: int, num_classes: int, *, bias: str = "scaled") -> nn.Module:
    """Learnable weight scaling: one trained scale per class on a frozen linear classifier."""
    return ScaledLinear(nn.Linear(width, num_classes), trainable=False, bias=bias)


@CLASSIFIERS.register("lws_mislas", source="Zhong et al. 2021, code of MiSLAS")
def lws_mislas(width: int, num_classes: int, *, bias: str = "scaled") -> nn.Module:
    """Learnable weight scaling as in MiSLAS: scales on a linear classifier that is trained too."""
    return ScaledLinear(nn.Linear(width, num_classes), trainable=True, bias=bias)


def projector(width: int, out: int, hidden: int = 0) -> nn.Module:
    """Two-layer projector ``W_2 relu(W_1 f)``, D -> H -> P, with biases (Khosla et al. 2020, section 3.1).

    The network normalises its output to length one.

    Args:
        width: D of the features.
        out: P.
        hidden: H; 0 for D.
    """
    return nn.Sequential(nn.Linear(width, hidden or width), nn.ReLU(), nn.Linear(hidden or width, out))


class PrototypeProjector(nn.Module):
    """Projector of balanced contrastive learning, and beside it a second one of the same form for class prototypes.

    Each is ``W_2 relu(BN(W_1 f))``, D -> H -> P, as in BCL's code; its rows are normalised by the network.

    Attributes:
        images: Projects features.
        prototypes: Projects the classifier's weights.
    """

    def __init__(self, width: int, out: int, hidden: int = 0):
        super().__init__()
        self.images, self.prototypes = (normed_projector(width, out, hidden) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        """Projections [N, P] of features [N, D], not normalised."""
        return self.images(features)


def normed_projector(width: int, out: int, hidden: int = 0) -> nn.Module:
    """The same with batch normalisation, ``W_2 relu(BN(W_1 f))``: D -> H -> P."""
    hidden = hidden or width
    return nn.Sequential(nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out))


PROJECTORS = {"mlp": projector, "mlp_bn": normed_projector, "prototypes": PrototypeProjector}
"""What makes a projector of width P, hidden width H, on features of width D, by name."""
