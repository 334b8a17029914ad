"""The motions of the figures of `asl-kit demo`: a pose for every phase of every action.

A motion is a pure function from its phase to the angles of the joints.
`asl_kit.demo.videos` plans and draws the videos.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple


class Pose(NamedTuple):
    """The joints of a figure: angles in radians, distances as fractions of its height.

    Shoulders and hips are measured from straight down, positive to the right of
    the image; elbows and knees from the straight limb. Left and right are those
    of the image.
    """

    left_shoulder: float = -0.15
    left_elbow: float = 0.0
    right_shoulder: float = 0.15
    right_elbow: float = 0.0
    left_hip: float = -0.08
    left_knee: float = 0.0
    right_hip: float = 0.08
    right_knee: float = 0.0
    turn: float = 0.0
    """Rotation of the whole body in the image plane."""
    hop: float = 0.0
    """Height of the lowest point above the ground."""
    shift: float = 0.0
    """Sideways displacement, positive to the right."""

    def blend(self, other: Pose, weight: float) -> Pose:
        """Return the pose at `weight` of the way to `other`."""
        return Pose(*(a + (b - a) * weight for a, b in zip(self, other, strict=True)))

    def mirrored(self) -> Pose:
        """Return the pose seen in a mirror."""
        return Pose(
            left_shoulder=-self.right_shoulder,
            left_elbow=-self.right_elbow,
            right_shoulder=-self.left_shoulder,
            right_elbow=-self.left_elbow,
            left_hip=-self.right_hip,
            left_knee=-self.right_knee,
            right_hip=-self.left_hip,
            right_knee=-self.left_knee,
            turn=-self.turn,
            hop=self.hop,
            shift=-self.shift,
        )


REST = Pose()


def _wave(phase: float) -> Pose:
    """Both arms are up and swing from side to side together."""
    swing = 0.5 * math.sin(2 * math.pi * phase)
    return Pose(
        left_shoulder=-2.2 + swing, left_elbow=-0.3 + swing, right_shoulder=2.2 + swing, right_elbow=0.3 + swing
    )


def _jumping_jack(phase: float) -> Pose:
    """Arms and legs open and close with a hop."""
    opening = (1 - math.cos(2 * math.pi * phase)) / 2
    arm, leg = 0.15 + 2.6 * opening, 0.08 + 0.5 * opening
    hop = 0.14 * abs(math.sin(2 * math.pi * phase))
    return Pose(left_shoulder=-arm, right_shoulder=arm, left_hip=-leg, right_hip=leg, hop=hop)


def _squat(phase: float) -> Pose:
    """Knees bend outwards until the hips are low, and straighten."""
    depth = (1 - math.cos(2 * math.pi * phase)) / 2
    hip, knee, arm = 0.08 + 1.15 * depth, -1.9 * depth, 0.15 + 1.2 * depth
    return Pose(left_shoulder=-arm, right_shoulder=arm, left_hip=-hip, left_knee=-knee, right_hip=hip, right_knee=knee)


def _cartwheel(phase: float) -> Pose:
    """One full turn to the right and one back, with spread limbs."""
    way = (1 - math.cos(2 * math.pi * phase)) / 2
    spread = min(1.0, 4 * min(phase % 1, 1 - phase % 1))
    star = Pose(left_shoulder=-2.5, right_shoulder=2.5, left_hip=-0.45, right_hip=0.45)
    turn = 2 * math.pi * way
    return REST.blend(star, spread)._replace(turn=math.remainder(turn, 2 * math.pi), shift=0.3 * (way - 0.5) * spread)


def _walk(phase: float) -> Pose:
    """Legs and arms swing in opposite directions while the figure walks to one side and back."""
    swing = math.sin(2 * math.pi * phase)
    return Pose(
        left_shoulder=-0.8 * swing,
        left_elbow=0.3,
        right_shoulder=0.8 * swing,
        right_elbow=0.3,
        left_hip=0.65 * swing,
        left_knee=-0.5 * max(0.0, math.cos(2 * math.pi * phase)),
        right_hip=-0.65 * swing,
        right_knee=-0.5 * max(0.0, -math.cos(2 * math.pi * phase)),
        shift=0.15 * math.sin(2 * math.pi * phase / 4),
    )


class Motion(NamedTuple):
    """The motion of an action."""

    pose: Callable[[float], Pose]
    """The pose at a phase; phase 1 ends the first cycle."""
    cycles_per_s: tuple[float, float]
    """Slowest and fastest tempo."""


MOTIONS = {
    "cartwheel": Motion(_cartwheel, (0.4, 0.6)),
    "jumping_jack": Motion(_jumping_jack, (0.9, 1.4)),
    "squat": Motion(_squat, (0.7, 1.0)),
    "walk": Motion(_walk, (1.2, 1.6)),
    "wave": Motion(_wave, (1.2, 2.0)),
}
"""The classes of the demo, sorted by name."""
