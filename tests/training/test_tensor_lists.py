"""Many tensors at once: finiteness and copies, against one at a time."""

from __future__ import annotations

import math

import pytest
import torch

from ltlib.training.tensor_lists import Copies, all_finite


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 7, 63])
def test_one_number_that_is_none_is_found(bad: float, place: int) -> None:
    tensors = [torch.zeros(()), torch.ones(3), torch.randn(4, 4, 2, 2).to(memory_format=torch.channels_last)]
    assert bool(all_finite(tensors))
    tensors[2][place // 16, place % 16 // 4, place % 4 // 2, place % 2] = bad
    assert not bool(all_finite(tensors))


def test_the_largest_numbers_are_finite() -> None:
    """A sum or a square of these would not be."""
    most = torch.finfo(torch.float32).max
    assert bool(all_finite([torch.full((1000,), most), torch.full((10,), -most), torch.tensor([5e-324]).float()]))


def test_integers_and_empty_tensors_are_finite() -> None:
    assert bool(all_finite([]))
    assert bool(all_finite([torch.tensor(2**62), torch.zeros(0), torch.ones(2, requires_grad=True)]))
    assert not bool(all_finite([torch.tensor(2**62), torch.tensor(math.nan, dtype=torch.float64), torch.ones(2)]))


def test_copies_are_taken_anew_in_place() -> None:
    kernel = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    tensors = {"kernel": kernel, "count": torch.tensor(3), "sums": torch.ones(3, dtype=torch.float64)}
    copies = Copies()
    copies.take(tensors)
    first = copies.tensors()
    places = {name: own.data_ptr() for name, own in copies._own.items()}
    expected = {name: tensor.clone() for name, tensor in tensors.items()}
    for tensor in tensors.values():
        tensor.add_(1)
    assert all(torch.equal(first[name], expected[name]) for name in tensors), "they are copies"
    assert first["kernel"].is_contiguous()
    copies.take(tensors)
    assert {name: own.data_ptr() for name, own in copies._own.items()} == places
    assert all(torch.equal(copies.tensors()[name], tensors[name]) for name in tensors)
    assert copies.tensors()["count"].dtype == torch.int64


def test_copies_follow_names_shapes_and_types() -> None:
    copies = Copies()
    copies.take({"a": torch.ones(2), "b": torch.ones(3)})
    copies.take({"a": torch.zeros(5), "c": torch.ones(3, dtype=torch.float64, requires_grad=True)})
    found = copies.tensors()
    assert sorted(found) == ["a", "c"]
    assert found["a"].tolist() == [0.0] * 5
    assert found["c"].dtype == torch.float64
    assert not found["c"].requires_grad
