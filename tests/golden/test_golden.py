"""The hand-written samples give the expected files, byte for byte."""

import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("regenerate", Path(__file__).with_name("regenerate.py"))
regenerate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(regenerate)


def test_every_sample_has_a_converter():
    assert {path.name for path in regenerate.GOLDEN.iterdir() if (path / "raw").is_dir()} == set(regenerate.CONVERTERS)


@pytest.mark.parametrize("name", regenerate.CONVERTERS)
def test_sample_is_converted_as_expected(tmp_path, name):
    regenerate.convert_sample(name, tmp_path)
    for result in regenerate.RESULTS:
        assert (tmp_path / result).read_bytes() == (regenerate.GOLDEN / name / "expected" / result).read_bytes()
