"""A training run, from annotations and stores to a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asl_kit.checkpoint import Checkpoint, Shape, build_network, load_checkpoint, save_checkpoint
from asl_kit.data import Split, feature_statistics
from asl_kit.detection import detect_videos, resolve_window_length
from asl_kit.device import autocast, choose_device, choose_precision
from asl_kit.errors import CheckpointError, TrainingError
from asl_kit.extraction_spec import ExtractionSpec
from asl_kit.metrics import ScoredSegments, Segments, average_precision
from asl_kit.model.network import Localizer
from asl_kit.model.objective import Objective
from asl_kit.progress import err, progress_bar
from asl_kit.recipe import Recipe
from asl_train.inputs import TrainingData, load_training_data
from asl_train.optimization import averaged, learning_rate, make_optimizer
from asl_train.run_folder import CurveWriter, RunFolder
from asl_train.sequences import Batch, TrainingSequences
from asl_train.shape import derive_shape, shape_table


@dataclass(frozen=True)
class TrainingResult:
    """What a run ended with."""

    checkpoint: Path
    """The checkpoint for use."""
    kept: str
    """Which weights it holds, and why."""
    validation_average_map: float | None
    """Of those weights; None without a validation split."""


def train_model(
    annotations: Path,
    features: Sequence[Path],
    out: Path,
    recipe: Recipe,
    *,
    resume: bool = False,
    device: str = "auto",
) -> TrainingResult:
    """Train a model.

    Parameters
    ----------
    annotations : Path
        Unified annotations.
    features : sequence of Path
        Feature stores: one, or several streams.
    out : Path
        Folder of the run.
    recipe : Recipe
        All choices.
    resume : bool
        Go on with the run in `out`; it ends as if it had never been interrupted.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:1`, ...

    Raises
    ------
    AnnotationError, StoreError, FeatureError
        If the inputs do not fit together.
    TrainingError
        If the loss is not finite; names the videos of the batch.
    CheckpointError
        If `resume` meets a run of another recipe or other data.
    """
    folder = RunFolder(out, resume=resume)
    data = load_training_data(annotations, features, recipe)
    trainer = Trainer(data, recipe, folder, choose_device(device))
    if resume and folder.last.exists():
        trainer.resume()
    return trainer.run()


class Trainer:
    """The training loop and its state.

    Parameters
    ----------
    data : TrainingData
        Inputs.
    recipe : Recipe
        All choices.
    folder : RunFolder
        Where to write.
    device : torch.device
        Where to compute.
    """

    def __init__(self, data: TrainingData, recipe: Recipe, folder: RunFolder, device: torch.device) -> None:
        self.data, self.recipe, self.folder, self.device = data, recipe, folder, device
        self.precision = choose_precision(recipe.run.precision, device)
        self.shape: Shape = derive_shape(data.train.items, data.streams.dims, recipe)
        err().print(shape_table(self.shape, data.train.items, recipe, len(data.class_names)))

        torch.manual_seed(recipe.run.seed)
        network = build_network(recipe, self.shape, len(data.class_names))
        if recipe.data.standardize:
            mean, std = feature_statistics(data.streams, data.train.items)
            network.set_feature_scale(torch.from_numpy(mean), torch.from_numpy(std))
        self.network = network.to(device)
        self.objective = make_objective(recipe, len(data.class_names)).to(device)
        self.average = averaged(self.network, recipe.optimizer.ema_decay) if recipe.optimizer.ema_decay else None
        self.optimizer = make_optimizer(nn.ModuleList([self.network, self.objective]), recipe.optimizer)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == torch.float16)
        self.sequences = TrainingSequences(
            data.train.items,
            data.streams,
            batch_size=recipe.optimizer.batch_size,
            longest=self.shape.sequence_length,
            crop_ratio=recipe.data.crop_ratio,
            min_segment_share=recipe.data.min_segment_share,
            seed=recipe.run.seed,
        )
        self.epoch = 0
        self.step = 0
        self.best: float | None = None
        self.kept = "weights of the last epoch"

    def run(self) -> TrainingResult:
        """Train to the last epoch and return what came out."""
        epochs = self.recipe.optimizer.epochs
        self.folder.keep_curve_until(self.step)
        with (
            CurveWriter(self.folder, self.step) as curve,
            progress_bar("training", epochs * len(self.sequences)) as bar,
        ):
            bar.advance(self.step)
            while self.epoch < epochs:
                self.network.train()
                self.objective.train()
                for batch in self.sequences.epoch(self.epoch, self.network.padded_length):
                    losses = self._train_step(batch)
                    self.step += 1
                    curve.add(self.step, self.epoch, losses, group="train")
                    bar.note(f"epoch {self.epoch + 1}/{epochs} loss {losses['total']:.3f}")
                    bar.advance()
                self.epoch += 1
                last = self.epoch == epochs
                if last or self.epoch % self.recipe.run.validate_every == 0:
                    scores = self._validate()
                    if scores:
                        curve.add(self.step, self.epoch - 1, scores, group="validation")
                        bar.message(f"epoch {self.epoch}: " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
                curve.flush()
                save_checkpoint(self._checkpoint(self._final_weights()[0], training=self._state()), self.folder.last)
        if self.best is None:
            weights, self.kept = self._final_weights()
            save_checkpoint(self._checkpoint(weights), self.folder.model)
        return TrainingResult(self.folder.model, self.kept, self.best)

    def _train_step(self, batch: Batch) -> dict[str, float]:
        rate = learning_rate(self.step, steps_per_epoch=len(self.sequences), recipe=self.recipe.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = batch.to(self.device)
        with autocast(self.device, self.precision):
            output = self.network(batch.features, batch.mask)
        losses: dict[str, Tensor] = self.objective(output, batch.truth)
        names = list(losses)
        values = dict(zip(names, torch.stack([losses[name].detach() for name in names]).tolist(), strict=True))
        if not math.isfinite(values["total"]):
            raise TrainingError(
                f"the loss is not finite at step {self.step + 1}: {values}; videos: {', '.join(batch.video_ids)}",
                hint="lower optimizer.learning_rate, set run.precision=float32, or look at these videos' features",
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(losses["total"]).backward()
        self.scaler.unscale_(self.optimizer)
        limit = self.recipe.optimizer.gradient_clip or math.inf
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        values["gradient_norm"] = float(nn.utils.clip_grad_norm_(parameters, limit))
        values["learning_rate"] = rate
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return values

    def _validate(self) -> dict[str, float]:
        """Score the weights and their moving average; keep the better ones if they are the best so far."""
        if self.data.validation is None:
            return {}
        candidates: dict[str, nn.Module] = {"weights": self.network}
        if self.average is not None:
            candidates["averaged weights"] = self.average.module
        scores = {}
        for name, network in candidates.items():
            assert isinstance(network, Localizer)
            network.eval()
            scores[f"average mAP of {name}"] = score = self._average_map(network, self.data.validation)
            if self.best is None or score > self.best:
                self.best = score
                self.kept = f"{name} of epoch {self.epoch}, average mAP {score:.4f} on {self._validation_name}"
                save_checkpoint(self._checkpoint(network.state_dict()), self.folder.model)
        return scores

    @property
    def _validation_name(self) -> str:
        return f"split {self.data.provenance['validation_split']!r}"

    def _average_map(self, network: Localizer, split: Split) -> float:
        detections = detect_videos(
            network,
            split.items,
            self.data.streams,
            class_names=self.data.class_names,
            settings=self.recipe.inference,
            window_length=resolve_window_length(self.recipe.inference, self.shape.sequence_length),
            precision=self.precision,
        )
        segments_s = np.concatenate([item.segments_s for item in split.items])
        truth = Segments(
            video=np.repeat(np.arange(len(split.items)), [len(item.labels) for item in split.items]),
            start_s=segments_s[:, 0],
            end_s=segments_s[:, 1],
            label=np.concatenate([item.labels for item in split.items]),
        )
        found = ScoredSegments(
            video=detections.video,
            start_s=detections.start_s,
            end_s=detections.end_s,
            label=detections.label,
            score=detections.score,
        )
        if not len(truth):
            return 0.0
        precision = average_precision(
            truth, found, num_classes=len(self.data.class_names), tiou_thresholds=self.data.tiou_thresholds
        )
        return float(np.nanmean(precision))

    def _final_weights(self) -> tuple[dict[str, Tensor], str]:
        why = "of the last epoch: no validation split to choose by"
        if self.average is not None:
            return self.average.module.state_dict(), f"averaged weights {why}"
        return self.network.state_dict(), f"weights {why}"

    def _checkpoint(self, weights: dict[str, Tensor], training: dict[str, Any] | None = None) -> Checkpoint:
        return Checkpoint(
            weights=weights,
            recipe=self.recipe,
            class_names=self.data.class_names,
            shape=self.shape,
            extraction=tuple(self.data.streams.specs),
            provenance=self.data.provenance | {"epoch": self.epoch, "step": self.step, "kept": self.kept},
            objective=self.objective.state_dict(),
            training=training,
        )

    def _state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "best": self.best,
            "kept": self.kept,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def resume(self) -> None:
        """Take up the state of the folder's last checkpoint.

        Raises
        ------
        CheckpointError
            If it belongs to another recipe, other classes, features or annotations.
        """
        checkpoint = load_checkpoint(self.folder.last)
        differences = self._differences(checkpoint)
        if differences:
            raise CheckpointError(
                f"{self.folder.last}: this run was started with something else:\n  " + "\n  ".join(differences),
                hint="resume with the same recipe and data, or choose another --out",
            )
        state = checkpoint.training
        if state is None:
            raise CheckpointError(f"{self.folder.last}: holds no training state to resume from")
        self.network.load_state_dict(state["network"])
        self.objective.load_state_dict(dict(checkpoint.objective))
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step, self.best, self.kept = state["epoch"], state["step"], state["best"], state["kept"]
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
        err().print(f"resuming {self.folder.path} after epoch {self.epoch}, step {self.step}")

    def _differences(self, checkpoint: Checkpoint) -> list[str]:
        now = self.recipe.model_dump(mode="json")
        lines = [
            f"recipe {table}.{key}: {value!r} then, {now[table][key]!r} now"
            for table, then in checkpoint.recipe.model_dump(mode="json").items()
            for key, value in then.items()
            if value != now[table][key]
        ]
        if checkpoint.class_names != self.data.class_names:
            lines.append("classes: not the same names in the same order")
        if checkpoint.shape != self.shape:
            lines.append(f"derived shape: {checkpoint.shape} then, {self.shape} now")
        if checkpoint.provenance.get("annotations_sha256") != self.data.provenance["annotations_sha256"]:
            lines.append("annotations: the file has changed")
        lines.extend(_spec_differences(checkpoint.extraction, self.data.streams.specs))
        return lines


def _spec_differences(then: Sequence[ExtractionSpec], now: Sequence[ExtractionSpec]) -> list[str]:
    if len(then) != len(now):
        return [f"features: {len(then)} streams then, {len(now)} now"]
    return [f"features: {line}" for old, new in zip(then, now, strict=True) for line in old.differences(new)]


def make_objective(recipe: Recipe, classes: int) -> Objective:
    """Return the training objective of a recipe."""
    loss, sensitivity, contrastive = recipe.loss, recipe.sensitivity, recipe.contrastive
    return Objective(
        classes=classes,
        center_radius=loss.center_radius,
        focal_alpha=loss.focal_alpha,
        focal_gamma=loss.focal_gamma,
        label_smoothing=loss.label_smoothing,
        localization_weight=loss.localization_weight,
        initial_positives=loss.initial_positives,
        positives_momentum=loss.positives_momentum,
        class_level=sensitivity.class_level,
        instance_level=sensitivity.instance_level,
        mode=sensitivity.mode,
        evaluator_weight=sensitivity.evaluator_weight,
        contrastive_weight=contrastive.weight if contrastive.enabled else 0.0,
        sensitive_share=contrastive.sensitive_share,
        temperature=contrastive.temperature,
    )
