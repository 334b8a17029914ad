"""Small videos for `asl-kit demo`: jointed figures that perform actions that differ only in their motion.

A video shows one or two figures in front of a dim studio with discs that drift
and bounce. Each figure performs some actions; between them it stands, sways,
fidgets, or holds a pose of an action. Colours, sizes, positions, sides and
durations have the same distributions for every class, so none of them reveals
the action, and a still pose is not an action.

Figures are light, and the studio is close to the grey that backbones subtract: a
network with random weights has not learned to ignore backgrounds, and colourful
walls would dominate its features.

Planning is pure (`plan_video`), drawing is pure (`render_frames`), and only
`write_video` and `write_demo_videos` touch files.

Examples
--------
>>> plan = plan_video("one", seed=0, split="train")
>>> plan == plan_video("one", seed=0, split="train")
True
>>> next(render_frames(plan)).shape
(120, 160, 3)
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asl_kit.base.files import atomic_write, write_text
from asl_kit.demo.motions import MOTIONS, REST, Pose
from asl_kit.errors import UsageError

Color = tuple[float, float, float]
Point = tuple[float, float]
Image = NDArray[np.float32]

HEIGHT, WIDTH = 120, 160
"""Frame size in pixels. The figures stay in the middle square, to which backbones crop."""
FPS = 15
"""Frames per second."""
DURATION_RANGE_S = (30.0, 38.0)
"""Shortest and longest video."""
ACTION_RANGE_S = (2.0, 5.0)
"""Shortest and longest action, the same for every class."""
REST_RANGE_S = (0.8, 2.5)
"""Shortest and longest pause between the acts of a figure."""
DISTRACTION_SHARE = 0.25
"""Share of a figure's acts that are not actions."""
GREY: Color = (0.43, 0.40, 0.38)
"""Colour of the studio: about the mean of Kinetics, which torchvision's video networks subtract."""
LIGHT: Color = (0.89, 0.89, 0.89)
"""Colour of the figures; each part gets a random tint."""
BLEND_S = 0.25
"""Duration of the transition from rest into an action, and back."""


HOLD = "(hold)"
"""A pose of some action, held still: not an action."""
FIDGET = "(fidget)"
"""Small irregular movements of the arms: not an action."""


# --- plans -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Act:
    """One act of a figure, in [start_s, end_s)."""

    name: str
    """A key of `MOTIONS`, `HOLD` or `FIDGET`."""
    start_s: float
    end_s: float
    cycles: int
    mirrored: bool
    held: Pose = REST
    """The pose of a `HOLD`."""

    def pose(self, time_s: float) -> Pose:
        """Return the figure's pose at a time inside the act."""
        if self.name == HOLD:
            pose = self.held
        elif self.name == FIDGET:
            pose = Pose(
                left_shoulder=-0.3 + 0.25 * math.sin(7.1 * time_s) * math.sin(1.3 * time_s),
                left_elbow=0.4 * math.sin(5.3 * time_s + 1) ** 2,
                right_shoulder=0.3 + 0.25 * math.sin(6.3 * time_s + 2) * math.sin(1.7 * time_s),
                right_elbow=-0.4 * math.sin(4.7 * time_s) ** 2,
            )
        else:
            pose = MOTIONS[self.name].pose(self.cycles * (time_s - self.start_s) / (self.end_s - self.start_s))
        return pose.mirrored() if self.mirrored else pose


@dataclass(frozen=True)
class Actor:
    """One figure: its appearance and its acts. Lengths are fractions of the frame's height; `x` is from the middle."""

    x: float
    ground: float
    height: float
    limb: float
    skin: Color
    shirt: Color
    trousers: Color
    sway_hz: float
    sway_phase: float
    acts: tuple[Act, ...]

    def pose(self, time_s: float) -> Pose:
        """Return the pose at a time, including idle sway."""
        angle = 2 * math.pi * self.sway_hz * time_s + self.sway_phase
        sway = Pose(
            left_shoulder=REST.left_shoulder + 0.08 * math.sin(1.7 * angle),
            right_shoulder=REST.right_shoulder + 0.08 * math.sin(1.3 * angle),
            turn=0.03 * math.sin(angle),
        )
        drift = 0.06 * math.sin(0.4 * angle)
        for act in self.acts:
            if act.start_s <= time_s < act.end_s:
                ramp = min(1.0, (time_s - act.start_s) / BLEND_S, (act.end_s - time_s) / BLEND_S)
                sway = sway.blend(act.pose(time_s), ramp * ramp * (3 - 2 * ramp))
                break
        return sway._replace(shift=sway.shift + drift)


