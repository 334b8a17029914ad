"""What two specs differ in, in words, and the names packed in a spec."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.support import make_spec

DIFFERENCES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "number": ({"stride_frames": 4}, {"stride_frames": 8}, ["stride_frames: 4 against 8"]),
    "own rate": ({}, {"fps": 25.0}, ["fps: each video's own against 25.0"]),
    "unknown hash": ({"weights_sha256": "ab"}, {}, ["weights_sha256: 'ab' against not known"]),
    "unknown weights": ({"weights": ""}, {"weights": "w.pt"}, []),
}


@pytest.mark.parametrize(("ours", "theirs", "lines"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_differences(ours: dict[str, Any], theirs: dict[str, Any], lines: list[str]) -> None:
    assert make_spec(**ours).differences(make_spec(**theirs)) == lines


def test_names() -> None:
    spec = make_spec(decoder="nvdec (torchcodec 0.8)", flow="raft_large, 12 iterations")
    assert (spec.decoder_name, spec.flow_method, spec.is_imported) == ("nvdec", "raft_large", False)
    assert (make_spec().flow_method, make_spec(backbone="imported").is_imported) == ("", True)
