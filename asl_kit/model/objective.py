"""The training objective: ActionFormer's two losses weighted by action sensitivity, and the losses of the sensitivity.

``L = L_cls + weight * L_loc + weight * L_s + lambda * L_ASCL`` (Shao et al.,
ICCV 2023), and the loss on a video's classes of the authors' Ego4D code if it has a
weight. With all parts of ASL off, it is ActionFormer's loss. Loss terms of other
packages are added to it: see `asl_kit.model.loss_terms`.

The classes of several vocabularies that are trained together (verb and noun) are
concatenated in the network's outputs. Each vocabulary has its own classification
loss, weighted by h_cls of its class, and its own contrastive loss; both are summed.
p_loc and the target of q_cls are means over the vocabularies. If a segment has no
label in a vocabulary, its points are neither positives nor negatives of that
vocabulary's classes.

Legend: B videos, P points, V vocabularies.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl_kit.model.assignment import UNLABELLED, Targets, Truth, assign
from asl_kit.model.collectives import global_max, global_sum
from asl_kit.model.contrastive import contrastive_loss, region_contrastive_loss
from asl_kit.model.heads import Located
from asl_kit.model.loss_terms import LossContext, WeightedTerm, find_loss_terms
from asl_kit.model.losses import TINY, at_least_float32, end_quality, focal_loss, video_label_loss
from asl_kit.model.network import Output
from asl_kit.model.sensitivity import (
    ClassSensitivity,
    by_vocabulary,
    combine,
    labelled_mean,
    loss_weights,
    quality_loss,
    relative_position,
)
from asl_kit.recipes.schema import Recipe


class Objective(nn.Module):
    """The losses of a batch; holds the class-level Gaussians and the moving average of positives.

    Parameters
    ----------
    recipe : Recipe
        Its `loss`, `sensitivity` and `contrastive` tables.
    classes : sequence of int
        Number of classes of each vocabulary.
    """

    average_positives: Tensor

    def __init__(self, recipe: Recipe, classes: Sequence[int]) -> None:
        super().__init__()
        self.loss, self.sensitivity, self.contrastive = recipe.loss, recipe.sensitivity, recipe.contrastive
        self.classes = list(classes)
        self.register_buffer("average_positives", torch.tensor(float(self.loss.initial_positives)))
        # Kept untrained when the class level is off: the contrastive loss still needs an order of the points.
        as_released = self.sensitivity.mode == "released"
        self.class_sensitivity = ClassSensitivity(sum(classes), as_released=as_released)
        self.class_sensitivity.requires_grad_(self.sensitivity.class_level)
        self.terms = nn.ModuleList(term.make(classes) for term in find_loss_terms(self.loss.terms))

    def forward(self, output: Output, truth: Truth) -> dict[str, Tensor]:
        """Return the losses by name; `total` is to be minimised.

        If several processes train together, the losses of all processes add up to those of the whole batch.

        Parameters
        ----------
        output : Output
            Output of the network.
        truth : Truth
            Ground truth of the batch.
        """
        loss, sensitivity, contrastive = self.loss, self.sensitivity, self.contrastive
        targets = assign(
            output.points,
            output.mask,
            truth,
            classes=sum(self.classes),
            center_radius=loss.center_radius,
            levels=loss.positive_levels,
        )
        positive, known = targets.positive, targets.labels != UNLABELLED
        positives = global_sum(positive.sum()).clamp(min=1)
        if self.training:
            count = positives.to(self.average_positives.dtype)
            self.average_positives.lerp_(count, 1 - loss.positives_momentum)
        # Undefined where not positive; 1 keeps the arithmetic finite.
        true_offsets = torch.where(positive[..., None], targets.offsets, 1.0)
        located = output.reading.locate(output.offsets, output.points.sizes, positive, targets.classes, true_offsets)

        p_cls, p_ends = self._class_level(output, targets, truth)
        class_level = torch.cat((p_cls, p_ends.mean(-1, keepdim=True)), dim=-1)
        instance_level = instance_by_vocabulary = None
        if sensitivity.instance_level and output.sensitivity is not None:
            instance_level = at_least_float32(output.sensitivity)
            instance_by_vocabulary = by_vocabulary(instance_level, len(self.classes))
        h = combine(class_level if sensitivity.class_level else None, instance_by_vocabulary)
        weights = torch.ones_like(class_level)
        if h is not None:
            weights = loss_weights(h, positive, targets.segment, segments=truth.labels.shape[1], mode=sensitivity.mode)

        focal = self._focal(output.logits, targets.classes, self._tiou_weights(located, targets))
        counted = output.mask[..., None] & (known | ~positive[..., None])
        losses = {
            "classification": (focal * weights[..., :-1] * counted).sum() / self.average_positives,
            "localization": (located.loss * weights[..., -1] * positive).sum() / self.average_positives,
        }
        total = losses["classification"] + loss.localization_weight * losses["localization"]

        if h is not None and sensitivity.evaluator_weight:
            probability = at_least_float32(output.logits).sigmoid().gather(2, targets.labels.clamp(min=0))
            if sensitivity.localization_target == "ends":
                p, accuracy = torch.cat((p_cls, p_ends), dim=-1), end_quality(located.offsets, true_offsets)
                of_both = accuracy.mean(-1, keepdim=True)
            else:
                p, accuracy = class_level, located.tiou[..., None]
                of_both = accuracy
            errors = []
            if instance_level is not None:
                quality = torch.cat((labelled_mean(probability, known), of_both), dim=-1)
                errors.append(quality_loss(instance_level, quality, positive, positives))
            if sensitivity.class_level and sensitivity.mode == "quality":
                # Without a label, p is its own target, so its error is 0.
                quality = torch.cat((torch.where(known, probability, p_cls), accuracy), dim=-1)
                errors.append(quality_loss(p, quality, positive, positives))
            if errors:
                losses["sensitivity"] = torch.stack(errors).sum()
                total = total + sensitivity.evaluator_weight * losses["sensitivity"]
        if loss.video_label_weight:
            losses["video_label"] = self._video_label(output, truth) / self.average_positives
            total = total + loss.video_label_weight * losses["video_label"]
        if contrastive.enabled and contrastive.weight:
            losses["contrastive"] = self._contrastive(output, truth, instance_by_vocabulary)
            total = total + contrastive.weight * losses["contrastive"]
        if self.terms:
            context = LossContext(
                output, truth, targets, located.offsets, true_offsets, weights, positives, self.average_positives
            )
            for term in self.loss_terms():
                losses[term.name] = term(context)
                total = total + term.weight * losses[term.name]
        return losses | {"total": total}

    def loss_terms(self) -> list[WeightedTerm]:
        """Return the loss terms of other packages."""
        return [term for term in self.terms if isinstance(term, WeightedTerm)]

    def _focal(self, logits: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Return the focal loss of every point, summed over the classes of each vocabulary: (B, P, V)."""
        losses = []
        for own, wanted in zip(logits.split(self.classes, dim=-1), targets.split(self.classes, dim=-1), strict=True):
            smooth = wanted * (1 - self.loss.label_smoothing) + self.loss.label_smoothing / (wanted.shape[-1] + 1)
            losses.append(focal_loss(own, smooth, alpha=self.loss.focal_alpha, gamma=self.loss.focal_gamma))
        if weights is not None:
            losses = list((torch.cat(losses, dim=-1) * weights).split(self.classes, dim=-1))
        return torch.stack([loss.sum(-1) for loss in losses], dim=-1)

    def _tiou_weights(self, located: Located, targets: Targets) -> Tensor | None:
        """Return the weights of the classification losses (B, P, K), 1 except for a positive's classes; None: all 1."""
        power = self.loss.tiou_weight_power
        if not power:
            return None
        learned = (targets.classes > 0) & targets.positive[..., None]
        # The gradient reaches the offsets too, as in TriDet; that of the power is infinite at 0.
        return torch.where(learned, located.tiou_by_class.clamp(min=TINY), 1.0) ** power

    def _class_level(self, output: Output, targets: Targets, truth: Truth) -> tuple[Tensor, Tensor]:
        """Return p_cls, (B, P, V), and the curves of both ends, (B, P, 2), of every point for its assigned segment."""
        assigned = truth.segments.gather(1, targets.segment[..., None].expand(-1, -1, 2))
        u = torch.where(
            targets.positive, relative_position(output.points.position, assigned[..., 0], assigned[..., 1]), 0.0
        )
        if self.sensitivity.mode != "released":
            return self.class_sensitivity.curves(u, targets.labels)
        p_cls, p_ends = self.class_sensitivity.curves(u / output.points.stride, targets.labels)
        return p_cls, p_ends * labelled_mean(p_cls, targets.labels != UNLABELLED)

    def _video_label(self, output: Output, truth: Truth) -> Tensor:
        """Return the loss on the classes that each video has, summed over videos and classes."""
        logits, mask = output.logits, output.mask
        if global_max(mask.shape[1], mask.device) > mask.shape[1]:  # a point of the padding that the whole batch has
            logits, mask = F.pad(logits, (0, 0, 0, 1)), F.pad(mask, (0, 1))
        labels = torch.where(truth.mask[..., None], truth.labels, UNLABELLED)
        present = output.logits.new_zeros(len(labels), 1 + sum(self.classes), dtype=torch.float32)
        present = present.scatter_(1, labels.flatten(1) + 1, 1.0)[:, 1:]
        # Which classes a video lacks is known only if all its segments have a label.
        unknown = (truth.mask[..., None] & (truth.labels == UNLABELLED)).any(1)  # (B, V)
        is_video = mask.any(1)[:, None]  # the empty sequence of a process without videos is none
        total = []
        for vocabulary, (own, wanted) in enumerate(
            zip(logits.split(self.classes, dim=-1), present.split(self.classes, dim=-1), strict=True)
        ):
            loss = video_label_loss(own, mask, wanted)
            total.append((loss * (is_video & ((wanted > 0) | ~unknown[:, vocabulary, None]))).sum())
        return torch.stack(total).sum()

    def _contrastive(self, output: Output, truth: Truth, instance_level: Tensor | None) -> Tensor:
        length = output.finest.shape[1]
        if self.contrastive.form == "released":
            loss = region_contrastive_loss(
                output.finest,
                truth,
                output.mask[:, :length],
                share=self.contrastive.sensitive_share,
                temperature=self.contrastive.temperature,
            )
            return loss / self.average_positives
        position = output.points.position[:length]
        with torch.no_grad():  # only the order of the points matters
            start, end = truth.segments[..., :1], truth.segments[..., 1:]
            u = relative_position(position, start, end)  # (B, N, T)
            h = self.class_sensitivity(u, truth.labels[:, :, None].expand(*u.shape, -1))  # (B, N, T, V + 1)
            if instance_level is not None:
                finest = instance_level[:, None, :length]
                h = h + finest if self.sensitivity.class_level else finest.expand_as(h)
        return contrastive_loss(
            output.finest,
            h,
            truth,
            output.mask[:, :length],
            share=self.contrastive.sensitive_share,
            temperature=self.contrastive.temperature,
        )
