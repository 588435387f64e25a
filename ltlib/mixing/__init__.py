"""Mixing images and labels of whole batches: mixup, CutMix, Remix, CMO, Cut-Thumbnail, CutOut.

A mixing draws an epoch's random numbers beforehand (`Mixing.draw`, on the CPU), changes the images of a batch on the
device (`Mixing.apply`) and says how much of each label stays (`Mixing.label_share`). Nothing waits for the device and
every shape is fixed, so a step can be captured in a CUDA graph; an epoch or a batch without mixing is one with
``lam`` 1 and an empty box, which leaves the images bit for bit as they are. The boxes of ``guided_cutmix`` are moved to
where the network looks, on the device (`guided.GuidedCutMix.placed`).

What is drawn, for S steps of B images:

===========  ====================  ==================================================================================
``lam``      float32 [S, B]        share of the own image (mixup) or of its area that is left (boxes); 1: unmixed
``partner``  int64 [S, B]          ``partners = "batch"``: a permutation of 0..B-1 in every step; ``"dataset"``:
                                   numbers of training images, from a sampler of the mixing's own
``box``      int64 [S, B, 4]       top, left, bottom, right of the rectangle that is replaced; bottom and right excluded
===========  ====================  ==================================================================================

Images are mixed after normalising, as in the reference codes. As there, one lambda, one box and one coin serve a whole
batch; ``per_sample=true`` draws them for every image.

The loss of a mixed image is ``share * l(own) + (1 - share) * l(partner)`` with ``share`` from `label_share`. The
lambdas come from one uniform number each through the inverse of the Beta distribution, so runs that differ in alpha use
the same random numbers.

Where others differ:

- torchvision's MixUp and CutMix pair each image with its neighbour in the batch (``roll(1)``), not with a permutation.
- BagofTricks-LT's Remix multiplies its per-image shares with a loss already averaged over the batch, which makes one
  share of them; here they stay apart, as in the paper.
- naver-ai/cmo counts epochs from 0 and compares ``3 < epoch``, so its mixing starts in the fifth epoch; here `first` is
  the number of epochs without it (``cmo[first=4]`` is that code). It draws a pasted batch only while it mixes.
- TianshuXie/Cut-Thumbnail throws its coin with another generator; the definitions are the same.
- The original CutOut zeroes the normalised image, as ``cutout`` here; a black square is ``cutoutN`` in
  `ltlib.batches.augment`. ``awabs`` states no size or chance for any of its three; the defaults are
  those of each method's own code, the sides of square and thumbnail as a share of the image's (16 of 32 pixels).
"""

from __future__ import annotations

from ltlib.mixing.base import Mixing
from ltlib.mixing.blends import Mixup, Remix
from ltlib.mixing.boxes import CMO, CutMix, CutOut
from ltlib.mixing.consistency import GlobalLocal
from ltlib.mixing.guided import GuidedCutMix
from ltlib.mixing.thumbnails import CutThumbnail, MixedThumbnail
from ltlib.registry import Registry, Spec

__all__ = ["MIXINGS", "Mixing", "create", "names", "spec"]

MIXINGS = Registry[Mixing]("mixing")


def create(mixing: str | Spec) -> Mixing:
    """A mixing from its text, e.g. ``mixup[alpha=0.2]``.

    Raises:
        UnknownName: Unknown mixing or setting.
        SettingError: A value outside its range.
    """
    return MIXINGS.create(mixing)


def spec(text: str | Spec) -> Spec:
    """Parse a mixing's text; see `Registry.spec`."""
    return MIXINGS.spec(text)


def names() -> list[str]:
    """Names of the mixings."""
    return MIXINGS.names()


# --- names -----------------------------------------------------------------------------------------------------------


@MIXINGS.register("mixup", source="Zhang et al. 2018, section 2; awabs section 2.3.1; MiSLAS methods.py")
def mixup(*, alpha: float = 1.0, prob: float = 1.0, per_sample: bool = False) -> Mixup:
    """Weighted mean of two images of the batch, and of their labels."""
    return Mixup(prob=prob, per_sample=per_sample, alpha=alpha)


@MIXINGS.register("cutmix", source="Yun et al. 2019, Eq. 1; awabs section 2.3.3")
def cutmix(*, alpha: float = 1.0, prob: float = 1.0, per_sample: bool = False) -> CutMix:
    """A rectangle of another image of the batch; labels by area."""
    return CutMix(prob=prob, per_sample=per_sample, alpha=alpha)


@MIXINGS.register("remix", source="Chou et al. 2020, Eq. 10")
def remix(
    *, alpha: float = 1.0, kappa: float = 3.0, tau: float = 0.5, prob: float = 1.0, per_sample: bool = False
) -> Remix:
    """Mixup whose label goes to the rarer class where the counts differ much."""
    return Remix(prob=prob, per_sample=per_sample, alpha=alpha, kappa=kappa, tau=tau)


@MIXINGS.register("cmo", source="Park et al. 2022, Algorithm 1; awabs section 2.3.5")
def cmo(*, alpha: float = 1.0, prob: float = 0.5, power: float = 1.0, first: int = 3, last: int = 3) -> CMO:
    """CutMix that pastes images drawn with inverse class frequency."""
    return CMO(prob=prob, alpha=alpha, power=power, first=first, last=last)


@MIXINGS.register("guided_cutmix", source="code of OFBD, local energy")
def guided_cutmix(*, alpha: float = 1.0, prob: float = 0.5, power: float = 1.0) -> GuidedCutMix:
    """CMO whose rectangle lies about the place of the pasted image to which the network answers most strongly."""
    return GuidedCutMix(prob=prob, alpha=alpha, power=power, first=0, last=0)


@MIXINGS.register("glmc", source="Du et al. 2023, section 3.2; its code")
def glmc(*, alpha: float = 1.0, prob: float = 1.0, power: float = 0.2, per_sample: bool = False) -> GlobalLocal:
    """Mixup of one view and CutMix of another, with one partner, drawn by a power of the class frequency."""
    return GlobalLocal(prob=prob, per_sample=per_sample, alpha=alpha, power=power)


@MIXINGS.register("cutout", source="DeVries and Taylor 2017; awabs section 2.3.2")
def cutout(*, scale: float = 0.5, prob: float = 1.0) -> CutOut:
    """A square of the mean colour in every image; labels stay."""
    return CutOut(prob=prob, scale=scale)


@MIXINGS.register("cut_thumbnail", source="Xie et al. 2021, self thumbnail; awabs section 2.3.4")
def cut_thumbnail(*, scale: float = 0.5, prob: float = 0.8, per_sample: bool = False) -> CutThumbnail:
    """The image itself, smaller, pasted into it; labels stay."""
    return CutThumbnail(prob=prob, per_sample=per_sample, scale=scale)


@MIXINGS.register("mixed_thumbnail", source="Xie et al. 2021, mixed single thumbnail")
def mixed_thumbnail(
    *, scale: float = 0.5, prob: float = 0.8, own_share: float = 0.75, per_sample: bool = False
) -> MixedThumbnail:
    """Another image of the batch, smaller, pasted in; a fixed share of its label."""
    return MixedThumbnail(prob=prob, per_sample=per_sample, scale=scale, own_share=own_share)
