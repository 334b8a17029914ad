from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.errors import FeatureError
from asl_kit.feature_import.layout import CHANNELS_FIRST, TIME_FIRST, Layout, find_layout, two_axes


@pytest.mark.parametrize(
    ("shapes", "options", "name", "dimension"),
    [
        pytest.param([(9, 4), (7, 4)], {}, TIME_FIRST, 4, id="same second axis"),
        pytest.param([(4, 9), (4, 7)], {}, CHANNELS_FIRST, 4, id="same first axis"),
        pytest.param([(9, 4)], {"dimension": 4}, TIME_FIRST, 4, id="one file, known dimension"),
        pytest.param([(4, 9)], {"dimension": 4}, CHANNELS_FIRST, 4, id="one file, known dimension first"),
        pytest.param([(9, 4)] * 3, {"dimension": 4}, TIME_FIRST, 4, id="all resized, known dimension"),
        pytest.param([(4, 4), (9, 4)], {"dimension": 4}, TIME_FIRST, 4, id="a square file says nothing"),
        pytest.param([(9, 4), (7, 4), (4, 8)], {"dimension": 4}, TIME_FIRST, 4, id="one file against two"),
        pytest.param([(9, 4), (9, 5)], {"dimension": 4}, TIME_FIRST, 4, id="one of another dimension"),
        pytest.param([(9, 4)] * 2, {"layout": CHANNELS_FIRST}, CHANNELS_FIRST, 9, id="asked for"),
        pytest.param([(9, 4)], {"layout": TIME_FIRST, "dimension": 5}, TIME_FIRST, 5, id="asked for, both"),
    ],
)
def test_finds(shapes: list[tuple[int, int]], options: dict[str, object], name: str, dimension: int) -> None:
    found = find_layout({str(place): shape for place, shape in enumerate(shapes)}, **options)  # type: ignore[arg-type]
    assert (found.name, found.dimension) == (name, dimension)


@pytest.mark.parametrize(
    ("shapes", "dimension", "message"),
    [
        pytest.param({"a": (9, 4)}, None, r"cannot determine which axis is time: the file is \(9, 4\)", id="one"),
        pytest.param({"a": (9, 4), "b": (9, 4)}, None, r"all 2 files are \(9, 4\)", id="all the same"),
        pytest.param(
            {"a": (9, 4), "b": (8, 4), "c": (7, 5)},
            None,
            r"axis 1 has size 4 in 2 of them, but c is",
            id="odd",
        ),
        pytest.param({"a": (9, 4)}, 5, r"no file has 5 values a feature: a is \(9, 4\)", id="another dimension"),
        pytest.param({"a": (4, 4)}, 4, r"0 of 1 files have the shape \(T, 4\), 0 have \(4, T\)", id="square"),
        pytest.param({"a": (4, 9), "b": (9, 4)}, 4, r"1 of 2 files have the shape \(T, 4\), 1 have", id="as many"),
    ],
)
def test_refuses_to_guess(shapes: dict[str, tuple[int, int]], dimension: int | None, message: str) -> None:
    with pytest.raises(FeatureError, match=message) as fault:
        find_layout(shapes, dimension=dimension)
    assert fault.value.hint


sizes = st.integers(1, 50)


@given(st.lists(sizes, min_size=2, max_size=8).filter(lambda times: len(set(times)) > 1), sizes, st.booleans())
def test_files_of_different_lengths_decide(times: list[int], dimension: int, channels_first: bool) -> None:
    shapes = {
        str(place): (dimension, time) if channels_first else (time, dimension) for place, time in enumerate(times)
    }
    found = find_layout(shapes)
    assert (found.name == CHANNELS_FIRST, found.dimension) == (channels_first, dimension)
    for place, shape in shapes.items():
        values = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
        arranged = found.arrange(values, place)
        assert arranged.shape == (times[int(place)], dimension)
        np.testing.assert_array_equal(arranged if not channels_first else arranged.T, values)


@given(st.tuples(sizes, sizes), st.integers(0, 3), st.integers(0, 3))
def test_axes_of_length_one_go(shape: tuple[int, int], before: int, after: int) -> None:
    found = two_axes((1,) * before + shape + (1,) * after)
    assert found is not None
    assert sorted(found) == sorted(shape)
    if min(shape) > 1:
        assert found == shape


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 4, 2), "expected two axes"),
        ((3,), "expected two axes"),
        ((0, 4), "empty"),
        ((3, 5), r"\(3, 5\), expected \(T, 4\) as in the other files"),
    ],
)
def test_a_file_that_contradicts(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(FeatureError, match=f"^v.npy: .*{message}"):
        Layout(TIME_FIRST, 4, "").arrange(np.zeros(shape), "v.npy")
