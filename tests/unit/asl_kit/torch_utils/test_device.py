"""Which arithmetic a device is given, and how a process takes one; stand-ins take the place of a GPU."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from asl_kit.torch_utils.device import choose_precision, default_precision, pin_memory, use_device


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[torch.device]]:
    """Pretend that there are two GPUs; return those that became the current device. Restores the use of TF32."""
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    yield current
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch 2.9 calls these settings deprecated
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = True, False


@pytest.mark.parametrize(("name", "index"), [("cuda:1", 1), ("cuda:0", 0), ("cuda", None), ("auto", None)])
def test_a_gpu_that_is_used_is_the_current_one_and_computes_float32(
    name: str, index: int | None, gpus: list[torch.device]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.backends.cuda.matmul.allow_tf32 = True  # as TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1 does
    device = use_device(name)
    assert (device.type, device.index) == ("cuda", index)
    assert gpus == ([] if index is None else [device]), "without a number, the current GPU stays"
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("has_function", [True, False])
def test_a_failure_to_pin_leaves_no_error_behind(has_function: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA keeps the error of a failed call and reports it for the next kernel."""
    calls: list[str] = []

    def register(address: int, size: int, flags: int) -> int:
        calls.append("register")
        return 2  # cudaErrorMemoryAllocation

    library = SimpleNamespace(cudaGetLastError=lambda: calls.append("clear")) if has_function else SimpleNamespace()
    monkeypatch.setattr(torch.cuda, "cudart", lambda: SimpleNamespace(cudaHostRegister=register))
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    pin = pin_memory(torch.device("cuda:1"))
    assert pin is not None
    unpin = pin(np.zeros(16, np.uint8))
    assert calls == (["register", "clear"] if has_function else ["register"])
    unpin()  # nothing to undo


@pytest.mark.skipif(torch.version.cuda is None, reason="a PyTorch without CUDA")
def test_the_loaded_cuda_runtime_can_be_asked_to_forget_its_error() -> None:
    assert hasattr(ctypes.CDLL(None), "cudaGetLastError")


@pytest.mark.parametrize(
    ("avx512_bf16", "amx", "expected"),
    [(False, False, torch.float32), (True, False, torch.bfloat16), (False, True, torch.bfloat16)],
    ids=["neither", "AVX512-BF16", "AMX"],
)
def test_a_cpu_computes_in_bfloat16_where_it_has_instructions_for_it(
    avx512_bf16: bool, amx: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) == expected
    assert choose_precision("float32", cpu) == torch.float32
    assert default_precision(cpu) == "float32", "features are extracted exactly"


def test_a_torch_that_does_not_say_counts_as_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert choose_precision("auto", torch.device("cpu")) == torch.float32