@dataclass(frozen=True)
class Blob:
    """A disc that drifts behind the figures; some bounce. Lengths are fractions of the frame's height."""

    x: float
    y: float
    speed: float
    radius: float
    color: Color
    bounce_hz: float


@dataclass(frozen=True)
class VideoPlan:
    """Everything that is drawn in one video."""

    video_id: str
    split: str
    frames: int
    wall: Color
    floor: Color
    horizon: float
    blobs: tuple[Blob, ...]
    figures: tuple[Actor, ...]

    @property
    def duration_s(self) -> float:
        """Length of the video, in seconds."""
        return self.frames / FPS

    def actions(self) -> list[Act]:
        """Return the actions in order of time, without holds and fidgets."""
        acts = [act for figure in self.figures for act in figure.acts if act.name in MOTIONS]
        return sorted(acts, key=lambda act: (act.start_s, act.end_s, act.name))


def _near(random: np.random.Generator, color: Color, spread: float) -> Color:
    red, green, blue = (part + random.uniform(-spread, spread) for part in color)
    return float(red), float(green), float(blue)


def _plan_acts(random: np.random.Generator, duration_s: float, others: list[Act], with_actions: bool) -> list[Act]:
    """Fill a figure's time with actions and distractions.

    All classes are about equally frequent in a video, and no two figures perform the same class at the same time.
    """
    acts: list[Act] = []
    time_s = random.uniform(0.2, REST_RANGE_S[1])
    while True:
        length_s = random.uniform(*ACTION_RANGE_S)
        start_s, end_s = round(time_s, 2), round(time_s + length_s, 2)
        if end_s > duration_s - 0.2:
            return acts
        busy = {other.name for other in others if other.start_s - 1 < end_s and start_s < other.end_s + 1}
        performed = Counter(act.name for act in [*others, *acts])
        name = min((name for name in MOTIONS if name not in busy), key=lambda name: (performed[name], random.random()))
        tempo = random.uniform(*MOTIONS[name].cycles_per_s)
        act = Act(name, start_s, end_s, max(1, round(tempo * length_s)), bool(random.random() < 0.5))
        if not with_actions or random.random() < DISTRACTION_SHARE:
            held = MOTIONS[name].pose(random.uniform(0.2, 0.8))
            act = replace(act, name=HOLD if random.random() < 0.6 else FIDGET, held=held)
        acts.append(act)
        time_s = end_s + random.uniform(*REST_RANGE_S)


def plan_video(video_id: str, *, seed: int, split: str, with_actions: bool = True) -> VideoPlan:
    """Plan one video.

    Parameters
    ----------
    video_id : str
        Name of the video; id and seed determine everything.
    seed : int
        Seed of the whole set.
    split : str
        Split that the plan records.
    with_actions : bool
        False: the figures only idle, fidget and hold poses.
    """
    random = np.random.default_rng([seed, zlib.crc32(video_id.encode())])
    frames = int(random.integers(int(DURATION_RANGE_S[0] * FPS), int(DURATION_RANGE_S[1] * FPS) + 1))
    wall, floor = _near(random, GREY, 0.008), _near(random, GREY, 0.02)
    blobs = tuple(
        Blob(
            x=float(random.uniform(-0.8, 0.8)),
            y=float(random.uniform(0.1, 0.9)),
            speed=float(random.uniform(-0.12, 0.12)),
            radius=float(random.uniform(0.025, 0.06)),
            color=_near(random, GREY, 0.2),
            bounce_hz=float(random.choice([0.0, random.uniform(0.2, 0.6)])),
        )
        for _ in range(random.integers(2, 5))
    )
    count = 1 if random.random() < 0.4 else 2
    places = [0.0] if count == 1 else [-0.2, 0.2]
    acts: list[Act] = []
    figures = []
    for place in places:
        own = _plan_acts(random, frames / FPS, acts, with_actions)
        acts += own
        figures.append(
            Actor(
                x=float(place + random.uniform(-0.04, 0.04)),
                ground=float(random.uniform(0.88, 0.92)),
                height=float(random.uniform(0.64, 0.72)),
                limb=float(random.uniform(0.042, 0.048)),
                skin=_near(random, LIGHT, 0.1),
                shirt=_near(random, LIGHT, 0.1),
                trousers=_near(random, LIGHT, 0.1),
                sway_hz=float(random.uniform(0.1, 0.3)),
                sway_phase=float(random.uniform(0, 2 * math.pi)),
                acts=tuple(own),
            )
        )
    return VideoPlan(video_id, split, frames, wall, floor, float(random.uniform(0.6, 0.85)), blobs, tuple(figures))


