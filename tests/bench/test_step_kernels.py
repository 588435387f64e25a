"""The table of a step's kernels: kinds by names, sums, and its parts on a CPU with a stand-in recorder."""

from __future__ import annotations

import pytest
import torch
from tyro import cli

from ltlib.bench import step_kernels, workload
from ltlib.bench.step_kernels import Taken, by_kind, kind
from ltlib.cli.measure import Bench
from ltlib.errors import SettingError

CPU = torch.device("cpu")
AT = "void at::native::"
NAMES = {
    "convolution, forward": [
        "sm80_xmma_fprop_implicit_gemm_indexed_bf16bf16_bf16f32_f32_nhwckrsc_nhwc_tilesize128x32x32_stage3_warpsize4x1x1",
        "void cutlass__5x_cudnn::Kernel<cutlass_tensorop_bf16_s16816fprop_optimized_bf16_64x64_32x10_nhwc_align8>",
        "void implicit_convolve_sgemm<float, float, 128, 5, 5, 3, 3, 3, 1, false, false, true>",
        "convolve",
        "aten::mkldnn_convolution",
    ],
    "convolution, input gradient": [
        "sm80_xmma_dgrad_implicit_gemm_indexed_bf16bf16_bf16f32_f32_nhwckrsc_nhwc_tilesize64x32x64_stage5",
        "void cudnn::cnn::dgrad2d_grouped_direct_kernel<float>",
        "input_gradient",
    ],
    "convolution, weight gradient": [
        "sm80_xmma_wgrad_implicit_gemm_indexed_tf32f32_tf32f32_f32_nhwckrsc_nhwc_tilesize128x16x32_stage4",
        "void cutlass__5x_cudnn::Kernel<cutlass_tensorop_s1688wgrad_optimized_tf32_64x64_32x5_nhwc_align4>",
        "void cudnn::cnn::wgrad_alg0_engine<float, 128, 5, 5, 3, 3, 3, false, 512>",
        "weight_gradient",
        "add_parts",
    ],
    "convolution, both gradients": ["aten::mkldnn_convolution_backward", "aten::convolution_backward"],
    "normalisation": [
        f"{AT}batch_norm_collect_statistics_channels_last_kernel<at::native::Var, c10::BFloat16, float, 4>",
        f"{AT}batch_norm_backward_reduce_channels_last_kernel<4, c10::BFloat16, float, float>",
        "void cudnn::bn_fw_tr_1C11_kernel_NCHW<float, float, 512, true, 1, true>",
        "aten::native_batch_norm_backward",
        "statistics",
        "norm_gradient",
    ],
    "elementwise": [
        f"{AT}vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<c10::BFloat16>, std::array<char*, 3ul> >",
        f"{AT}unrolled_elementwise_kernel<at::native::clamp_min_scalar_kernel_impl>",
        "aten::threshold_backward",
        "aten::add_",
        "activate",
        "activation_gradient",
    ],
    "matrix product": [
        "ampere_bf16_s16816gemm_bf16_128x64_ldg8_f2f_stages_64x3_nn",
        "nvjet_tst_64x8_64x16_4x1_v_bz_TNT",
        "aten::addmm",
    ],
    "optimizer": [f"{AT}(anonymous namespace)::multi_tensor_apply_kernel<FusedSgdMathFunctor>", "aten::_fused_sgd_"],
    "copy and layout": [
        "Memcpy DtoD (Device -> Device)",
        "Memset (Device)",
        "void cudnn::ops::nchwToNhwcKernel<float>",
    ],
    "reduction": [
        f"{AT}reduce_kernel<512, 1, at::native::ReduceOp<float>>",
        "aten::_log_softmax",
        "aten::_log_softmax_backward_data",
    ],
    "pooling": [
        f"{AT}(anonymous namespace)::avg_pool2d_out_cuda_frame_nhwc<c10::BFloat16, float, int>",
        "aten::avg_pool2d_backward",
    ],
    "gather": [f"{AT}(anonymous namespace)::indexSelectSmallIndex<unsigned char, long>", "aten::index_select"],
    "other": ["something of nobody's"],
}


@pytest.mark.parametrize(("expected", "name"), [(label, name) for label, names in NAMES.items() for name in names])
def test_a_kernel_is_known_by_its_name(expected: str, name: str) -> None:
    assert kind(name) == expected


def test_every_kind_is_tried_above() -> None:
    assert {label for label, _ in step_kernels.KINDS} | {"other"} == NAMES.keys()


def test_kinds_are_summed_the_largest_first() -> None:
    taken = [Taken("aten::add", 3, 10.0), Taken("my_dgrad", 1, 30.0), Taken("aten::relu", 2, 25.0)]
    found = by_kind(taken)
    assert list(found) == ["elementwise", "convolution, input gradient"]
    assert found["elementwise"] == Taken("elementwise", 5, 35.0)


def test_the_table_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    result = step_kernels.kernels(device="cpu", model="tiny", rounds=1)
    assert result["own"] is None
    assert set(result["kinds"]) >= {
        "convolution, forward",
        "convolution, both gradients",
        "normalisation",
        "elementwise",
    }
    assert result["kinds"]["convolution, forward"]["count"] == 7, "of a ResNet-8"
    assert result["microseconds"] == pytest.approx(sum(each["microseconds"] for each in result["kinds"].values()))
    assert result["milliseconds"]["eager"] > 0
    said = capsys.readouterr().out
    assert "convolution, both gradients" in said
    assert "100%" in said


def test_recorded_steps_and_evaluations_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The part that a GPU runs, with a recorder that repeats what it is given."""

    class Repeats:
        records = 0

        def renew(self) -> None:
            raise AssertionError("nothing moves")

        def attempt(self, body):
            body()

        def record(self, body):
            Repeats.records += 1
            return body

    work = workload.workload("tiny", epochs=1)
    found = step_kernels.side_by_side(work, CPU, 1, (1, 2), Repeats)
    assert list(found) == ["recorded, 1 at once", "recorded, 2 at once"]
    assert Repeats.records == 2
    found |= step_kernels.evaluations(step_kernels.Training(work, CPU), 1, Repeats())
    assert list(found)[2:] == ["evaluation, eager", "evaluation, recorded"]
    assert Repeats.records == 2 + 1, "500 images are four equal batches"
    assert all(value > 0 for value in found.values())


def test_what_cannot_be_measured_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingError, match="needs a CUDA device, and none is here"):
        cli(Bench, args=["step", "--device", "cuda"]).run()
    with pytest.raises(SettingError, match="--device cuda or cpu, not 'tpu'"):
        step_kernels.kernels(device="tpu")
    with pytest.raises(SettingError, match="bench run has no setting device"):
        cli(Bench, args=["run", "--device", "cuda"]).run()
    with pytest.raises(SettingError, match="a round at least"):
        step_kernels.kernels(device="cpu", rounds=0)
