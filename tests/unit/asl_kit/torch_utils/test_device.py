"""Which arithmetic a device is given."""

from __future__ import annotations

import pytest
import torch

from asl_kit.torch_utils.device import choose_precision, default_precision


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
