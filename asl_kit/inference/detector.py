"""Trained networks applied to a video of any length: detections in seconds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from asl_kit.base.console import progress_bar
from asl_kit.checkpoint.ensemble import Ensemble
from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.split import VideoItem
from asl_kit.detections.table import JOINT, Detections, DetectionTables
from asl_kit.grid import FeatureGrid
from asl_kit.inference.averaging import Member, average
from asl_kit.inference.batches import plan_batches, run_together
from asl_kit.inference.suppression import suppress
from asl_kit.inference.windows import WholeOutput, run_whole
from asl_kit.model.decoding import Candidates, decode, decode_combinations, split_combination
from asl_kit.recipes.schema import InferenceRecipe
from asl_kit.torch_utils.device import choose_precision, one_thread, use_device

THREADS_FROM = 2**20
"""Numbers in a layer of the network, features times channels, from which a CPU computes it in several threads.

Threads wait for each other after every operation; if a core is busy with something else, for a time slice of the
system. Measured in one thread and in two, on two cores that other processes kept busy: 18 videos of 192 features with
64 channels, 18 and 206 ms a video; their candidates, suppression and voting, which always take one thread, 31 and 280
ms. The larger the layer, the less is lost: one video of 2,336 features with 512 channels, 3.4 and 7.8 s.
"""


class Detector:
    """Trained networks and everything that decides what they detect, given the features of a video.

    Parameters
    ----------
    members : sequence of Member
        One network, or several whose outputs are averaged: see `asl_kit.inference.averaging.average`.
    vocabularies : mapping of str to sequence of str
        Class names by vocabulary, in the order of the networks' outputs.
    settings : InferenceRecipe
        Window length, thresholds, suppression and voting.
    precision : torch.dtype
        bfloat16 and float16 run the network under autocast.
    """

    def __init__(
        self,
        members: Sequence[Member],
        vocabularies: Mapping[str, Sequence[str]],
        settings: InferenceRecipe,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self._members = members
        self._vocabularies = vocabularies
        self._settings = settings
        self._precision = precision
        self._classes = [len(class_names) for class_names in vocabularies.values()]

    @classmethod
    def from_ensemble(cls, ensemble: Ensemble, device: str = "auto") -> Detector:
        """Return the detector that checkpoints describe, on a device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``."""
        chosen = use_device(device)
        recipe, vocabularies = ensemble.recipe, ensemble.outputs
        names = [(name, label) for name, labels in vocabularies.items() for label in labels]
        dims = [spec.feature_dim for spec in ensemble.extraction]
        columns = torch.arange(sum(dims)).split(dims)
        members = []
        for checkpoint, streams, weight in zip(ensemble.checkpoints, ensemble.streams, ensemble.weights, strict=True):
            own = [(name, label) for name, labels in checkpoint.outputs.items() for label in labels]
            members.append(
                Member(
                    checkpoint.build().to(chosen),
                    None if streams == tuple(range(len(dims))) else torch.cat([columns[one] for one in streams]),
                    None if own == names else torch.tensor([names.index(one) for one in own]),
                    weight,
                )
            )
        return cls(members, vocabularies, recipe.inference, choose_precision(recipe.run.precision, chosen))

    @property
    def window_length(self) -> int:
        """Features per window: the recipe's number, or four training sequences and at least 4,096."""
        wanted = self._settings.window_length
        return self._usual_length if wanted == "auto" else wanted

    @property
    def _usual_length(self) -> int:
        return max(4 * max(member.network.max_length for member in self._members), 4096)

    def run(self, features: Sequence[NDArray[np.float32]]) -> WholeOutput:
        """Return the output for the features of whole videos, (T, D) each: one, or several of like length."""
        videos = [torch.from_numpy(each) for each in features]
        outputs = [self._run_member(member, videos) for member in self._members]
        return average(outputs, self._members, sum(self._classes))

    def _run_member(self, member: Member, videos: Sequence[Tensor]) -> WholeOutput:
        network, columns = member.network, member.columns
        if columns is not None:
            videos = [video[:, columns] for video in videos]
        steps = min(sum(map(len, videos)), self.window_length)
        with one_thread(steps * network.position.shape[2] < THREADS_FROM):
            if len(videos) > 1:
                return run_together(network, videos, precision=self._precision)
            return run_whole(network, videos[0], window_length=self.window_length, precision=self._precision)

    def detect(self, features: NDArray[np.float32], grid: FeatureGrid, duration_s: float) -> list[Candidates]:
        """Return the actions in one video, detected in each vocabulary separately.

        Each vocabulary has its own candidates, suppression, voting and number of detections.

        Parameters
        ----------
        features : (T, D) array
            All streams side by side: see `asl_kit.dataset.streams.join_streams`.
        grid : FeatureGrid
            Grid of the features.
        duration_s : float
            Detections are clipped to [0, duration_s).

        Returns
        -------
        list of Candidates
            Detections in each vocabulary, then in their combinations if the settings ask for them (see
            `asl_kit.model.decoding.decode_combinations`); on the CPU, in seconds, highest score first.
        """
        return self._detect([features], [grid], [duration_s])[0]

    def detect_videos(self, items: Sequence[VideoItem], reader: FeatureReader) -> DetectionTables:
        """Return the actions in several videos whose features are stored; those of like length are computed together.

        The detections are those of `detect`, up to rounding, which is that of the network in float32: see
        tests/benchmarks/validation_speed.py.
        """
        found: list[list[Candidates]] = [[]] * len(items)
        # A recipe's long window is for long videos, not for more memory with short ones.
        most = min(self.window_length, self._usual_length)
        networks = [member.network for member in self._members]
        batches = plan_batches([item.grid.length for item in items], networks, most)
        with progress_bar("detecting", len(items)) as bar:
            for batch in batches:
                videos = [items[index] for index in batch]
                detected = self._detect(
                    [reader.read(video.video_id) for video in videos],
                    [video.grid for video in videos],
                    [video.duration_s for video in videos],
                )
                for index, of_video in zip(batch, detected, strict=True):
                    found[index] = of_video
                bar.advance(len(batch))
        return self.tables([item.video_id for item in items], found)

    @torch.inference_mode()
    def _detect(
        self, features: Sequence[NDArray[np.float32]], grids: Sequence[FeatureGrid], durations_s: Sequence[float]
    ) -> list[list[Candidates]]:
        """Return what `detect` returns, for each video of a batch."""
        settings = self._settings
        whole = self.run(features)
        with one_thread():
            kept = suppress(
                self._candidates(whole),
                sigma=settings.nms_sigma,
                min_score=settings.min_score,
                max_detections=settings.max_detections,
                voting_tiou=settings.voting_tiou,
                voting_weight=settings.voting_weight,
                per_class=settings.per_class,
            )
        lists = len(kept) // len(features)
        return [
            [_in_seconds(one, grid, duration_s) for one in kept[video * lists : (video + 1) * lists]]
            for video, (grid, duration_s) in enumerate(zip(grids, durations_s, strict=True))
        ]

    def _candidates(self, whole: WholeOutput) -> Candidates:
        """Return the candidates of each video in each vocabulary, on the CPU: (videos * vocabularies, N)."""
        settings = self._settings
        factor = whole.mask.float()
        if whole.sensitivity is not None:
            factor = factor * whole.sensitivity[..., 0] ** settings.sensitivity_power
        of_vocabularies = whole.logits.split(self._classes, dim=2)
        everywhere = (whole.offsets, factor, whole.points)
        limits: dict[str, Any] = {
            "min_score": settings.min_score if settings.candidate_min_score is None else settings.candidate_min_score,
            "candidates_per_level": settings.candidates_per_level,
            "min_length": settings.min_length_steps,
            "reading": whole.reading,
        }
        firsts = itertools.accumulate(self._classes[:-1], initial=0)
        found = [
            decode(own, *everywhere, **limits, first_class=first)
            for own, first in zip(of_vocabularies, firsts, strict=True)
        ]
        if len(self._classes) > 1 and settings.combined_classes:
            found.append(
                decode_combinations(of_vocabularies, *everywhere, classes_per_point=settings.combined_classes, **limits)
            )
        most = max(one.scores.shape[1] for one in found)
        padded = [
            (F.pad(segments, (0, 0, 0, most - segments.shape[1])), *(F.pad(x, (0, most - x.shape[1])) for x in others))
            for segments, *others in found
        ]
        # Copied to the host once for the whole batch.
        return Candidates(*(torch.stack(column, dim=1).flatten(0, 1).cpu() for column in zip(*padded, strict=True)))

    def tables(self, video_ids: Sequence[str], found: Sequence[Sequence[Candidates]]) -> DetectionTables:
        """Return what `detect` returned for each of several videos as tables."""
        columns = list(zip(*found, strict=True)) or [()] * len(self._classes)
        by_vocabulary = {
            name: _table(video_ids, column, class_names)
            for (name, class_names), column in zip(self._vocabularies.items(), columns, strict=False)
        }
        if len(columns) == len(self._classes):
            return DetectionTables(by_vocabulary)
        combined = columns[-1]
        numbers = torch.cat([one.labels for one in combined]).unique()
        names = [
            JOINT.join(
                class_names[label]
                for class_names, label in zip(
                    self._vocabularies.values(), split_combination(number, self._classes), strict=True
                )
            )
            for number in numbers.tolist()
        ]
        renumbered = [one._replace(labels=torch.searchsorted(numbers, one.labels)) for one in combined]
        return DetectionTables(by_vocabulary, _table(video_ids, renumbered, names))


def _in_seconds(found: Candidates, grid: FeatureGrid, duration_s: float) -> Candidates:
    """Return the detections that last, in seconds."""
    segments_s = torch.from_numpy(grid.to_seconds(found.segments.double().numpy())).clamp(0, duration_s)
    lasting = segments_s[:, 1] > segments_s[:, 0]
    return Candidates(segments_s[lasting], found.scores[lasting], found.labels[lasting])


def _table(video_ids: Sequence[str], found: Sequence[Candidates], class_names: Sequence[str]) -> Detections:
    segments_s = np.concatenate([np.zeros((0, 2)), *(one.segments.numpy() for one in found)])
    return Detections(
        video_ids=tuple(video_ids),
        video=np.repeat(np.arange(len(found)), [len(one.scores) for one in found]).astype(np.int32),
        start_s=segments_s[:, 0],
        end_s=segments_s[:, 1],
        score=np.concatenate([np.zeros(0), *(one.scores.double().numpy() for one in found)]),
        label=np.concatenate([np.zeros(0, np.int32), *(one.labels.int().numpy() for one in found)]),
        class_names=tuple(class_names),
    )
