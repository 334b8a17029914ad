"""Checkpoints that are damaged, or that nobody can have trained, are refused before they take memory."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.support import make_spec, write_model

from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.errors import CheckpointError
from asl_kit.torch_utils.saved_tensors import find_unsound, load_saved

Fields = dict[str, Any]
BIAS = "classification_head.last.conv.bias"
UNFIT = "the weights do not fit the recipe"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model.ckpt", make_spec(), position_embedding=True)


def test_a_flipped_bit_is_found(path: Path) -> None:
    """`torch.load` returns another number without a word: it does not compare the checksums that it wrote."""
    value = load_checkpoint(path).weights["offset_scale"]
    content = path.read_bytes()
    place = content.index(struct.pack("<3f", *value.tolist()))
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert torch.load(path, weights_only=True)["weights"]["offset_scale"][0] != value[0]
    with pytest.raises(ValueError, match=r"damaged: '\w+/data/\d+' does not match its checksum"):
        load_saved(path)
    with pytest.raises(CheckpointError, match="not a checkpoint, or damaged"):
        load_checkpoint(path)


class Hostile:
    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("function", [os.system, print, Path], ids=["blocked", "function", "class"])
@pytest.mark.parametrize("as_archive", [True, False], ids=["archive", "pickle"])
def test_a_program_in_a_checkpoint_is_not_run(
    as_archive: bool, function: Callable[..., object], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"weights": Hostile(function, "echo ran")}, path, _use_new_zipfile_serialization=as_archive)
    message = f"^{path}: holds more than tensors and plain values, which is never unpickled: it can run any program$"
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)
    assert "ran" not in capfd.readouterr().out


def change(fields: Fields, table: str, **values: object) -> None:
    fields["recipe"][table] |= values


CASES: dict[str, tuple[Callable[[Fields], object], str]] = {
    "no weights": (lambda fields: fields.pop("weights"), "weights: missing"),
    "weights of text": (lambda fields: fields["weights"].update({BIAS: "x"}), f"weights.{BIAS}: "),
    "not finite": (lambda fields: fields["weights"][BIAS].fill_(torch.nan), f"weights: '{BIAS}' is not a tensor"),
    "sparse": (
        lambda fields: fields["weights"].update({BIAS: fields["weights"][BIAS].to_sparse()}),
        f"weights: '{BIAS}' is not a tensor of finite",
    ),
    "another shape": (lambda fields: fields["weights"].update({BIAS: torch.zeros(7)}), UNFIT),
    "a wider network": (lambda fields: change(fields, "model", width=2**14), UNFIT),
    "too wide a network": (lambda fields: change(fields, "model", width=10**12), "recipe.model.width: "),
    "too deep a network": (lambda fields: change(fields, "model", head_layers=10**12), "recipe.model.head_layers: "),
    "too many levels": (lambda fields: fields["shape"].update(levels=10**12), "shape.levels: "),
    "too long a sequence": (lambda fields: fields["shape"].update(sequence_length=10**12), "shape.sequence_length: "),
    "shape of text": (lambda fields: fields["shape"].update(feature_dims="x"), "shape.feature_dims: "),
    "no classes": (lambda fields: fields.update(vocabularies={"action": []}), "vocabularies.action: "),
    "other streams": (lambda fields: fields.update(extraction=[]), r"of \(\) values, a network for \(4,\)"),
    "too large frames": (
        lambda fields: fields["extraction"][0].update(frame_size=10**6),
        "extraction.0.frame_size: ",
    ),
    "a window before its start": (lambda fields: fields["extraction"][0].update(window_frames=-1), "window_frames: "),
    "provenance of text": (lambda fields: fields.update(provenance="x"), "provenance: "),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), CASES.values(), ids=CASES)
def test_refused(path: Path, damage: Callable[[Fields], object], message: str) -> None:
    fields = torch.load(path, weights_only=True)
    damage(fields)
    torch.save(fields, path)
    with pytest.raises(CheckpointError, match=rf"^{path}: damaged checkpoint: (.|\n)*{message}"):
        load_checkpoint(path)


def test_a_checkpoint_of_one_vocabulary_without_its_name(path: Path) -> None:
    """Before models learned several, files held `class_names`."""
    fields = torch.load(path, weights_only=True)
    names = fields.pop("vocabularies")["action"]
    torch.save(fields | {"class_names": names}, path)
    assert load_checkpoint(path).vocabularies == {"": tuple(names)}
    torch.save(fields | {"class_names": names, "provenance": {"vocabulary": "verb"}}, path)
    assert load_checkpoint(path).vocabularies == {"verb": tuple(names)}


@pytest.mark.parametrize(
    ("tensors", "found"),
    [
        ({"a": torch.ones(2), "b": torch.ones(2, dtype=torch.int64)}, None),
        ({1: torch.ones(2)}, "1"),
        ({"a": torch.ones(2), "b": 3.0}, "'b'"),
        ({"a": torch.tensor([1.0, torch.inf])}, "'a'"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "'a'"),
    ],
    ids=["sound", "a number for a name", "no tensor", "not finite", "complex"],
)
def test_find_unsound(tensors: dict[Any, Any], found: str | None) -> None:
    assert find_unsound(tensors) == found
