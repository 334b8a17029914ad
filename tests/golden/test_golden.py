"""The hand-written samples give the expected files, byte for byte, and come back from an export the same."""

import importlib.util
from pathlib import Path

import pytest

from asl_kit.annotations import read_annotations
from asl_kit.annotations.conversion import convert, converter_names
from asl_kit.annotations.export import export

SPEC = importlib.util.spec_from_file_location("regenerate", Path(__file__).with_name("regenerate.py"))
regenerate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(regenerate)


def test_every_converter_has_a_sample():
    assert {name.partition("--")[0] for name in regenerate.SAMPLES} == set(converter_names())


@pytest.mark.parametrize("name", regenerate.SAMPLES)
def test_sample_is_converted_as_expected(tmp_path, name):
    regenerate.convert_sample(name, tmp_path)
    for result in regenerate.RESULTS:
        assert (tmp_path / result).read_bytes() == (regenerate.GOLDEN / name / "expected" / result).read_bytes()


@pytest.mark.parametrize("name", regenerate.SAMPLES)
def test_export_to_activitynet_comes_back_the_same(tmp_path, name):
    file, exported, back = (tmp_path / name for name in ("annotations.json", "activitynet.json", "back.json"))
    regenerate.convert_sample(name, tmp_path)
    assert export(read_annotations(file), exported, layout="activitynet") == []
    convert("activitynet-json", exported, back)
    assert back.read_bytes() == file.read_bytes()