# --- drawing ---------------------------------------------------------------------------------------------------------


def _draw_capsule(image: Image, start: Point, end: Point, radius: float, color: Color) -> None:
    """Draw a thick line with round ends (a disc if both ends are one point), antialiased. Pixels."""
    height, width = image.shape[:2]
    left, right = min(start[0], end[0]) - radius - 1, max(start[0], end[0]) + radius + 2
    top, bottom = min(start[1], end[1]) - radius - 1, max(start[1], end[1]) + radius + 2
    x0, x1 = max(0, int(left)), min(width, int(right))
    y0, y1 = max(0, int(top)), min(height, int(bottom))
    if x0 >= x1 or y0 >= y1:
        return
    x = np.arange(x0, x1, dtype=np.float32)[None, :] - np.float32(start[0])
    y = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(start[1])
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
    distance = np.hypot(x - along * dx, y - along * dy)
    cover = np.clip(radius + 0.5 - distance, 0, 1)[..., None]
    patch = image[y0:y1, x0:x1]
    patch += cover * (np.asarray(color, dtype=np.float32) - patch)


def _draw_figure(image: Image, figure: Actor, pose: Pose) -> None:
    """Draw a figure; its lowest point stands `pose.hop` above its ground."""
    cos, sin = math.cos(pose.turn), math.sin(pose.turn)

    def reach(origin: Point, angle: float, length: float) -> Point:
        return origin[0] + length * math.sin(angle), origin[1] + length * math.cos(angle)

    neck = reach((0.0, 0.0), math.pi, 0.32)
    parts: list[tuple[Point, Point, float, Color]] = []
    for hip, knee in ((pose.left_hip, pose.left_knee), (pose.right_hip, pose.right_knee)):
        middle = reach((0.0, 0.0), hip, 0.24)
        parts.append(((0.0, 0.0), middle, figure.limb * 1.2, figure.trousers))
        parts.append((middle, reach(middle, hip + knee, 0.24), figure.limb, figure.trousers))
    parts.append(((0.0, 0.0), (neck[0], neck[1] + 0.04), figure.limb * 1.9, figure.shirt))
    parts.append(((neck[0], neck[1] - 0.12), (neck[0], neck[1] - 0.12), 0.095, figure.skin))
    for shoulder, elbow in ((pose.left_shoulder, pose.left_elbow), (pose.right_shoulder, pose.right_elbow)):
        middle = reach(neck, shoulder, 0.19)
        parts.append((neck, middle, figure.limb, figure.shirt))
        parts.append((middle, reach(middle, shoulder + elbow, 0.18), figure.limb * 0.85, figure.skin))

    def turned(point: Point) -> Point:
        return point[0] * cos - point[1] * sin, point[0] * sin + point[1] * cos

    placed = [(turned(start), turned(end), radius, color) for start, end, radius, color in parts]
    lowest = max(max(start[1], end[1]) + radius for start, end, radius, _ in placed)
    scale = figure.height * HEIGHT
    origin_x = WIDTH / 2 + figure.x * HEIGHT + pose.shift * scale
    origin_y = figure.ground * HEIGHT - (lowest + pose.hop) * scale
    for start, end, radius, color in placed:
        _draw_capsule(
            image,
            (origin_x + start[0] * scale, origin_y + start[1] * scale),
            (origin_x + end[0] * scale, origin_y + end[1] * scale),
            radius * scale,
            color,
        )


