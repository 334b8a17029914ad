"""The training objective: ActionFormer's two losses, weighted by action sensitivity, plus what teaches it.

``L = L_cls + weight * L_loc + weight * L_s + lambda * L_ASCL`` (Shao et al.,
ICCV 2023). With all parts of ASL off it is ActionFormer's loss.

Several vocabularies learned together (verb and noun) lie side by side in the
network's outputs. Each has its own classification loss, weighted by h_cls of its
own class, and its own contrastive loss; both are added up. p_loc and the quality
that q_cls learns are means over the vocabularies. Where a segment has no label in
a vocabulary, its points neither are targets of that vocabulary's classes nor
count as their negatives.

Legend: B videos, P points, V vocabularies.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from asl_kit.model.assignment import UNLABELLED, Targets, Truth, assign
from asl_kit.model.collectives import global_sum
from asl_kit.model.contrastive import contrastive_loss
from asl_kit.model.losses import at_least_float32, diou_loss, focal_loss, temporal_iou
from asl_kit.model.network import Output
from asl_kit.model.sensitivity import (
    ClassSensitivity,
    Mode,
    by_vocabulary,
    combine,
    labelled_mean,
    loss_weights,
    quality_loss,
    relative_position,
)


class Objective(nn.Module):
    """The losses of a batch; holds the class-level Gaussians and the moving average of positives.

    Parameters
    ----------
    classes : sequence of int
        Classes of each vocabulary.
    center_radius, focal_alpha, focal_gamma, label_smoothing, localization_weight : float
        See the recipe's `loss` table.
    initial_positives, positives_momentum : float
        Start and momentum of the moving average of positives that both losses are divided by.
    class_level, instance_level : bool
        Which parts of the sensitivity evaluator weigh the losses.
    mode : {"paper", "normalized", "quality"}
        See `loss_weights`.
    evaluator_weight : float
        Weight of L_s.
    contrastive_weight : float
        lambda; 0 switches the contrastive loss off.
    sensitive_share, temperature : float
        delta and tau of the contrastive loss.
    """

    average_positives: Tensor

    def __init__(
        self,
        *,
        classes: Sequence[int],
        center_radius: float = 1.5,
        focal_alpha: float = 0.25,
        focal_gamma: float = 2.0,
        label_smoothing: float = 0.0,
        localization_weight: float = 1.0,
        initial_positives: float = 100.0,
        positives_momentum: float = 0.9,
        class_level: bool = True,
        instance_level: bool = True,
        mode: Mode = "quality",
        evaluator_weight: float = 1.0,
        contrastive_weight: float = 0.3,
        sensitive_share: float = 0.2,
        temperature: float = 0.1,
    ) -> None:
        super().__init__()
        self.classes = list(classes)
        self.center_radius = center_radius
        self.focal_alpha, self.focal_gamma, self.label_smoothing = focal_alpha, focal_gamma, label_smoothing
        self.localization_weight = localization_weight
        self.positives_momentum = positives_momentum
        self.class_level, self.instance_level, self.mode = class_level, instance_level, mode
        self.evaluator_weight = evaluator_weight
        self.contrastive_weight = contrastive_weight
        self.sensitive_share, self.temperature = sensitive_share, temperature
        self.register_buffer("average_positives", torch.tensor(float(initial_positives)))
        # Kept when the class level is off, untrained: the contrastive loss still needs an order of the points.
        self.class_sensitivity = ClassSensitivity(sum(classes)).requires_grad_(class_level)

    def forward(self, output: Output, truth: Truth) -> dict[str, Tensor]:
        """Return the losses by name; `total` is the one to minimise.

        Where several processes train together, each returns its addend of the whole batch's losses.

        Parameters
        ----------
        output : Output
            Of the network, in training mode or not.
        truth : Truth
            Ground truth of the batch.
        """
        targets = assign(output.points, output.mask, truth, classes=sum(self.classes), center_radius=self.center_radius)
        positive, known = targets.positive, targets.labels != UNLABELLED
        positives = global_sum(positive.sum()).clamp(min=1)
        if self.training:
            count = positives.to(self.average_positives.dtype)
            self.average_positives.lerp_(count, 1 - self.positives_momentum)
        # Meaningless where not positive; 1 keeps the arithmetic finite there.
        true_offsets = torch.where(positive[..., None], targets.offsets, 1.0)
        offsets = at_least_float32(output.offsets)

        class_level = self._class_level(output, targets, truth)
        instance_level = instance_by_vocabulary = None
        if self.instance_level and output.sensitivity is not None:
            instance_level = at_least_float32(output.sensitivity)
            instance_by_vocabulary = by_vocabulary(instance_level, len(self.classes))
        h = combine(class_level if self.class_level else None, instance_by_vocabulary)
        weights = torch.ones_like(class_level)
        if h is not None:
            weights = loss_weights(h, positive, targets.segment, segments=truth.labels.shape[1], mode=self.mode)

        focal = self._focal(output.logits, targets.classes)
        counted = output.mask[..., None] & (known | ~positive[..., None])
        diou = diou_loss(offsets, true_offsets)
        losses = {
            "classification": (focal * weights[..., :-1] * counted).sum() / self.average_positives,
            "localization": (diou * weights[..., -1] * positive).sum() / self.average_positives,
        }
        total = losses["classification"] + self.localization_weight * losses["localization"]

        if h is not None and self.evaluator_weight:
            probability = at_least_float32(output.logits).sigmoid().gather(2, targets.labels.clamp(min=0))
            overlap = temporal_iou(offsets, true_offsets)[..., None]
            errors = []
            if instance_level is not None:
                quality = torch.cat((labelled_mean(probability, known), overlap), dim=-1)
                errors.append(quality_loss(instance_level, quality, positive, positives))
            if self.class_level and self.mode == "quality":
                # Without a label there is nothing to learn: p is right as it is.
                quality = torch.cat((torch.where(known, probability, class_level[..., :-1]), overlap), dim=-1)
                errors.append(quality_loss(class_level, quality, positive, positives))
            if errors:
                losses["sensitivity"] = torch.stack(errors).sum()
                total = total + self.evaluator_weight * losses["sensitivity"]
        if self.contrastive_weight:
            losses["contrastive"] = self._contrastive(output, truth, instance_by_vocabulary)
            total = total + self.contrastive_weight * losses["contrastive"]
        return losses | {"total": total}

    def _focal(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the focal loss of every point, added up over the classes of each vocabulary: (B, P, V)."""
        losses = []
        for own, wanted in zip(logits.split(self.classes, dim=-1), targets.split(self.classes, dim=-1), strict=True):
            smooth = wanted * (1 - self.label_smoothing) + self.label_smoothing / (wanted.shape[-1] + 1)
            losses.append(focal_loss(own, smooth, alpha=self.focal_alpha, gamma=self.focal_gamma).sum(-1))
        return torch.stack(losses, dim=-1)

    def _class_level(self, output: Output, targets: Targets, truth: Truth) -> Tensor:
        """Return p at every point for the segment that it answers for: (B, P, V + 1)."""
        assigned = truth.segments.gather(1, targets.segment[..., None].expand(-1, -1, 2))
        u = relative_position(output.points.position, assigned[..., 0], assigned[..., 1])
        p: Tensor = self.class_sensitivity(torch.where(targets.positive, u, 0.0), targets.labels)
        return p

    def _contrastive(self, output: Output, truth: Truth, instance_level: Tensor | None) -> Tensor:
        length = output.finest.shape[1]
        position = output.points.position[:length]
        with torch.no_grad():  # only the order of the points counts
            start, end = truth.segments[..., :1], truth.segments[..., 1:]
            u = relative_position(position, start, end)  # (B, N, T)
            h = self.class_sensitivity(u, truth.labels[:, :, None].expand(*u.shape, -1))  # (B, N, T, V + 1)
            if instance_level is not None:
                finest = instance_level[:, None, :length]
                h = h + finest if self.class_level else finest.expand_as(h)
        return contrastive_loss(
            output.finest,
            h,
            truth,
            output.mask[:, :length],
            share=self.sensitive_share,
            temperature=self.temperature,
        )
