"""Which axis is time: inferred once from all files together, or stated by the user."""

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


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of the axes in all files of an import."""

    name: str
    """`time-first` or `channels-first`: (T, D) or (D, T)."""
    dimension: int
    """D."""
    because: str
    """How this was determined, as text."""

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
    """Return a shape reduced to two axes by removing axes of length 1, the last ones first; None if not possible.

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
    """Determine which axis is time.

    If the dimension D is known, the axis of that size is D. Otherwise D is the only axis whose size is the same in
    all files.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shapes of all readable files; at least one.
    dimension : int, optional
        D, if it is known.
    layout : {"time-first", "channels-first"}, optional
        Layout that the user states.

    Raises
    ------
    FeatureError
        If it cannot be determined; the message says which option to give.
    """
    if layout is not None:
        axis = 1 if layout == TIME_FIRST else 0
        common = Counter(shape[axis] for shape in shapes.values()).most_common(1)[0][0]
        return Layout(layout, dimension or common, "as stated")
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
                hint="give another preset, or --dim with the number of values of these features",
            )
        raise FeatureError(
            f"{dimension} values a feature: {time_first} of {len(shapes)} files have the shape (T, {dimension}),"
            f" {channels_first} have ({dimension}, T)",
            hint="give --layout time-first or --layout channels-first",
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
            f"cannot determine which axis is time: {what}",
            hint="give --layout time-first or --layout channels-first, or --dim",
        )
    axis = int(np.argmax([counts.most_common(1)[0][1] for counts in sizes]))
    size, count = sizes[axis].most_common(1)[0]
    odd = next(f"{name} is {shape}" for name, shape in shapes.items() if shape[axis] != size)
    raise FeatureError(
        f"cannot determine which axis is time: no axis has the same size in all {len(shapes)} files;"
        f" axis {axis} has size {size} in {count} of them, but {odd}",
        hint=f"if {size} is the number of values a feature, give --dim {size}: the other files then fail by name",
    )
