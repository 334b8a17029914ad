"""The action sensitive contrastive loss (ASCL).

Source: Shao et al., ICCV 2023, section 3.3. Share and temperature are recipe keys. The authors' Ego4D code holds
another form, switched off: `region_contrastive_loss`.

Legend: B videos, N segments per video, T points of the finest level, C channels,
M segments of the batch that hold at least one point, R regions of a video.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from asl_kit.model.assignment import UNLABELLED, Truth
from asl_kit.model.collectives import addend, gather_rows
from asl_kit.model.losses import at_least_float32

ABSENT = UNLABELLED  # label of a segment without points, which is ignored like one without a label
REGION_BINS = 16  # of the authors' region pooling: it takes a multiple of this number of samples
REGION_GAP = 1.0  # points between a segment and the regions beside it


def inside_segments(truth: Truth, length: int) -> Tensor:
    """Return which points of the finest level are in [start, end) of which segment: (B, N, T), bool."""
    position = torch.arange(length, device=truth.segments.device, dtype=truth.segments.dtype)
    start, end = truth.segments[..., :1], truth.segments[..., 1:]
    return (position >= start) & (position < end) & truth.mask[..., None]


def sensitive_points(h: Tensor, inside: Tensor, share: float) -> Tensor:
    """Return the k = max(1, floor(share * n)) points with the highest h of each segment's n points.

    Parameters
    ----------
    h : Tensor
        (B, N, T).
    inside : Tensor
        (B, N, T), bool. A segment without points has no sensitive points.
    share : float
        delta.

    Returns
    -------
    Tensor
        (B, N, T), bool.
    """
    wanted = _sensitive_count(inside, share)
    ranked = h.masked_fill(~inside, -torch.inf).argsort(dim=2, descending=True, stable=True)
    rank = torch.empty_like(ranked).scatter_(
        2, ranked, torch.arange(h.shape[2], device=h.device).expand_as(ranked).contiguous()
    )
    return (rank < wanted[..., None]) & inside


def background_points(truth: Truth, inside: Tensor, valid: Tensor, share: float) -> Tensor:
    """Return those of the k points before each start and after each end that are in no action: (B, N, T), bool.

    Parameters
    ----------
    truth : Truth
        Ground truth of the batch.
    inside : Tensor
        (B, N, T), from `inside_segments`.
    valid : Tensor
        (B, T), bool: points that belong to the video.
    share : float
        delta, which determines k as in `sensitive_points`.
    """
    position = torch.arange(inside.shape[2], device=inside.device, dtype=truth.segments.dtype)
    count = _sensitive_count(inside, share)[..., None].to(position.dtype)
    start, end = truth.segments[..., :1], truth.segments[..., 1:]
    near = ((position >= start - count) & (position < start)) | ((position >= end) & (position < end + count))
    background = valid & ~inside.any(dim=1)
    return near & background[:, None] & inside.any(dim=2, keepdim=True)


def contrastive_loss(
    features: Tensor, h: Tensor, truth: Truth, valid: Tensor, *, share: float, temperature: float
) -> Tensor:
    """Attract the sensitive features of a class; repel other classes and the background next to actions.

    With several vocabularies, the result is the sum of one loss per vocabulary, each over the segments labelled in it.

    Parameters
    ----------
    features : Tensor
        (B, T, C): the finest level.
    h : Tensor
        (B, N, T, V + 1): sensitivity of every point for every segment, for classification in each vocabulary and for
        localization; only the order within a segment matters.
    truth : Truth
        Ground truth of the batch.
    valid : Tensor
        (B, T), bool.
    share, temperature : float
        delta and tau.

    Returns
    -------
    Tensor
        Scalar; exactly 0 if the batch has no segment with a point.
    """
    inside = inside_segments(truth, features.shape[1])
    present = inside.any(dim=2)  # (B, N)
    features = at_least_float32(features)

    def mean_feature(chosen: Tensor) -> Tensor:
        weight = chosen.to(features.dtype)
        return ((weight / weight.sum(2, keepdim=True).clamp(min=1)) @ features).flatten(0, 1)  # (B * N, C)

    *h_cls, h_loc = h.unbind(-1)
    beside = background_points(truth, inside, valid, share)
    background, has_background = gather_rows(mean_feature(beside)), gather_rows(beside.any(dim=2).flatten())
    f_loc = mean_feature(sensitive_points(h_loc, inside, share))
    losses = []
    for h_vocabulary, labels in zip(h_cls, truth.labels.unbind(-1), strict=True):
        f_cls = mean_feature(sensitive_points(h_vocabulary, inside, share))
        # Segments without points keep their rows, marked as absent: removing them would synchronise with the GPU.
        # Anchors are compared with those of all videos of the batch, including the videos of other processes.
        anchors = gather_rows(torch.cat([f_cls, f_loc]))  # (2 * B * N, C)
        labels = gather_rows(torch.where(present, labels, ABSENT).flatten().repeat(2))
        losses.append(info_nce(anchors, labels, background, has_background, temperature=temperature))
    return addend(torch.stack(losses).sum())


def info_nce(
    anchors: Tensor, labels: Tensor, background: Tensor, has_background: Tensor, *, temperature: float
) -> Tensor:
    """InfoNCE on L2-normalised features, averaged over every anchor's positives.

    For an anchor a and a positive b of its class, with features of other classes
    and the background as negatives:
    ``-log(exp(a.b / tau) / (exp(a.b / tau) + sum over negatives of exp(a.n / tau)))``.

    Parameters
    ----------
    anchors : Tensor
        (A, C).
    labels : Tensor
        (A,), `ABSENT` in rows that are ignored.
    background : Tensor
        (Q, C); Q may be 0.
    has_background : Tensor
        (Q,), bool: rows that are not ignored.
    temperature : float
        tau.

    Returns
    -------
    Tensor
        Scalar: mean over the anchors with a positive; 0 if there are none.
    """
    anchors, background = F.normalize(anchors, dim=1), F.normalize(background, dim=1)
    similarity = anchors @ torch.cat([anchors, background]).T / temperature  # (A, A + Q)
    counts = labels != ABSENT
    same = F.pad(labels[:, None] == labels[None], (0, len(background)))
    ignored = same | ~torch.cat([counts, has_background])
    negative = similarity.masked_fill(ignored, -torch.inf).logsumexp(dim=1, keepdim=True)  # -inf if there is none
    itself = torch.eye(len(anchors), similarity.shape[1], dtype=torch.bool, device=anchors.device)
    positive = same & ~itself & counts[:, None]
    loss = torch.logaddexp(similarity, negative) - similarity  # of every pair, as if it were a positive
    pairs = positive.sum(1)
    per_anchor = loss.masked_fill(~positive, 0).sum(1) / pairs.clamp(min=1)
    return per_anchor.sum() / (pairs > 0).sum().clamp(min=1)


def region_contrastive_loss(
    features: Tensor, truth: Truth, valid: Tensor, *, share: float, temperature: float
) -> Tensor:
    """Contrastive loss of the authors' Ego4D code: fixed regions, positives summed inside the logarithm.

    Each segment has three features, all of length 1: the mean over its middle (from its centre, `share` of its length
    to both sides), the mean of those over its first and its last `share`, and the mean of those over `share` of its
    length before and behind it, at a gap of one point. Shares are of one point at least. The first two are anchors:

    ``-log(sum over b of its class exp(a.b / tau) / sum over all b and background exp(a.b / tau))``

    where b runs over the anchors, and a itself counts with a.a = 0. In the source the labels fit the features only
    if every video has one segment; here they always do.

    Parameters
    ----------
    features : Tensor
        (B, T, C): the finest level.
    truth : Truth
        Ground truth of the batch.
    valid : Tensor
        (B, T), bool.
    share, temperature : float
        delta and tau.

    Returns
    -------
    Tensor
        Scalar: sum over the anchors; exactly 0 if there is none.

    References
    ----------
    JonnyS1226/ego4d_asl at 4ffbce5, get_segment_level_contra_loss in libs/modeling/meta_archs.py.
    """
    length = features.shape[1]
    features = at_least_float32(features) * valid[..., None]
    start, end = truth.segments.unbind(-1)
    reach, center = ((end - start) * share).clamp(min=1), (start + end) / 2
    before, behind = (start - REGION_GAP).clamp(min=0), (end + REGION_GAP).clamp(max=length)
    starts = torch.stack((center - reach, start, end - reach, before - reach, behind), dim=2).flatten(1)
    ends = torch.stack((center + reach, start + reach, end, before, behind + reach), dim=2).flatten(1)
    most = max(2 * share * length, 2.0)  # no region is longer
    means = region_means(starts, ends, length, longest=most).to(features.dtype) @ features
    middle, first, last, left, right = means.unflatten(1, (-1, 5)).flatten(0, 1).unbind(1)  # (B * N, C) each
    anchors = gather_rows(F.normalize(torch.cat((middle, (first + last) / 2)), dim=1))
    background = gather_rows(F.normalize((left + right) / 2, dim=1))
    has_background = gather_rows(truth.mask.flatten())

    similarity = anchors @ torch.cat((anchors, background)).T / temperature
    itself = torch.eye(len(anchors), similarity.shape[1], dtype=torch.bool, device=anchors.device)
    similarity = similarity.masked_fill(itself, 0)  # so that no row is empty, which would make its gradient NaN
    losses = []
    for labels in truth.labels.unbind(-1):
        labels = gather_rows(torch.where(truth.mask, labels, ABSENT).flatten().repeat(2))
        counts = labels != ABSENT
        everything = similarity.masked_fill(~(torch.cat((counts, has_background)) | itself), -torch.inf)
        other = F.pad(labels[:, None] != labels, (0, len(background)), value=True)
        loss = everything.logsumexp(1) - similarity.masked_fill(other, -torch.inf).logsumexp(1)
        losses.append(torch.where(counts, loss, 0).sum())
    return addend(torch.stack(losses).sum())


@torch.no_grad()
def region_means(start: Tensor, end: Tensor, length: int, *, longest: float) -> Tensor:
    """Return the weights of the points whose sum is the mean over each region, as one-dimensional RoIAlign takes it.

    A region is cut to [0, length], and then made at least one point long. Its mean is that of samples at equal
    distances, linear between the points: 16 of them, or the multiple of 16 with which they are a point or less apart.

    Parameters
    ----------
    start, end : Tensor
        (B, R): in points.
    length : int
        T.
    longest : float
        Length of the longest region, which limits the number of samples.

    Returns
    -------
    Tensor
        (B, R, T).
    """
    start, end = start.clamp(0, length), end.clamp(0, length)
    extent = (end - start).clamp(min=1)
    most = math.ceil(longest / REGION_BINS) * REGION_BINS
    count = ((extent / REGION_BINS).ceil() * REGION_BINS).clamp(max=most)[..., None]  # (B, R, 1)
    sample = torch.arange(most, device=start.device)
    place = start[..., None] + (sample + 0.5) * extent[..., None] / count  # (B, R, samples)
    weight = ((sample < count) & (place <= length)) / count
    place = place.clamp(max=length - 1)
    low = place.floor()
    upper = (place - low) * weight
    weights = start.new_zeros(*start.shape, length)
    weights.scatter_add_(2, low.long(), weight - upper)
    return weights.scatter_add_(2, (low.long() + 1).clamp(max=length - 1), upper)


def _sensitive_count(inside: Tensor, share: float) -> Tensor:
    """Return k of every segment, (B, N): at least 1, even for a segment without points."""
    # The small term keeps floor(0.2 * 5) at 1: 0.2 is not exact in binary.
    return (inside.sum(2) * share + 1e-6).floor().clamp(min=1).long()
