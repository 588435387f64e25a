"""What is known about each named image set before it is read."""

from __future__ import annotations

from dataclasses import dataclass

from ltlib.files import digest

Channels = tuple[float, float, float]

# Cui et al. 2019, LDAM-DRW and most code after them normalise both CIFAR sets with the values of CIFAR-10.
_CIFAR_MEAN, _CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
# The usual values for photographs (ImageNet), where a set has none of its own.
PHOTO_MEAN, PHOTO_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Over the 1,297 training images; the three channels are one.
_DIGITS_MEAN, _DIGITS_STD = (0.3053,) * 3, (0.3759,) * 3

_KRIZHEVSKY = 'A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009'
_DIGITS = 'E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998; the part in scikit-learn'


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about an image set before it is read.

    Attributes:
        name: As `load` takes it.
        num_classes: Number of classes.
        image_size: Height and width in pixels, as trained on.
        train_images, test_images: Images of the full set.
        mean, std: Per channel, of pixels in 0..1.
        digest: Identity of the source, part of a run's identity.
        group_rule: See `class_groups.groups`.
        flips: Whether a mirrored image still is of its class.
        citation: Who made it.
        where: How to get it.
    """

    name: str
    num_classes: int
    image_size: int
    train_images: int
    test_images: int
    mean: Channels
    std: Channels
    digest: str
    group_rule: str
    flips: bool
    citation: str
    where: str


KNOWN = {
    item.name: item
    for item in (
        DatasetInfo(
            name="digits",
            num_classes=10,
            image_size=8,
            train_images=1297,
            test_images=500,
            mean=_DIGITS_MEAN,
            std=_DIGITS_STD,
            digest=digest("digits: scikit-learn, 0b7e9c3202d7; 50 test images per class, split seed 0"),
            group_rule="thirds",
            flips=False,
            citation=_DIGITS,
            where="part of scikit-learn, nothing to get",
        ),
        DatasetInfo(
            name="digits_folder",
            num_classes=10,
            image_size=8,
            train_images=1717,
            test_images=80,
            mean=_DIGITS_MEAN,
            std=_DIGITS_STD,
            digest=digest("digits_folder: scikit-learn, 0b7e9c3202d7; first eight listed images per class to test"),
            group_rule="thirds",
            flips=False,
            citation=_DIGITS,
            where="written from scikit-learn's digits when it is first used",
        ),
        DatasetInfo(
            name="cifar10",
            num_classes=10,
            image_size=32,
            train_images=50_000,
            test_images=10_000,
            mean=_CIFAR_MEAN,
            std=_CIFAR_STD,
            digest=digest("cifar10: cifar-10-python.tar.gz, md5 c58f30108f718f92721af3b95e74349a"),
            group_rule="cuts[sizes=3+4+3]",
            flips=True,
            citation=_KRIZHEVSKY,
            where="ltlib data download cifar10",
        ),
        DatasetInfo(
            name="cifar100",
            num_classes=100,
            image_size=32,
            train_images=50_000,
            test_images=10_000,
            mean=_CIFAR_MEAN,
            std=_CIFAR_STD,
            digest=digest("cifar100: cifar-100-python.tar.gz, md5 eb9058c3a382ffc7106e4002c42a8d85"),
            group_rule="cuts[sizes=36+35+29]",
            flips=True,
            citation=_KRIZHEVSKY,
            where="ltlib data download cifar100",
        ),
        DatasetInfo(
            name="butterfly",
            num_classes=75,
            image_size=64,
            train_images=5_899,
            test_images=600,
            mean=PHOTO_MEAN,
            std=PHOTO_STD,
            digest=digest(
                "butterfly: Kaggle phucthaiv02, 75 classes, 6499 listed; first eight per class to test; 64 pixels"
            ),
            group_rule="thirds",
            flips=True,
            citation="phucthaiv02, Butterfly Image Classification, Kaggle",
            where="download 'Butterfly Image Classification' by phucthaiv02 from Kaggle and unpack it into "
            "the folder butterfly of the data folder (Training_set.csv and train/)",
        ),
    )
}
