"""How ids are printed."""

from __future__ import annotations

import pytest

from ltlib.labels import label, network_label, set_label


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("supcon_ce", "SupCon + CE"),
        ("focal[gamma=2]", "Focal (gamma 2)"),
        ("resnet34", "ResNet-34"),
        (
            "resnet34[stem=imagenet;weights=sha256:0123456789abcdef]",
            "ResNet-34 (stem imagenet, weights sha256:01234567)",
        ),
        ("my_loss", "my loss"),
        ("caltech_part@64", "Caltech (part) at 64 pixels"),
        ("folder:photos@64", "folder:photos@64"),
        ("Tuned: 3/4", "Tuned: 3/4"),
    ],
)
def test_label(name: str, text: str) -> None:
    assert label(name) == text


@pytest.mark.parametrize(
    ("dataset", "factor", "text"),
    [
        ("cifar100", 50, "CIFAR-100-LT"),
        ("cifar100", 1, "CIFAR-100"),
        ("cifar10", float("nan"), "CIFAR-10"),  # a table that names no factor
        ("digits", 20, "Digits"),
        ("places_lt", 996, "Places-LT"),
    ],
)
def test_a_long_tailed_cifar_is_called_so(dataset: str, factor: float, text: str) -> None:
    assert set_label(dataset, factor) == text


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("resnet34", "ResNet-34"),
        ("resnet34[stem=imagenet]", "ResNet-34"),
        ("resnet34[weights=none]", "ResNet-34"),
        ("resnet50[stem=imagenet;weights=imagenet1k_v1]", "ResNet-50 from imagenet1k_v1"),
        ("resnet50[weights=sha256:0123456789abcdef;stem=imagenet]", "ResNet-50 from sha256:01234567"),
        ("Tuned: 3/4", "Tuned: 3/4"),
    ],
)
def test_a_network_is_named_with_what_it_began_from(model: str, text: str) -> None:
    assert network_label(model) == text
