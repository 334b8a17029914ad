"""The localizer: from features to class logits and boundary offsets at every point of a temporal pyramid.

Legend: B videos in the batch, D feature dimensions, T features, C channels,
K classes, L pyramid levels, P points of all levels together.

Architecture: ActionFormer (Zhang, Wu, Li, ECCV 2022), with the encoders and heads of `asl_kit.model.encoders` and
`asl_kit.model.heads`, plus the two instance branches of Action Sensitivity Learning (Shao et al., ICCV 2023, section
3.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from asl_kit.base.validation import StrictModel
from asl_kit.model.collectives import random_rows
from asl_kit.model.encoders import make_encoder
from asl_kit.model.heads import OFFSETS, Head, PackedPyramid, Reading, make_head
from asl_kit.model.layers import MaskedConv
from asl_kit.recipes.schema import ModelRecipe, Recipe


class Points(NamedTuple):
    """The points of the pyramid, on the grid of level 0."""

    position: Tensor
    """(P,), in features of level 0."""
    stride: Tensor
    """(P,), 2 ** level."""
    shortest: Tensor
    """(P,), lower bound of the regression range, in features of level 0."""
    longest: Tensor
    """(P,), upper bound of the regression range."""
    sizes: tuple[int, ...]
    """Number of points of each level; their sum is P."""


class Output(NamedTuple):
    """The output of the network at every point."""

    logits: Tensor
    """(B, P, K)."""
    offsets: Tensor
    """(B, P, R): the columns of the localization head, of which `reading` reads distances. With the offsets head, R is
    2: distance to start and to end, in strides of the point; 0 or more."""
    mask: Tensor
    """(B, P), False for points in the padding."""
    points: Points
    sensitivity: Tensor | None
    """(B, P, 2): q_cls and q_loc in (0, 1); None without the instance branches."""
    finest: Tensor
    """(B, T, C): pyramid features of level 0."""
    reading: Reading = OFFSETS


class Shape(StrictModel):
    """The part of the network's shape that is derived from the training data, not chosen in the recipe."""

    feature_dims: Annotated[tuple[Annotated[int, Field(ge=1, le=2**20)], ...], Field(min_length=1)]
    """D of each feature stream; the network's input is their concatenation."""
    sequence_length: Annotated[int, Field(ge=1, le=2**24)]
    """Features in a training sequence; the position embedding is interpolated for longer ones."""
    levels: Annotated[int, Field(ge=1, le=10)]
    """Pyramid levels."""


