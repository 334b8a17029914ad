"""A training run, from annotations and stores to a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from torch import Tensor

from asl_kit.base.console import ProgressBar, err, progress_bar
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.dataset.held_features import HeldFeatures
from asl_kit.dataset.split import feature_statistics
from asl_kit.errors import CheckpointError, TrainingError
from asl_kit.inference.averaging import Member
from asl_kit.inference.detector import Detector
from asl_kit.model.collectives import world_size
from asl_kit.model.loss_terms import find_loss_terms
from asl_kit.model.network import Localizer, Shape
from asl_kit.model.sensitivity import COLLAPSED_SIGMA
from asl_kit.recipes.files import load_recipe
from asl_kit.recipes.schema import Recipe
from asl_kit.remote.address import Place, local_path, path_or_address
from asl_kit.torch_utils.device import choose_precision
from asl_train.checkpoint_writer import CheckpointWriter
from asl_train.derived_shape import derive_shape, shape_table
from asl_train.distributed import gather_objects, is_main_process, training_processes
from asl_train.loggers import Loggers, check_loggers
from asl_train.memory_errors import memory_error_context
from asl_train.optimization import learning_rate
from asl_train.resume import check_start, load_resumable
from asl_train.run_folder import CurveWriter, RunFolder
from asl_train.sequences import TrainingSequences
from asl_train.starting_weights import StartingWeights
from asl_train.trainable_model import StepValues, TrainableModel
from asl_train.training_data import TrainingData, load_training_data
from asl_train.validation import average_map


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training run."""

    checkpoint: Path
    """The checkpoint of the trained model."""
    kept: str
    """Which weights it holds, and why."""
    validation_average_map: float | None
    """Average mAP of these weights on the validation split; None without one."""
    is_main_process: bool
    """Whether this process wrote the files: true in one process of a ``torchrun``."""


def train_model(
    annotations: str | Path,
    features: Place | Sequence[Place],
    out: Place,
    recipe: str | Path | Recipe | None = None,
    *,
    settings: Sequence[str] = (),
    start_from: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
) -> TrainingResult:
    """Train a model, in this process or together with the other processes that ``torchrun`` has started.

    Parameters
    ----------
    annotations : str or Path
        Unified annotations.
    features : path, address or sequence of them
        One feature store, or one for each feature stream.
    out : str or Path
        Folder of the run, the same for all processes; created if absent.
    recipe : str, Path or Recipe, optional
        Name of a built-in recipe, path of a TOML file, or a recipe; None: the defaults.
    settings : sequence of str
        Changes to the recipe: ``optimizer.epochs=20``.
    start_from : str or Path, optional
        A trained model whose weights the run starts from, as far as they fit. A resumed run does not read it again.
    resume : bool
        Resume the run in `out`; the result is that of an uninterrupted run. The number of processes may differ.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:1`, ...; with several processes, `auto` and `cuda` give each its own GPU.

    Returns
    -------
    TrainingResult
        The trained model's checkpoint, which weights it holds, and their validation score.

    Raises
    ------
    RecipeError
        If the recipe or a setting is invalid, or no installed package provides a loss term that it names.
    AnnotationError, StoreError, FeatureError
        If the inputs do not fit together.
    TrainingError
        If a loss is not finite; the message names the videos of the batch. If memory runs out; the message names the
        settings to lower.
    PluginError, MissingDependencyError
        If a loss term of another package fails, or the package of a loss term or a logger cannot be imported.
    CheckpointError
        If `resume` finds a run of another recipe, other data or other starting weights, or nothing of `start_from`
        fits.

    Examples
    --------
    >>> from asl_train.trainer import train_model
    >>> result = train_model("annotations.json", "features.zarr", "run", settings=["optimizer.epochs=1"])
    >>> result.checkpoint
    PosixPath('run/model.ckpt')
    """
    chosen_recipe = load_recipe(recipe, settings)
    stores = [features] if isinstance(features, Place) else features
    out = local_path(out, what="a run")
    with training_processes(device) as chosen, memory_error_context(chosen_recipe, chosen):
        # Both fail before the folder is made and the data are read.
        find_loss_terms(chosen_recipe.loss.terms)
        check_loggers(chosen_recipe.run.loggers)
        with RunFolder(out, resume=resume) as folder:
            resumes = resume and folder.last.exists()
            start = StartingWeights(Path(start_from)) if start_from is not None and not resumes else None
            data = load_training_data(Path(annotations), [path_or_address(store) for store in stores], chosen_recipe)
            trainer = Trainer(data, chosen_recipe, folder, chosen, start)
            if resumes:
                trainer.resume(start_from)
            return trainer.run()