def _backdrop(plan: VideoPlan) -> Image:
    rows = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    wall, floor = (np.asarray(color, dtype=np.float32) for color in (plan.wall, plan.floor))
    image = np.where(rows < plan.horizon, wall * (0.98 + 0.04 * rows), floor * (0.94 + 0.04 * rows))
    return np.broadcast_to(image, (HEIGHT, WIDTH, 3)).astype(np.float32)


def render_frames(plan: VideoPlan, *, start: int = 0) -> Iterator[NDArray[np.uint8]]:
    """Draw the frames of a plan from frame `start` on: uint8 (height, width, 3), RGB."""
    backdrop = _backdrop(plan)
    for frame in range(start, plan.frames):
        time_s = frame / FPS
        image = backdrop.copy()
        for blob in plan.blobs:
            x = (blob.x + blob.speed * time_s + 0.8) % 1.6 - 0.8
            y = blob.y - 0.15 * abs(math.sin(math.pi * blob.bounce_hz * time_s))
            center = (WIDTH / 2 + x * HEIGHT, y * HEIGHT)
            _draw_capsule(image, center, center, blob.radius * HEIGHT, blob.color)
        for figure in plan.figures:
            _draw_figure(image, figure, figure.pose(time_s))
        light = 1 + 0.02 * math.sin(0.5 * time_s + plan.horizon * 20)
        yield np.clip(image * (255 * light), 0, 255).astype(np.uint8)


# --- files -----------------------------------------------------------------------------------------------------------


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], *, fps: int = FPS) -> None:
    """Write frames atomically as an H.264 file in an MP4 container."""
    import av  # slow to import, and only needed here

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        # Equal frames give equal bytes with one thread and without libx264's macroblock tree (with it, 80 runs gave 5
        # different files).
        options = {"crf": "20", "preset": "veryfast", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=Fraction(fps), options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def demo_plans(*, seed: int = 0, train: int = 20, test: int = 8) -> list[VideoPlan]:
    """Plan the demo's videos; every seventh has no action.

    Parameters
    ----------
    seed : int
        Determines everything.
    train, test : int
        Number of videos in each split.
    """
    return [
        plan_video(f"{split}_{index:02d}", seed=seed, split=split, with_actions=index % 7 != 6)
        for split, count in (("train", train), ("test", test))
        for index in range(count)
    ]


def segments_csv(plans: Iterable[VideoPlan]) -> str:
    """Return the table of segments that `asl-kit convert csv` reads; a video without actions has one row."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["video", "start", "end", "label", "split", "duration", "fps"])
    for plan in plans:
        facts = [plan.split, f"{plan.duration_s:.3f}", FPS]
        rows = [[f"{act.start_s:.2f}", f"{act.end_s:.2f}", act.name] for act in plan.actions()]
        writer.writerows([plan.video_id, *row, *facts] for row in rows or [["", "", ""]])
    return table.getvalue()


def write_demo_videos(
    folder: Path, plans: Sequence[VideoPlan], *, on_video: Callable[[VideoPlan], None] | None = None
) -> int:
    """Write ``folder/videos/<id>.mp4`` for each plan, and ``folder/segments.csv``.

    ``folder/plan.sha256`` identifies the plans. Videos that an earlier call with the same plans wrote are kept.

    Parameters
    ----------
    folder : Path
        Absent, empty, or from an earlier call with the same plans.
    plans : sequence of VideoPlan
        The videos to draw.
    on_video : callable, optional
        Called after each video.

    Returns
    -------
    int
        Number of videos written; the others existed.

    Raises
    ------
    UsageError
        If the folder holds anything else. Nothing in it is touched.
    """
    stamp = folder / "plan.sha256"
    digest = hashlib.sha256(repr((HEIGHT, WIDTH, FPS, list(plans))).encode()).hexdigest() + "\n"
    if stamp.is_file():
        if stamp.read_text(encoding="utf-8") != digest:
            raise UsageError(
                f"{folder} holds a demo with other videos (another seed, or another version of asl-kit)",
                hint="name a new folder with --out, or delete this one",
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not a folder of the demo", hint="name a new folder with --out")
    write_text(stamp, digest)
    write_text(folder / "segments.csv", segments_csv(plans))
    written = 0
    for plan in plans:
        path = folder / "videos" / f"{plan.video_id}.mp4"
        if not path.is_file():
            write_video(path, render_frames(plan))
            written += 1
        if on_video is not None:
            on_video(plan)
    return written