class Localizer(nn.Module):
    """Projection, encoder and heads, with optional instance-level sensitivity branches.

    Parameters
    ----------
    recipe : Recipe
        Its `model` table, and `instance_level` and `detached` of its `sensitivity` table.
    shape : Shape
        The shape derived from the training data; its `levels` takes the place of the recipe's `pyramid_levels`.
    classes : int
        K.
    """

    feature_mean: Tensor
    feature_scale: Tensor
    position: Tensor
    level_ranges: Tensor

    def __init__(self, recipe: Recipe, shape: Shape, classes: int) -> None:
        super().__init__()
        model, levels, width = recipe.model, shape.levels, recipe.model.width
        self.feature_dims = shape.feature_dims
        self.levels, self.classes = levels, classes
        self.max_length = shape.sequence_length
        self.padding = model.padding
        self.drop_path = model.drop_path
        self.input_noise = model.input_noise
        total = sum(self.feature_dims)
        self.register_buffer("feature_mean", torch.zeros(total))
        self.register_buffer("feature_scale", torch.ones(total))

        self.streams = nn.ModuleList()
        if len(self.feature_dims) > 1:
            stream_widths = model.stream_widths or _equal_shares(width, len(self.feature_dims))
            self.streams.extend(
                MaskedConv(dim, stream_width, 1)
                for dim, stream_width in zip(self.feature_dims, stream_widths, strict=True)
            )
            total = width
        self.projection = nn.ModuleList()
        self.projection_norms = nn.ModuleList()
        for layer in range(model.projection_layers):
            self.projection.append(MaskedConv(total if layer == 0 else width, width, 3, bias=False))
            self.projection_norms.append(nn.LayerNorm(width))

        position = torch.zeros(1, 0, width)
        if model.position_embedding:
            position = _sinusoids(self.max_length, width) / width**0.5
        self.register_buffer("position", position, persistent=False)

        encoder = make_encoder(model, levels)
        self.stem, self.branch = nn.ModuleList(encoder.stem), nn.ModuleList(encoder.branch)
        self.padding_multiple, self.in_windows = encoder.multiple, encoder.in_windows
        self.pyramid_norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(levels))

        self.classification_head = Head(
            width,
            classes,
            layers=model.head_layers,
            hidden=model.head_width,
            kernel=model.head_kernel,
            prior=model.class_prior,
        )
        self.localization_head = make_head(model, classes)
        self.offset_scale = nn.Parameter(torch.ones(levels))
        self.register_buffer("level_ranges", _level_ranges(levels, model), persistent=False)
        # Phi_cls and Phi_loc of the paper: light branches with one hidden layer, a quarter as wide.
        self.detached_branches = recipe.sensitivity.detached
        hidden, instance_level = max(width // 4, 1), recipe.sensitivity.instance_level
        self.classification_sensitivity = Head(width, 1, layers=2, hidden=hidden) if instance_level else None
        self.localization_sensitivity = Head(width, 1, layers=2, hidden=hidden) if instance_level else None
        # Steps to either side that a convolution of the heads sees, at least 1.
        self._margin = max(1, *(head.margin for head in self._heads()))

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of all layers below the heads."""
        encoder = (self.streams, self.projection, self.projection_norms, self.stem, self.branch, self.pyramid_norms)
        return [parameter for module in encoder for parameter in module.parameters()]

    def set_feature_scale(self, mean: Tensor, std: Tensor) -> None:
        """Set the statistics of the training features, each (D,), that standardise the input."""
        self.feature_mean.copy_(mean)
        self.feature_scale.copy_(1 / std.clamp(min=1e-6))

    def padded_length(self, length: int) -> int:
        """Return the length to which a sequence of `length` features must be padded.

        "spare": a multiple of the coarsest stride with at least one spare step of the coarsest level, and as many as
        a convolution of the heads sees to one side. Every video is then followed by padding on every level, and its
        output does not depend on other videos in the batch.

        "full": `max_length`; longer sequences, a multiple of what the encoder says, for attention its longest block
        in features. ActionFormer and TriDet were trained like this: their outputs at the end of a video, or
        everywhere with position embedding or sgp, depend on the padding.
        """
        if self.padding == "full":
            multiple = self.padding_multiple
            return self.max_length if length <= self.max_length else -(-length // multiple) * multiple
        coarsest: int = 2 ** (self.levels - 1)
        return (-(-length // coarsest) + self._margin) * coarsest

    @property
    def reach(self) -> int | None:
        """Number of features on either side that an output depends on; None: all, if a block of the encoder does."""
        reach = len(self.projection)
        strides = [1] * len(self.stem) + [2**level for level in range(len(self.branch))]
        for block, stride in zip((*self.stem, *self.branch), strides, strict=True):
            if block.reach is None:
                return None
            reach += block.reach * stride
        coarsest: int = 2 ** (self.levels - 1)
        return reach + max(head.reach for head in self._heads()) * coarsest

    def _heads(self) -> list[Head]:
        return [module for module in self.modules() if isinstance(module, Head)]

    def forward(self, features: Tensor, mask: Tensor, *, start: int = 0, total: int | None = None) -> Output:
        """Run the network.

        Parameters
        ----------
        features : Tensor
            (B, T, D); T is a `padded_length`, or any multiple of the coarsest stride within a longer sequence.
        mask : Tensor
            (B, T), bool.
        start, total : int, int or None
            Position of the first feature in a longer sequence, and the `padded_length` of this sequence, for its
            position embedding; None: T.

        Raises
        ------
        ValueError
            If T is not a multiple of the coarsest stride.
        """
        if features.shape[1] % 2 ** (self.levels - 1):
            raise ValueError(f"the sequence length {features.shape[1]} is not a multiple of {2 ** (self.levels - 1)}")
        level_mask = mask[..., None]
        x = (features - self.feature_mean) * self.feature_scale
        if self.training and self.input_noise:
            x = x + self.input_noise * torch.randn_like(x)
        x = x * level_mask
        x = self._embed(x, level_mask, start, features.shape[1] if total is None else total)
        kept = iter(self._draw_drop_path(len(x), x.device))
        for block in self.stem:
            x, level_mask = block(x, level_mask, next(kept))
        pyramid, masks = [self.pyramid_norms[0](x)], [level_mask]
        for block, norm in zip(self.branch, self.pyramid_norms[1:], strict=True):
            x, level_mask = block(x, level_mask, next(kept))
            pyramid.append(norm(x))
            masks.append(level_mask)

        points = self.points([level.shape[1] for level in pyramid], features.device)
        packed = PackedPyramid.pack(pyramid, masks, self._margin)
        scale = torch.cat([level.expand(size) for level, size in zip(self.offset_scale, points.sizes, strict=True)])
        outputs = packed.run(self.classification_head, self.localization_head)
        logits, columns = outputs.tensor_split((self.classes,), dim=2)
        offsets = self.localization_head.complete(columns, packed, scale[:, None])
        sensitivity = None
        if self.classification_sensitivity is not None and self.localization_sensitivity is not None:
            seen = packed._replace(x=packed.x.detach()) if self.detached_branches else packed
            sensitivity = seen.run(self.classification_sensitivity, self.localization_sensitivity).sigmoid()
        mask, finest = torch.cat(masks, dim=1).squeeze(2), pyramid[0]
        return Output(logits, offsets, mask, points, sensitivity, finest, self.localization_head.reading)

    def _draw_drop_path(self, videos: int, device: torch.device) -> Iterable[Sequence[Tensor | None]]:
        """Return the factors of the two branches of every block, each (B, 1, 1), as for `ScaledDropPath`."""
        blocks = len(self.stem) + len(self.branch)
        if not self.training or self.drop_path == 0:
            return [(None, None)] * blocks
        keep = 1 - self.drop_path
        return ((random_rows(2 * blocks, videos, device) < keep) / keep).view(blocks, 2, videos, 1, 1)

    def _embed(self, x: Tensor, mask: Tensor, start: int, total: int) -> Tensor:
        if len(self.streams):
            parts = x.split(self.feature_dims, dim=2)
            x = torch.cat([stream(part, mask)[0] for stream, part in zip(self.streams, parts, strict=True)], dim=2)
        for conv, norm in zip(self.projection, self.projection_norms, strict=True):
            x = F.relu(norm(conv(x, mask)[0]))
        if self.position.shape[1]:
            x = x + self._positions(start, x.shape[1], total) * mask
        return x

    def _positions(self, start: int, steps: int, total: int) -> Tensor:
        """Return the embedding of steps ``[start, start + steps)`` of `total`: (1, steps, C).

        For sequences longer than the table, the table is stretched by linear interpolation with
        ``align_corners=False``.
        """
        table, length = self.position, self.position.shape[1]
        if total <= length:
            return table[:, start : start + steps]
        index = torch.arange(start, start + steps, dtype=torch.float64, device=table.device)
        index = ((index + 0.5) * (length / total) - 0.5).clamp(0, length - 1)
        low = index.floor().long()
        share = (index - low).to(table.dtype)[:, None]
        return torch.lerp(table[:, low], table[:, (low + 1).clamp(max=length - 1)], share)

    def points(self, sizes: Sequence[int], device: torch.device | None = None) -> Points:
        """Return the points of a pyramid whose levels have these sizes.

        Point i of level l is at feature ``i * 2 ** l``: the kernel of a
        convolution of stride 2 is centred on every second step.
        """
        # Every level in features of level 0: the beginning of one sequence, of which level l takes every 2 ** l-th.
        finest = torch.arange(max(size << level for level, size in enumerate(sizes)), device=device)
        position = torch.cat([finest[: size << level : 1 << level] for level, size in enumerate(sizes)])
        ranges = [row.expand(size, 3) for row, size in zip(self.level_ranges, sizes, strict=True)]
        stride, shortest, longest = torch.cat(ranges).unbind(1)
        return Points(position.float(), stride, shortest, longest, tuple(int(n) for n in sizes))


def _level_ranges(levels: int, model: ModelRecipe) -> Tensor:
    """Return stride, and lower and upper bound of the regression range, of each level: (L, 3)."""
    first, overlap = model.first_regression_range, model.regression_overlap
    rows = [(2.0**level, first * 2 ** (level - 1) / overlap, first * 2**level) for level in range(levels)]
    ranges = torch.tensor(rows)
    ranges[0, 1], ranges[-1, 2] = 0, math.inf
    return ranges


def _equal_shares(total: int, parts: int) -> list[int]:
    return [total // parts + (part < total % parts) for part in range(parts)]


def _sinusoids(length: int, width: int) -> Tensor:
    """Return the sinusoid position table of "Attention is all you need": (1, length, width)."""
    channel = torch.arange(width, dtype=torch.float64)
    rate = 10000 ** -(2 * (channel // 2) / width)
    angle = torch.arange(length, dtype=torch.float64) * rate[:, None]
    return torch.where((channel % 2 == 0)[:, None], angle.sin(), angle.cos()).float().T[None].contiguous()
