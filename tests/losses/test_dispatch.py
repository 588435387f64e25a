"""No loss may wait for the device, or have shapes that depend on data: neither survives a CUDA graph."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ltlib import losses

FORBIDDEN = ("_local_scalar_dense", "item", "nonzero", "masked_select", "one_hot", "unique", "is_nonzero", "equal")


class Recorder(TorchDispatchMode):
    """Writes down every operator, and refuses those that need the data on the host."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.seen.add(name)
        assert name.rstrip("_") not in FORBIDDEN, f"{name} waits for the device or has a data-dependent shape"
        if name.startswith("index"):
            for item in torch.utils._pytree.tree_leaves((args, kwargs)):
                wrong = isinstance(item, torch.Tensor) and item.dtype == torch.bool
                assert not wrong, f"{name} with a boolean index has a data-dependent shape"
        return func(*args, **(kwargs or {}))


CASES = [
    *losses.names(),
    "focal[gamma=0.0]",
    "focal[alpha=inverse_frequency;gamma=0.5]",
    "focal[alpha=0.25]",
    "bce[classes=mean]",
    "class_balanced[base=sigmoid]",
    "class_balanced[base=focal;reduction=weight_sum]",
    "lade[importance=sample;test_prior=training]",
    "loss_equalised[scope=dataset]",
    "loss_equalised[scope=loss]",
    "label_aware_smoothing[spread=all]",
    "deferred[base=equalization]",
]


@pytest.mark.parametrize("text", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_forward_and_backward_stay_on_the_device(text, dtype):
    loss = losses.create(text, [50, 20, 3])
    logits = torch.randn(8, 3).to(dtype).requires_grad_()
    targets = torch.tensor([0, 0, 0, 1, 1, 2, 0, 0])
    with Recorder() as recorder:
        value = loss(logits, targets)
        value.backward()
    assert len(recorder.seen) > 3  # it did record
    assert logits.grad is not None
    with Recorder():
        if not loss.contrastive:
            loss.adjust(logits.detach())
        if loss.mixable:
            loss.mixed(logits, targets, targets.flip(0), torch.full((8,), 0.3))
        loss.set_epoch(1, 10)
        loss.set_epoch(9, 10)


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: torch.nonzero(x),
        lambda x: x.masked_select(x > 0),
        lambda x: float(x.max()),
        lambda x: bool((x > 0).any()),
        lambda x: torch.nn.functional.one_hot((x > 0).long()),
    ],
)
def test_the_recorder_catches_what_it_must(wait):
    with Recorder(), pytest.raises(AssertionError, match="data-dependent"):
        wait(torch.randn(5))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("text", CASES)
def test_a_captured_graph_replays_what_the_eager_loss_computes(text):
    loss = losses.create(text, [50, 20, 3]).cuda()
    logits = torch.zeros(8, 3, device="cuda", requires_grad=True)
    targets = torch.zeros(8, dtype=torch.int64, device="cuda")
    noise = (torch.full((8, 3), 0.5, device="cuda"),) if loss.noise else ()

    def step():
        value = loss(logits, targets, *noise)
        return value, torch.autograd.grad(value, logits)[0]

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    for epoch, seed in ((1, 0), (10, 1)):
        loss.set_epoch(epoch, 10)  # in place: the captured step must see it
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            logits.copy_(torch.randn(8, 3, generator=generator))
            targets.copy_(torch.randint(3, (8,), generator=generator))
        graph.replay()
        for ours, eager in zip(captured, step(), strict=True):
            torch.testing.assert_close(ours, eager)
