"""Which axis is time: found out once, for all files together, or asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_kit.errors import FeatureError

TIME_FIRST = "time-first"
CHANNELS_FIRST = "channels-first"
LAYOUTS = (TIME_FIRST, CHANNELS_FIRST)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the values lie in every file of an import.

    Parameters
    ----------
    name : {"time-first", "channels-first"}
        (T, D) or (D, T).
    dimension : int
        D.
    because : str
        How that was found out, for people.
    """

    name: str
    dimension: int
    because: str

    def __str__(self) -> str:
        return f"{self.name}, {self.dimension} values a feature ({self.because})"

    def arrange(self, values: NDArray[Any], place: str) -> NDArray[Any]:
        """Return one file's values as (T, D).

        Raises
        ------
        FeatureError
            If the file contradicts the layout, or holds no features.
        """
        shape = two_axes(values.shape)
        if shape is None:
            raise FeatureError(f"{place}: the shape is {values.shape}, expected two axes")
        if 0 in shape:
            raise FeatureError(f"{place}: empty: the shape is {values.shape}")
        values = values.reshape(shape)
        features = values if self.name == TIME_FIRST else values.T
        if features.shape[1] != self.dimension:
            letters = "(T, {})" if self.name == TIME_FIRST else "({}, T)"
            raise FeatureError(
                f"{place}: the shape is {values.shape}, expected {letters.format(self.dimension)} as in the other files"
            )
        return features


def two_axes(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Return a shape without axes of length 1 until two are left, those at the end going first; or None.

    Examples
    --------
    >>> two_axes((1, 90, 2048)), two_axes((1, 2048, 1, 1)), two_axes((90, 2, 2048))
    ((90, 2048), (1, 2048), None)
    """
    axes = list(shape)
    while len(axes) > 2 and axes[-1] == 1:
        axes.pop()
    while len(axes) > 2 and 1 in axes:
        axes.remove(1)
    return (axes[0], axes[1]) if len(axes) == 2 else None


def find_layout(
    shapes: Mapping[str, tuple[int, int]], *, dimension: int | None = None, layout: str | None = None
) -> Layout:
    """Decide which axis is time.

    By the known dimension, if there is one: the axis that has it. Else by the files: the axis whose
    size is the same in all of them is D, if there is just one such axis.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Of every file that can be read; one or more.
    dimension : int, optional
        D, if it is known.
    layout : {"time-first", "channels-first"}, optional
        What the user says.

    Raises
    ------
    FeatureError
        If it cannot be decided; the message says what to give.
    """
    if layout is not None:
        axis = 1 if layout == TIME_FIRST else 0
        common = Counter(shape[axis] for shape in shapes.values()).most_common(1)[0][0]
        return Layout(layout, dimension or common, "as asked for")
    if dimension is not None:
        return _by_dimension(shapes, dimension)
    return _by_common_size(shapes)


def _by_dimension(shapes: Mapping[str, tuple[int, int]], dimension: int) -> Layout:
    time_first = sum(shape[1] == dimension != shape[0] for shape in shapes.values())
    channels_first = sum(shape[0] == dimension != shape[1] for shape in shapes.values())
    if time_first == channels_first:
        name, shape = next(iter(shapes.items()))
        if not any(dimension in shape for shape in shapes.values()):
            raise FeatureError(
                f"no file has {dimension} values a feature: {name} is {shape}",
                hint="another preset, or --dim with what these features have",
            )
        raise FeatureError(
            f"{dimension} values a feature: {time_first} files say (T, {dimension}), {channels_first} say"
            f" ({dimension}, T), {len(shapes)} were looked at",
            hint="say which with --layout time-first or --layout channels-first",
        )
    count = max(time_first, channels_first)
    name = TIME_FIRST if time_first > channels_first else CHANNELS_FIRST
    return Layout(name, dimension, f"that axis has {dimension} in {count} of {len(shapes)} files")


def _by_common_size(shapes: Mapping[str, tuple[int, int]]) -> Layout:
    sizes = [Counter(shape[axis] for shape in shapes.values()) for axis in (0, 1)]
    same = [axis for axis in (0, 1) if len(sizes[axis]) == 1]
    if len(same) == 1:
        axis = same[0]
        name = TIME_FIRST if axis == 1 else CHANNELS_FIRST
        return Layout(name, next(iter(sizes[axis])), f"the only axis of the same size in all {len(shapes)} files")
    if same:
        shape = next(iter(shapes.values()))
        what = f"the file is {shape}" if len(shapes) == 1 else f"all {len(shapes)} files are {shape}"
        raise FeatureError(
            f"which axis is time cannot be told: {what}",
            hint="say it with --layout time-first or --layout channels-first, or give --dim",
        )
    axis = int(np.argmax([counts.most_common(1)[0][1] for counts in sizes]))
    size, count = sizes[axis].most_common(1)[0]
    odd = next(f"{name} is {shape}" for name, shape in shapes.items() if shape[axis] != size)
    raise FeatureError(
        f"which axis is time cannot be told: no axis has the same size in all {len(shapes)} files;"
        f" axis {axis} has {size} in {count} of them, but {odd}",
        hint=f"if {size} is the number of values a feature, give --dim {size}: the others then fail by name",
    )