class Trainer:
    """The training loop and its state.

    Parameters
    ----------
    data : TrainingData
        Splits with their features.
    recipe : Recipe
        Recipe of the run.
    folder : RunFolder
        Output folder.
    device : torch.device
        Device of the network.
    start : StartingWeights, optional
        Weights to start from.
    """

    def __init__(
        self,
        data: TrainingData,
        recipe: Recipe,
        folder: RunFolder,
        device: torch.device,
        start: StartingWeights | None = None,
    ) -> None:
        self.data, self.recipe, self.folder = data, recipe, folder
        self.precision = choose_precision(recipe.run.precision, device)
        self.shape: Shape = derive_shape(data.train.items, data.reader.dims, recipe)
        classes = [len(names) for names in data.outputs.values()]
        err().print(shape_table(self.shape, data.train.items, recipe, sum(classes)))

        torch.manual_seed(recipe.run.seed)
        network = Localizer(recipe, self.shape, sum(classes))
        features = HeldFeatures(data.reader, device)
        if recipe.data.standardize and is_main_process():
            mean, std = feature_statistics(features, data.train.items)
            network.set_feature_scale(torch.from_numpy(mean), torch.from_numpy(std))
        network.to(device)
        self.model = TrainableModel(network, recipe, classes, self.precision)
        self.start: dict[str, Any] | None = None
        if start is not None:
            start.load(self.model, data.outputs, data.reader.specs)
            self.start = start.provenance()
        self.model.broadcast()
        self.sequences = TrainingSequences(data.train.items, features, recipe, longest=self.shape.sequence_length)
        self.step = 0
        self.best: float | None = None
        self.kept = "weights of the last epoch"
        self._unread: tuple[int, Sequence[str], StepValues] | None = None
        self._writer = CheckpointWriter()
        self._saved_s = time.monotonic()
        batch, rate = recipe.optimizer.batch_size, recipe.optimizer.learning_rate
        shared = f", shared by {world_size()} processes" if world_size() > 1 else ""
        err().print(f"batches of {batch} videos{shared}; learning rate {rate:g}; {device}, {self.precision}")

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""
        return self.step // len(self.sequences)

    def run(self) -> TrainingResult:
        """Train to the last epoch and return the result.

        Raises
        ------
        TrainingError
            If a loss or gradient is not finite, or the processes do not see the same files.
        """
        if len(set(gather_objects((self.step, self.data.provenance["annotations_sha256"])))) > 1:
            raise TrainingError(
                f"{self.folder.path}: the processes of the run do not see the same files",
                hint="put annotations and --out where all machines can read them",
            )
        epochs, every = self.recipe.optimizer.epochs, self.recipe.run.validate_every
        self._saved_s = time.monotonic()
        with ExitStack() as stack:
            stack.enter_context(self._writer)
            curve = None
            if is_main_process():
                self.folder.keep_curve_until(self.step)
                run = self.recipe.run
                config = self.recipe.model_dump(mode="json")
                loggers = Loggers(run.loggers, self.folder.path, config, self.step)
                curve = stack.enter_context(CurveWriter(self.folder, loggers))
            bar = stack.enter_context(progress_bar("training", epochs * len(self.sequences)))
            bar.advance(self.step)
            if self.start is not None and self.step == 0:
                self._save_last(curve)  # a resumed run does not need the checkpoint that it started from
            while self.epoch < epochs:
                self._train_epoch(curve, bar)
                best_before = self.best
                if self.epoch == epochs or self.epoch % every == 0:
                    scores = self._validate()
                    if scores and curve is not None:
                        curve.add(self.step, self.epoch - 1, scores, group="validation")
                        bar.message(f"epoch {self.epoch}: " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
                if curve is not None and self.recipe.sensitivity.class_level:
                    widths = self.model.objective.class_sensitivity.widths()
                    curve.add(self.step, self.epoch - 1, widths, group="sensitivity")
                # With a new best model, so that what the two checkpoints say of it agrees.
                if self.epoch == epochs or self.best != best_before or self._is_checkpoint_due():
                    self._save_last(curve)
            if self.best is None:
                weights, name = self.model.final_weights()
                self.kept = f"{name} of the last epoch: no validation split to choose by"
                self._save(weights, self.folder.model)
        self._warn_of_collapse()
        return TrainingResult(self.folder.model, self.kept, self.best, is_main_process())

    def _train_epoch(self, curve: CurveWriter | None, bar: ProgressBar) -> None:
        """Train to the end of the epoch; the losses of a step are read after the next step has been started."""
        steps = len(self.sequences)
        epoch, first = divmod(self.step, steps)
        self.model.network.train()
        self.model.objective.train()
        for batch in self.sequences.epoch(epoch, self.model.network.padded_length, first=first):
            rate = learning_rate(self.step, steps_per_epoch=steps, recipe=self.recipe.optimizer)
            values = self.model.train_step(batch, self.step, rate)
            self._read_step(curve, bar)
            self._unread = (self.step, batch.video_ids, values)
            self.step += 1
            bar.advance()
            self._writer.check()
            if self.step % steps and self._is_checkpoint_due():  # at the end of the epoch, validation comes first
                self._read_step(curve, bar)
                self._save_last(curve)
        self._read_step(curve, bar)

    def _read_step(self, curve: CurveWriter | None, bar: ProgressBar) -> None:
        """Record the step whose losses have not been read yet, if there is one."""
        if self._unread is None:
            return
        step, video_ids, unread = self._unread
        self._unread = None
        values = unread.read()
        # With float16, the scaler skips steps whose gradients are not finite and lowers its scale.
        checked = ["total"] if self.precision == torch.float16 else ["total", "gradient_norm"]
        if not all(math.isfinite(values[name]) for name in checked):
            videos = [video_id for ids in gather_objects(video_ids) for video_id in ids]
            what = "gradient" if math.isfinite(values["total"]) else self._faulty_loss(values)
            raise TrainingError(
                f"the {what} is not finite at step {step + 1}: {values}; videos: {', '.join(videos)}",
                hint="lower optimizer.learning_rate, set run.precision=float32, or check the features of these videos",
            )
        epoch = step // len(self.sequences)
        bar.note(f"epoch {epoch + 1}/{self.recipe.optimizer.epochs} loss {values['total']:.3f}")
        if curve is not None:
            rate = learning_rate(step, steps_per_epoch=len(self.sequences), recipe=self.recipe.optimizer)
            curve.add(step + 1, epoch, values | {"learning_rate": rate}, group="train")

    def _faulty_loss(self, values: Mapping[str, float]) -> str:
        """Return which loss is not finite: a loss term, if all losses of asl-kit are finite."""
        packages = {term.name: term.package for term in self.model.objective.loss_terms()}
        faulty = {name for name, value in values.items() if not math.isfinite(value)} - {"total", "gradient_norm"}
        if faulty and faulty <= packages.keys():
            name = min(faulty)
            return f"loss term {name!r} of the package {packages[name]}"
        return "loss"

    def _validate(self) -> dict[str, float]:
        """Score the weights and their moving average; keep them if they are the best so far."""
        if self.data.validation is None:
            return {}
        candidates = {"weights": self.model.network}
        if self.model.average is not None:
            candidates["averaged weights"] = self.model.average.network
        scores = {}
        settings = self.recipe.inference.model_copy(update={"combined_classes": 0})  # combinations are not scored
        for name, network in candidates.items():
            detector = Detector([Member(network.eval())], self.data.outputs, settings, self.precision)
            score = average_map(detector, self.data.validation, self.data)
            scores[f"average mAP of {name}"] = score
            if self.best is None or score > self.best:
                self.best = score
                split = self.data.provenance["validation_split"]
                self.kept = f"{name} of epoch {self.epoch}, average mAP {score:.4f} on split {split!r}"
                self._save(network.state_dict(), self.folder.model)
        return scores

    def _warn_of_collapse(self) -> None:
        if not self.recipe.sensitivity.class_level:
            return
        collapsed = self.model.objective.class_sensitivity.widths()["collapsed curves"]
        if collapsed > 0.5:
            err().print(
                f"warning: {collapsed:.0%} of the class-level sensitivity curves have collapsed to "
                f"{COLLAPSED_SIGMA:g} of a segment's length or less: their weights hardly differ between points. "
                "With sensitivity.mode = paper or released the loss falls as its weights do; try normalized or quality."
            )

    def _is_checkpoint_due(self) -> bool:
        return time.monotonic() - self._saved_s > 60 * self.recipe.run.checkpoint_minutes

    def _save_last(self, curve: CurveWriter | None) -> None:
        self._saved_s = time.monotonic()
        if curve is None:  # not the main process
            return
        curve.flush()
        state = self.model.state() | {"step": self.step, "best": self.best, "kept": self.kept}
        self._save(self.model.final_weights()[0], self.folder.last, state)

    def _save(self, weights: Mapping[str, Tensor], path: Path, training: dict[str, Any] | None = None) -> None:
        if not is_main_process():
            return
        history = {"epoch": self.epoch, "step": self.step, "kept": self.kept, "processes": world_size()}
        if self.start is not None:
            history["start_from"] = self.start
        if terms := self.model.objective.loss_terms():
            history["loss_terms"] = {term.name: term.package for term in terms}
        checkpoint = Checkpoint(
            weights=weights,
            recipe=self.recipe,
            vocabularies=self.data.vocabularies,
            shape=self.shape,
            extraction=tuple(self.data.reader.specs),
            provenance=self.data.provenance | history | {"precision": str(self.precision).removeprefix("torch.")},
            objective=self.model.objective.state_dict(),
            training=training,
        )
        self._writer.save(checkpoint, path)

    def resume(self, start_from: str | Path | None = None) -> None:
        """Restore the state of the last checkpoint in the folder.

        Parameters
        ----------
        start_from : str or Path, optional
            The checkpoint that the run is said to have started from; it may be gone.

        Raises
        ------
        CheckpointError
            If the run used another recipe, or other classes, features, annotations or starting weights, or its state
            is damaged.
        """
        checkpoint, state = load_resumable(self.folder.last, self.recipe, self.data, self.shape)
        self.start = check_start(checkpoint, start_from, self.folder.last)
        steps = self.recipe.optimizer.epochs * len(self.sequences)
        try:
            self.model.load_state(state, checkpoint.objective)
            self.step, self.best, self.kept = state["step"], state["best"], state["kept"]
            if type(self.step) is not int or not 0 <= self.step <= steps:
                raise ValueError(f"step {self.step!r} of {steps}")
            if type(self.best) not in (float, NoneType) or type(self.kept) is not str:
                raise ValueError(f"best {self.best!r}, kept {self.kept!r}")
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError, OverflowError) as fault:
            reason = " ".join(str(fault).split())
            raise CheckpointError(
                f"{self.folder.last}: its training state is damaged: {type(fault).__name__}: {reason}",
                hint=f"{self.folder.model} holds the model so far; to train again, choose another --out",
            ) from fault
        err().print(f"resuming {self.folder.path} after epoch {self.epoch}, step {self.step}")
