"""Detections as an edit decision list (CMX 3600), which editing programs read.

Frames are counted from the timecode that the file records for its first frame, as cameras do, else from 00:00:00:00.
A timecode counts whole frames per second, so that at 29.97 and 59.94 frames per second it falls behind the clock by
3.6 s per hour. Drop frame timecodes (SMPTE ST 12-1, written with a semicolon) compensate for it: they skip the first
2 (4) numbers of every minute, except each tenth. They are used at these two rates, unless the file's own timecode is
non-drop. At all other rates, including 23.976, no number is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asl_kit.detections.table import Detection
from asl_kit.outputs.file_start import TIMECODE
from asl_kit.outputs.selection import on_one_line

MAX_EVENTS = 999
"""An event's number has three digits."""
RECORD_START_S = 3600
"""The record timeline starts at 01:00:00:00, by convention."""
_MAX_RATE = 60
_TOLERANCE = 0.005


@dataclass(frozen=True)
class Timebase:
    """How frames are numbered.

    Parameters
    ----------
    fps : float
        Frames per second.
    drop_frame : bool
        Whether numbers are skipped to keep up with the clock.
    """

    fps: float
    drop_frame: bool

    @classmethod
    def of_video(cls, fps: float, *, drop_frame: bool | None = None) -> Timebase:
        """Return the timebase of a video.

        Timecodes have two digits for frames, and programs accept rates up to 60: at 120 frames per second
        every second frame is counted, at 240 every fourth.

        Parameters
        ----------
        fps : float
            Frames per second of the video.
        drop_frame : bool, optional
            Whether the file's own timecode is drop frame; None: drop frame at 29.97 and 59.94.
        """
        while fps > _MAX_RATE + _TOLERANCE:
            fps /= 2
        may_drop = any(abs(fps - nominal / 1.001) < _TOLERANCE for nominal in (30, 60))
        return cls(fps, may_drop and drop_frame is not False)

    @property
    def frames_a_second(self) -> int:
        """Frame numbers in a second of timecode."""
        return max(1, round(self.fps))

    @property
    def _dropped(self) -> int:
        return self.frames_a_second // 15  # a minute: 2 of 30, 4 of 60

    def timecode(self, frame: int) -> str:
        """Return the timecode of a frame, counted from 00:00:00:00; it wraps after 24 hours.

        Examples
        --------
        >>> Timebase(30 / 1.001, drop_frame=True).timecode(1800), Timebase(25.0, drop_frame=False).timecode(1800)
        ('00:01:00;02', '00:01:12:00')
        """
        rate = self.frames_a_second
        if self.drop_frame:
            minute = 60 * rate - self._dropped
            ten_minutes, rest = divmod(frame, 10 * minute + self._dropped)
            frame += 9 * self._dropped * ten_minutes
            if rest >= 60 * rate:
                frame += self._dropped * (1 + (rest - 60 * rate) // minute)
        seconds, number = divmod(frame, rate)
        minutes, second = divmod(seconds, 60)
        mark = ";" if self.drop_frame else ":"
        return f"{minutes // 60 % 24:02}:{minutes % 60:02}:{second:02}{mark}{number:02}"

    def frame(self, hours: int, minutes: int, seconds: int, number: int) -> int:
        """Return the frame that a timecode names: the inverse of `timecode`."""
        all_minutes = 60 * hours + minutes
        counted = (60 * all_minutes + seconds) * self.frames_a_second + number
        return counted - self._dropped * (all_minutes - all_minutes // 10) if self.drop_frame else counted


def to_edl(video: str, shown: Sequence[Detection], *, fps: float, start_timecode: str | None = None) -> str:
    """Return an edit decision list with one event per detection in order of time, picture and sound.

    On the record timeline the events follow one another. A comment names the file, a locator the action and its score.

    Parameters
    ----------
    video : str
        The video file's name.
    shown : sequence of Detection
        Of one video; see `asl_kit.outputs.selection.select_shown`. Only the `MAX_EVENTS` with the highest scores are
        listed.
    fps : float
        Frames per second of the video.
    start_timecode : str, optional
        Timecode of the video's first frame: ``10:00:00:00``, or ``10:00:00;00`` for drop frame.
    """
    own = TIMECODE.fullmatch(start_timecode or "")
    timebase = Timebase.of_video(fps, drop_frame=own[4] != ":" if own else None)
    first = timebase.frame(int(own[1]), int(own[2]), int(own[3]), int(own[5])) if own else 0
    name = on_one_line(video)
    lines = [f"TITLE: {name}", f"FCM: {'' if timebase.drop_frame else 'NON-'}DROP FRAME", ""]
    record = timebase.frame(RECORD_START_S // 3600, 0, 0, 0)
    listed = sorted(shown, key=lambda row: -row.score)[:MAX_EVENTS]
    for number, row in enumerate(sorted(listed, key=lambda row: (row.start_s, row.end_s)), start=1):
        start = first + round(row.start_s * timebase.fps)
        end = max(first + round(row.end_s * timebase.fps), start + 1)
        times = [timebase.timecode(frame) for frame in (start, end, record, record + end - start)]
        lines += [
            f"{number:03}  AX       B     C        {' '.join(times)}",
            f"* FROM CLIP NAME: {name}",
            f"* LOC: {times[2]} RED     {on_one_line(row.label)} {row.score:.2f}",
        ]
        record += end - start
    if len(shown) > MAX_EVENTS:
        lines.append(f"* {len(shown) - MAX_EVENTS} EVENTS WITH LOWER SCORES ARE LEFT OUT: A LIST HOLDS {MAX_EVENTS}")
    return "\n".join([*lines, ""])
