"""Our training step beside ActionFormer's, in one run: ``python tests/benchmarks/train_step.py --actionformer CLONE``.

The clone is of https://github.com/happyharrycn/actionformer_release; its code runs as it is, only its compiled
part and what its evaluation imports, which a training step does not use, are left out. It runs in a process of its
own, since ours changes how its process handles memory (`asl_kit.torch_utils.device`), which would speed ActionFormer
up too (``--shared``: in ours, with that). Without ``--actionformer`` only ours are measured.

Networks of THUMOS14's shape: 2,048 dims, 2,304 steps, width 512, 6 levels, windows of 19, 20 classes, 2 videos a
batch, 16 segments a video. A step is forward, losses, backward, clipping, optimizer and moving average. Rounds
alternate, so that other work on the machine meets all alike. Printed: seconds (median and fastest) and the ratio
to ActionFormer in float32, the median over rounds.

- ``--lengths full``: every video 2,304 steps long;
- ``--lengths real``: log-normal lengths (median 1,200, sigma 0.7, cut at 2,304), batches made as training makes
  them; ActionFormer pads every video to 2,304;
- ``--inference``: one video of 2,304 steps to candidates, in place of the step; and ours to detections, with the
  suppression that ActionFormer has in its compiled part;
- ``--before CHECKOUT``: the step of the default recipe, or with ``--inference`` the way to detections, beside that of
  another checkout of asl-kit, for example ``git worktree add ../before COMMIT``; nothing else. Each runs in a process
  of its own;
- ``--tridet CLONE`` in place of ``--actionformer``: https://github.com/dingfengshi/TriDet; ours then also with its
  encoder and head;
- ``--width``: channels of all networks;
- ``--cpu-seconds``: of a process, in place of the time that passes: for a machine that is busy with other work;
- ``--forms``: the step of each form of ASL beside that of the baseline;
- ``--small``: 256 steps of 64 dims, where what does not depend on the encoder weighs most;
- ``--count``: how many operations a step dispatches, in place of its time. Views, which compute nothing, do not count.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from asl_kit.grid import FeatureGrid
from asl_kit.inference.averaging import Member
from asl_kit.inference.detector import Detector
from asl_kit.inference.windows import run_windows
from asl_kit.model.decoding import decode
from asl_kit.model.network import Localizer, Shape
from asl_kit.recipes.files import load_recipe
from asl_kit.torch_utils import device as devices
from asl_kit.torch_utils.device import autocast, choose_precision
from asl_train.sequences import TrainingSequence, collate, plan_batches
from asl_train.trainable_model import TrainableModel

DIMS, LONGEST, LEVELS, CLASSES, SEGMENTS, BATCH = 2048, 2304, 6, 20, 16, 2
SHAPE = Shape(feature_dims=(DIMS,), sequence_length=LONGEST, levels=LEVELS)
BASELINE = ["sensitivity.class_level=false", "sensitivity.instance_level=false", "contrastive.enabled=false"]
ALL = "contrastive.enabled=true"  # the rest of ASL is on by default
RELEASED = ["sensitivity.mode=released", "sensitivity.instance_level=false", "loss.video_label_weight=0.2"]
WHOLE = ["loss.center_radius=segment", "loss.positive_levels=all"]
FORMS = {
    "by default": [],
    "with ends as target": ["sensitivity.localization_target=ends", "optimizer.curve_learning_rate_factor=20"],
    "as published": ["sensitivity.mode=paper", ALL],
    "as published, every point of a segment": ["sensitivity.mode=paper", ALL, *WHOLE],
    "as released": RELEASED,
    "as released, with its contrastive loss": [*RELEASED, ALL, "contrastive.form=released"],
}
# As in TriDet's file for THUMOS14, except that the convolutions do not stay at 0.
TRIDET = {"n_sgp_win_size": 1, "k": 5, "iou_weight_power": 0.2, "init_conv_vars": 0.1}
OUR_TRIDET = [
    "model.encoder=sgp", "model.head=trident", "model.sgp_window_factor=5", "model.padding=full",
    "loss.tiou_weight_power=0.2",
]  # fmt: skip
Work = Callable[[], object]
use_device = getattr(devices, "use_device", devices.choose_device)  # the former is newer than some checkouts


def use_small_shape() -> None:
    """Make the data small."""
    global LONGEST, DIMS, SHAPE
    LONGEST, DIMS = 256, 64
    SHAPE = Shape(feature_dims=(DIMS,), sequence_length=LONGEST, levels=LEVELS)


def make_sequences(lengths: list[int]) -> list[TrainingSequence]:
    """Return random videos of these lengths."""
    sequences = []
    for length in lengths:
        start = torch.rand(SEGMENTS) * (length * 0.9)
        end = (start + 4 + torch.rand(SEGMENTS) * 60).clamp(max=length - 1.0)
        segments = torch.stack((start.clamp(max=length - 3.0), end), dim=1)
        sequences.append(TrainingSequence(torch.randn(length, DIMS), segments, torch.randint(CLASSES, (SEGMENTS, 1))))
    return sequences


def real_lengths(count: int) -> list[int]:
    """Return lengths as in the issue of long and short videos: log-normal, cut."""
    drawn = np.random.default_rng(0).lognormal(np.log(1200), 0.7, count)
    return [int(length) for length in drawn.clip(64, LONGEST)]


def our_step(batches: list[list[TrainingSequence]], device: torch.device, precision: str, settings: list[str]) -> Work:
    """Return one pass of our training step over the batches."""
    recipe = load_recipe(None, settings)
    network = Localizer(recipe, SHAPE, CLASSES).to(device)
    model = TrainableModel(network, recipe, [CLASSES], choose_precision(precision, device))
    collated = [collate(batch, [""] * len(batch), network.padded_length) for batch in batches]
    network.train()
    model.objective.train()

    def step() -> None:
        for number, batch in enumerate(collated):
            model.train_step(batch, number, 1e-4).read()

    return step


def our_inference(video: Tensor, device: torch.device, precision: str, *, whole: bool) -> Work:
    """Return the way of one video to candidates, or the `whole` way to detections."""
    recipe = load_recipe(None, BASELINE)
    network = Localizer(recipe, SHAPE, CLASSES).to(device).eval()
    grid = FeatureGrid.from_windows(fps=30.0, window_frames=16, stride_frames=4, length=len(video))
    dtype, settings = choose_precision(precision, device), recipe.inference
    if whole:
        detector = Detector([Member(network)], {"action": [str(label) for label in range(CLASSES)]}, settings, dtype)
        return lambda: detector.detect(video.cpu().numpy(), grid, 1e4)

    def candidates() -> None:
        for _, output in run_windows(network, video, window_length=4096, precision=dtype):
            decode(
                output.logits,
                output.offsets,
                output.mask,
                output.points,
                min_score=settings.min_score,
                candidates_per_level=settings.candidates_per_level,
                min_length=settings.min_length_steps,
            )

    return candidates


class OperationCounter(TorchDispatchMode):
    """Counts the operations that torch dispatches, forward and backward, except views and the profiler's marks."""

    NOT_COUNTED = ("aten::detach", "aten::_unsafe_view", "profiler::")
    count = 0

    def __torch_dispatch__(  # numpydoc ignore=GL08
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += not (func.is_view or func.name().startswith(self.NOT_COUNTED))
        return func(*args, **kwargs or {})


def count_operations(work: Work) -> int:
    """Return how many operations some work dispatches once it is warm."""
    work()
    with OperationCounter() as counter:
        work()
    return counter.count


class Peer:
    """ActionFormer or TriDet, from its clone."""

    def __init__(
        self, clone: Path, device: torch.device, precision: str, *, tridet: bool = False, width: int = 512
    ) -> None:
        sys.path.insert(0, str(clone))
        # What it imports, and a step does not use.
        absent = {"nms_1d_cpu": (), "pandas": (), "joblib": ("Parallel", "delayed")}
        for name, attributes in absent.items():
            sys.modules[name] = types.ModuleType(name)
            for attribute in attributes:
                setattr(sys.modules[name], attribute, None)
        from libs.core.config import load_default_config
        from libs.modeling import make_meta_arch
        from libs.utils import ModelEma, make_optimizer

        for name in absent:
            del sys.modules[name]
        defaults = load_default_config()
        model = dict(
            defaults["model"],
            input_dim=DIMS,
            num_classes=CLASSES,
            max_seq_len=LONGEST,
            **dict.fromkeys(("embd_dim", "fpn_dim", "head_dim"), width),
            **(TRIDET | {"sgp_mlp_dim": width * 3 // 2} if tridet else {"n_mha_win_size": 19}),
            train_cfg=dict(defaults["train_cfg"], init_loss_norm=100, clip_grad_l2norm=1.0, dropout=0.0, droppath=0.1),
            test_cfg=dict(
                defaults["test_cfg"], voting_thresh=0.7, pre_nms_topk=2000, max_seg_num=2000, min_score=0.001
            ),
        )
        self.device, self.dtype = device, choose_precision(precision, device)
        self.network = make_meta_arch("TriDet" if tridet else "LocPointTransformer", **model).to(device)
        self.optimizer = make_optimizer(
            self.network, {"type": "AdamW", "momentum": 0.9, "weight_decay": 0.05, "learning_rate": 1e-4}
        )
        self.average = ModelEma(self.network)

    def step(self, batches: list[list[TrainingSequence]]) -> Work:
        """Return one pass of its training step over the batches."""
        videos = [
            [
                {
                    "video_id": "v",
                    "feats": sequence.features.T.contiguous(),
                    "segments": sequence.segments,
                    "labels": sequence.labels[:, 0],
                    "fps": 30.0,
                    "duration": 1e4,
                    "feat_stride": 4,
                    "feat_num_frames": 16,
                }
                for sequence in batch
            ]
            for batch in batches
        ]
        self.network.train()

        def step() -> None:
            for batch in videos:
                self.optimizer.zero_grad(set_to_none=True)
                with autocast(self.device, self.dtype):
                    losses = self.network(batch)
                losses["final_loss"].backward()
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
                self.optimizer.step()
                self.average.update(self.network)
                losses["final_loss"].item()

        return step

    def inference(self, video: Tensor) -> Work:
        """Return the way of one video to candidates; its compiled suppression is not counted."""
        item = {
            "video_id": "v",
            "feats": video.T.contiguous(),
            "fps": 30.0,
            "duration": 1e4,
            "feat_stride": 4,
            "feat_num_frames": 16,
        }
        self.network.eval()
        self.network.postprocessing = lambda results: results  # suppression is in its compiled part

        def run() -> None:
            with torch.no_grad(), autocast(self.device, self.dtype):
                self.network([item])

        return run


def peer_name(options: argparse.Namespace) -> str:
    """Return the name of the program that ours is measured beside."""
    return "TriDet" if options.tridet else "ActionFormer"


def peer_works(options: argparse.Namespace, batches: list[list[TrainingSequence]]) -> dict[str, Work]:
    """Return the work of the other program in each precision."""
    device = use_device(options.device)  # in float32, without TF32 as ours
    works = {}
    for precision in options.precision:
        clone, is_tridet = options.tridet or options.actionformer, options.tridet is not None
        peer = Peer(clone, device, precision, tridet=is_tridet, width=options.width)
        video = batches[0][0].features
        works[f"{peer_name(options)}, {precision}"] = peer.inference(video) if options.inference else peer.step(batches)
    return works


def serve_peer(options: argparse.Namespace, batches: list[list[TrainingSequence]], pipe: Connection) -> None:
    """Do the other program's work in this process when asked to, and say how many seconds it took."""
    if options.threads:
        torch.set_num_threads(options.threads)
    use_clock(options)
    works = peer_works(options, batches)
    while name := pipe.recv():
        pipe.send(timed(works[name], torch.device(options.device)))


def serve(options: argparse.Namespace) -> None:
    """Do what `compare` times, with the code of the checkout on the path, for each line on stdin."""
    device, (precision,) = use_device(options.device), options.precision
    sequences = make_sequences([LONGEST] * BATCH)
    if options.inference:
        work = our_inference(sequences[0].features, device, precision, whole=True)
    else:
        work = our_step([sequences], device, precision, [])
    for _ in sys.stdin:
        print(timed(work, device), flush=True)


def compare(options: argparse.Namespace) -> None:
    """Print the seconds that two checkouts take in turns, and the ratio."""
    for precision in options.precision:
        processes = []
        for root in (options.before, Path(__file__).parents[2]):
            folders = [str(root), *(str(root / name) for name in ("extract", "train", "evaluate"))]
            words = [sys.executable, __file__, "--serve", "--device", options.device, "--precision", precision]
            words += ["--inference"] * options.inference
            words += ["--threads", str(options.threads)] if options.threads else []
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
            processes.append(subprocess.Popen(words, **pipes))
        rounds = []
        for _ in range(options.rounds + 1):
            seconds = []
            for process in processes:
                process.stdin.write("\n")
                process.stdin.flush()
                seconds.append(float(process.stdout.readline()))
            rounds.append(seconds)
        for process in processes:
            process.stdin.close()
            process.wait()
        rounds = rounds[1:]  # the first round warms up
        before_s, after_s = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(after / before for before, after in rounds)
        print(
            f"{precision}: before {before_s:.3f} s, this tree {after_s:.3f} s, ratio {ratio:.3f}, medians over rounds"
        )


def use_clock(options: argparse.Namespace) -> None:
    """Choose what `timed` counts."""
    global clock
    clock = time.process_time if options.cpu_seconds else time.perf_counter


clock = time.perf_counter


def timed(work: Work, device: torch.device) -> float:
    """Return the seconds that some work takes."""
    started_s = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - started_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actionformer", type=Path, metavar="CLONE")
    parser.add_argument("--tridet", type=Path, metavar="CLONE")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--shared", action="store_true", help="run ActionFormer in the process that runs ours")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lengths", choices=["full", "real"], default="full")
    parser.add_argument("--videos", type=int, default=32, help="with --lengths real")
    parser.add_argument("--inference", action="store_true")
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--forms", action="store_true")
    parser.add_argument("--cpu-seconds", action="store_true")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.small:
        use_small_shape()
    use_clock(options)
    torch.manual_seed(0)
    if options.serve or options.before:
        serve(options) if options.serve else compare(options)
        return
    device = use_device(options.device)
    if options.count:
        short = make_sequences([60, 40])  # the count does not depend on lengths
        for precision in options.precision:
            for name, settings in {"off": BASELINE, "as by default": [], "on": [ALL]}.items():
                count = count_operations(our_step([short], device, precision, settings))
                print(f"{precision}, parts of ASL {name}: {count:,} operations a step")
        return
    lengths = [LONGEST] * BATCH if options.lengths == "full" else real_lengths(options.videos)
    sequences = make_sequences(lengths)
    batches = [
        [sequences[place] for place in batch]
        for batch in plan_batches(np.array(lengths), batch_size=BATCH, random=np.random.default_rng(0))
    ]
    measures: dict[str, Callable[[], float]] = {}

    def add(name: str, work: Work) -> None:
        measures[name] = lambda: timed(work, device)

    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    has_peer = options.actionformer or options.tridet
    if has_peer and options.shared:
        for name, work in peer_works(options, batches).items():
            add(name, work)
    elif has_peer:
        context.Process(target=serve_peer, args=(options, batches, theirs), daemon=True).start()
        for precision in options.precision:
            name = f"{peer_name(options)}, {precision}"
            measures[name] = lambda name=name: (ours.send(name), ours.recv())[1]  # type: ignore[misc]
    for precision in options.precision:
        if options.inference:
            video = sequences[0].features
            add(f"ours, {precision}", our_inference(video, device, precision, whole=False))
            add(f"ours to detections, {precision}", our_inference(video, device, precision, whole=True))
        else:
            forms = {"all parts of ASL off": BASELINE} | (FORMS if options.forms else {"all parts of ASL on": [ALL]})
            if options.tridet:
                own = [*OUR_TRIDET, f"model.sgp_mlp_width={options.width * 3 // 2}"]
                forms |= {"sgp and trident, ASL off": [*own, *BASELINE], "sgp and trident, ASL on": [*own, ALL]}
            for name, settings in forms.items():
                settings = [f"model.width={options.width}", *settings]
                add(f"ours, {name}, {precision}", our_step(batches, device, precision, settings))

    seconds: dict[str, list[float]] = {name: [] for name in measures}
    for round_number in range(options.rounds + 1):
        for name, measure in measures.items():
            taken_s = measure()
            if round_number:  # the first round warms up
                seconds[name].append(taken_s)
    ours.send("")
    training = f"training, {len(batches)} steps of {options.lengths} length"
    what = "inference, one video" if options.inference else training
    table = Table(title=f"{what}, on {device}, {torch.get_num_threads()} threads")
    for column in ("", "median s", "fastest s", f"ratio to {next(iter(measures))}"):
        table.add_column(column, justify="left" if not column else "right")
    first = seconds[next(iter(measures))]
    for name, times in seconds.items():
        ratio = statistics.median(mine / its for mine, its in zip(times, first, strict=True))
        table.add_row(name, f"{statistics.median(times):.3f}", f"{min(times):.3f}", f"{ratio:.2f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
