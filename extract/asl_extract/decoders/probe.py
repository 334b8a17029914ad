"""The facts of a video file that a plan needs: how many frames it shows, and when.

Every decoder calls `probe` first, so a truncated file, or one that is not a video, gives the same message with
every decoder. This is the one place that decides whether a file is complete. It is, if

- its packets are there: as many as stated, or up to the stated end, or no part of it ends after the file, and FFmpeg
  left nothing out: `_check_end`; in a stream, which states nothing, the last frames are decoded without an error;
- its frames are decoded without an error. They are as many as the packets, unless something in the packets
  suggests that they are not: then the file is decoded to count them. A count of packets alone refuses nothing.

A decoder that then delivers another number of frames fails: see `truncated` and `stopped`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import av

from asl_extract.decoders.containers import (
    AGAIN,
    CLOCK_MAY_JUMP,
    all_frames,
    cut_off,
    decoded_frames,
    films,
    logged_errors,
    open_container,
    undecodable,
    unreadable,
    video_stream,
)
from asl_extract.decoders.display_times import PacketTimes, Seconds, constant_rate
from asl_extract.decoders.file_ends import ends_early, ends_within_packet
from asl_extract.decoders.orientation import mirrored_axis, rotation
from asl_kit.errors import VideoError

_SLACK_S = 0.5
_GAP_S = 1.0
_PROGRESSIVE = 1  # AV_FIELD_PROGRESSIVE
_STATE_END = ("asf", "flv", "matroska", "mxf", "nut", "rm")
"""FFmpeg's formats whose header states where the file ends."""
_LEAVES_OUT = ("asf", "flv", "matroska", "ogg")
"""FFmpeg's formats in which it leaves out what it cannot parse, and goes on; files do not state how much there is."""
_NOT_CODED_BYTES = 20
"""MPEG-4 and VC-1 mark frames that repeat the last one by packets shorter than this."""
_LONG_GROUP = 2000
"""Packets of a group of pictures above which the end of a stream is not decoded before."""


@dataclass(frozen=True)
class VideoProbe:
    """Facts that the container and its packets state.

    Parameters
    ----------
    frame_count : int
        Displayed frames.
    fps : float
        Frames per second; the average where the rate varies.
    codec : str
        FFmpeg's name for the codec.
    stream_index : int
        Index of the video stream: the one that FFmpeg considers best, except cover pictures.
    films : int
        Number of video streams in the file, without cover pictures.
    display_s : (frame_count + 1,) array, optional
        Times at which each frame appears and the last one ends, in seconds from the first; None if the frame rate
        is constant: see `constant_rate`.
    mirrored_axis : int, optional
        As `asl_extract.decoders.orientation.mirrored_axis`.
    rotation : int
        As `asl_extract.decoders.orientation.rotation`.
    container : str
        FFmpeg's name for the format, or names: ``matroska,webm``.
    note : str
        What a user should know about the file.
    """

    frame_count: int
    fps: float
    codec: str
    stream_index: int
    films: int
    display_s: Seconds | None = None
    mirrored_axis: int | None = None
    rotation: int = 0
    container: str = ""
    note: str = ""


@dataclass(frozen=True)
class VideoHeader:
    """Facts in the header of a video file. They may differ from those of its frames: see `probe`.

    Parameters
    ----------
    duration_s : float
        Length in seconds.
    fps : float
        Frames per second; the average where the rate varies.
    note : str
        As in `VideoProbe`.
    """

    duration_s: float
    fps: float
    note: str = ""


def read_header(path: Path) -> VideoHeader:
    """Return the length and the frame rate that a video file states, if extraction will read the file.

    Where it states none, those of its frames are returned. Nothing but the first frame is decoded as a rule, so damage
    inside the file is not detected.

    Raises
    ------
    MissingFileError, VideoError
        As `probe`.
    """
    probed = probe(path)
    with open_container(path) as container:
        stream = video_stream(container, path)
        fps = float(stream.average_rate or 0)
        duration_s = float((stream.duration or 0) * (stream.time_base or 0))
        duration_s = duration_s or (container.duration or 0) / av.time_base
    if not all(math.isfinite(value) and value > 0 for value in (fps, duration_s)):
        fps = probed.fps
        duration_s = probed.frame_count / fps if probed.display_s is None else float(probed.display_s[-1])
    return VideoHeader(duration_s, fps, probed.note)


def probe(path: Path) -> VideoProbe:
    """Read the packets of a video file to its end, and decode its first frame.

    Raises
    ------
    MissingFileError
        If there is no such file.
    VideoError
        If the file is empty, is not a video, has no video stream that can be decoded, or is truncated.
    """
    try:
        packets = _read_packets(path)
        if packets.shown == 0:
            promised = f", {packets.promised} expected" if packets.promised else ""
            raise VideoError(f"{path}: 0 frames found{promised}")
        _check_end(path, packets)
        first = _first_frame(path, packets)
        if packets.tail and packets.tail.is_damaged():
            raise VideoError(f"{path}: a picture at its end is damaged: the rest may be missing", hint=AGAIN)
        times = packets.times if packets.are_frames else _decode_times(path, packets)
    except av.error.FFmpegError as fault:
        raise unreadable(path, fault) from fault
    display_s = times.display_s(tick_s=packets.tick_s, stated_fps=packets.stated_fps)
    fps: float | None = packets.stated_fps
    if display_s is not None:
        fps = constant_rate(display_s, tick_s=packets.tick_s, stated_fps=packets.stated_fps)
        if packets.is_avi and (fps != packets.stated_fps or packets.promised > packets.end + 1):  # empty chunks
            display_s, fps = _times_in_avi(packets, times)
        if fps is not None:
            display_s = None
        elif display_s is not None and display_s[-1] > 0:
            fps = len(times) / float(display_s[-1])
    if not fps:
        raise VideoError(f"{path}: the file states no frame rate")
    return VideoProbe(
        frame_count=len(times),
        fps=fps,
        codec=packets.codec,
        stream_index=packets.stream_index,
        films=packets.films,
        display_s=display_s,
        mirrored_axis=mirrored_axis(first),
        rotation=rotation(first),
        container=packets.container,
        note="; ".join(packets.notes),
    )


def _times_in_avi(packets: _Packets, times: PacketTimes) -> tuple[Seconds | None, float | None]:
    """Return the times of frames among empty chunks, each of which shows the frame before it on; and their rate.

    Those that are counted by decoding have no other times than those of decoding.
    """
    display_s = times.display_s(tick_s=packets.tick_s, stated_fps=packets.stated_fps, by_decoding=True)
    if display_s is None:
        return None, packets.stated_fps
    display_s[-1] = max(display_s[-1], (packets.promised - packets.first) * packets.tick_s)
    fps = constant_rate(display_s, tick_s=packets.tick_s, stated_fps=packets.stated_fps)
    if fps is not None and display_s[-1] > (len(times) + 1) / fps:
        fps = None  # the last one stays
    return display_s, fps


class _Tail:
    """The last two groups of pictures of a stream, to decode them."""

    def __init__(self, stream: av.VideoStream) -> None:
        self._context = av.CodecContext.create(stream.codec_context.codec.name, "r")
        self._context.extradata = stream.codec_context.extradata
        self._groups: deque[list[av.Packet]] = deque(maxlen=2)

    def add(self, packet: av.Packet) -> None:
        """Add a packet of the video."""
        if packet.is_keyframe:
            self._groups.append([])
        if self._groups and len(self._groups[-1]) == _LONG_GROUP:
            self._groups.clear()
        if self._groups:
            self._groups[-1].append(packet)

    def is_damaged(self) -> bool:
        """Return whether a frame of the last group cannot be decoded; those before may lack what they refer to."""
        first = self._groups[-1][0].pts if self._groups else None
        try:
            for packet in (*chain(*self._groups), None):
                for frame in self._context.decode(packet):
                    if frame.is_corrupt and (frame.pts is None or first is None or frame.pts >= first):
                        return True
        except av.error.FFmpegError:
            return True
        return False


@dataclass
class _Packets:
    """What a file's header and packets say."""

    stream_index: int
    films: int
    codec: str
    container: str
    tick_s: float
    stated_fps: float
    promised: int
    """Number of packets, or of chunks of an AVI file, empty ones too; 0: not stated."""
    stated_end_s: float
    end_slack_s: float
    is_avi: bool
    times: PacketTimes
    tail: _Tail | None
    """Of a stream that does not state where it ends."""
    are_frames: bool = True
    """Whether nothing suggests that the displayed frames are others than these packets."""
    count: int = 0
    first: int = 0
    """Time stamp of the first, in decoding order."""
    end: int = 0
    """Where the last one ends, in decoding order."""
    end_s: float = 0.0
    """Where the last packet of all streams ends."""
    is_cut: bool = False
    """Whether the file ended within a packet."""
    left_out: str = ""
    """FFmpeg's reason why it left something out; empty: it did not."""
    notes: list[str] = field(default_factory=list)
    _first_pts: int | None = None

    @property
    def shown(self) -> int:
        return len(self.times)

    def add(self, packet: av.Packet) -> None:
        """Add a packet of the video."""
        self.count += 1
        if self.is_hidden(packet):
            return
        pts = None if self.is_avi else packet.pts  # AVI has none: FFmpeg makes them up from the decoding times
        if not self.shown:
            self.first = packet.dts or 0
            self.are_frames &= packet.is_keyframe
            self._first_pts = pts
        elif (pts is None) != (self._first_pts is None) or (pts or 0) < (self._first_pts or 0):
            self.are_frames = False  # before the first key frame in display: they may lack what they refer to
        if self.codec in ("mpeg4", "vc1", "wmv3") and packet.size < _NOT_CODED_BYTES:
            self.are_frames = False
        self.end = max(self.end, (packet.dts or 0) + (packet.duration or 0))
        self.times.add(pts=packet.pts, dts=packet.dts, duration=packet.duration)

    def is_hidden(self, packet: av.Packet) -> bool:
        """Return whether a packet is not displayed: an edit list removes it, or it only serves as a reference."""
        if packet.is_discard:
            return True
        if self.codec == "vp8":  # RFC 6386, 9.1: show_frame
            return not memoryview(packet)[0] & 0x10
        return self.codec == "vp9" and _vp9_hidden(memoryview(packet))


def _read_packets(path: Path) -> _Packets:
    with logged_errors() as errors, open_container(path) as container:
        stream = video_stream(container, path)
        context = stream.codec_context
        stated_fps = float(stream.average_rate or 0)
        names = container.format.name.split(",")
        states_end = container.duration and any(name in _STATE_END for name in names)
        clock_may_jump = bool(container.format.flags & CLOCK_MAY_JUMP)
        packets = _Packets(
            stream_index=stream.index,
            films=len(films(container)),
            codec=context.codec.canonical_name,
            container=container.format.name,
            tick_s=float(stream.time_base or 0),
            stated_fps=stated_fps if math.isfinite(stated_fps) and stated_fps > 0 else 0.0,
            promised=int(stream.frames),
            stated_end_s=(container.duration or 0) / av.time_base if states_end else 0.0,
            end_slack_s=1.5 / stated_fps if "mxf" in names and stated_fps else _SLACK_S,
            is_avi="avi" in names,
            times=PacketTimes(may_jump=clock_may_jump),
            tail=_Tail(stream) if clock_may_jump else None,
        )
        if packets.codec == "h264" and context.field_order != _PROGRESSIVE:
            packets.are_frames = False  # a packet may be one of the two fields of a frame
        for packet in container.demux():
            if packet.size == 0:  # the flush at the end; in an AVI file, the frame before stays
                continue
            if packet.pts is not None:
                packets.end_s = max(packets.end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index == stream.index:
                packets.is_cut |= packet.is_corrupt and not clock_may_jump
                packets.add(packet)
                if packets.tail:
                    packets.tail.add(packet)
        if any(name in _LEAVES_OUT for name in names):
            packets.left_out = next((text for _, source, text in errors if source == container.format.name), "")
        gap_s = _gap_s(container, stream)
        if gap_s >= _GAP_S:
            packets.notes.append(
                f"the picture begins {gap_s:.1f} s after the sound: times count from the first picture"
            )
        if "matroska" in names and not container.duration:
            packets.notes.append(
                "the file states no length, like a recording that broke off: whether its end is missing is not known"
            )
        if ends_within_packet(path, container.format.name):
            packets.are_frames = False  # what is there of the last one may be no frame, or a damaged one
            packets.notes.append("the file ends within a packet: its end may have been cut off")
    return packets


def _gap_s(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """Return how much later the video starts than the first of all streams."""
    if stream.start_time is None or container.start_time is None:
        return 0.0
    start_s: float = container.start_time / av.time_base
    return float(stream.start_time * (stream.time_base or 0)) - start_s


def _check_end(path: Path, packets: _Packets) -> None:
    """Raise if a file's end is missing, or a part before it."""
    found = packets.end if packets.is_avi else packets.count
    if found < packets.promised:
        if not packets.is_avi:
            found = _stored_packets(path, packets.stream_index)
        # The chunks at the end of an AVI file may be empty.
        if found < packets.promised and (not packets.is_avi or ends_early(path)):
            raise truncated(path, found=found, expected=packets.promised)
    if packets.end_s < packets.stated_end_s - packets.end_slack_s:
        share = packets.stated_end_s / packets.end_s if packets.end_s else 0.0
        raise truncated(path, found=packets.shown, expected=max(round(packets.shown * share), packets.shown + 1))
    if packets.is_cut:
        raise cut_off(path, within="a packet")
    if not packets.promised and ends_early(path):
        raise cut_off(path, within="one of its parts")
    if packets.left_out:
        reason = " ".join(packets.left_out.split())
        raise VideoError(f"{path}: damaged, so that frames may be missing: {reason}", hint=AGAIN)


def _first_frame(path: Path, packets: _Packets) -> av.VideoFrame:
    with open_container(path) as container:
        stream = container.streams[packets.stream_index]
        assert isinstance(stream, av.VideoStream)
        stream.thread_type = "NONE"  # one frame, without those after it
        try:
            return next(decoded_frames(container, stream, path))
        except (av.error.FFmpegError, StopIteration, VideoError) as fault:
            if reason := undecodable(path):
                raise VideoError(f"{path}: {reason}") from fault
            if isinstance(fault, VideoError):
                raise
            raise truncated(path, found=0, expected=packets.shown) from fault


def _decode_times(path: Path, packets: _Packets) -> PacketTimes:
    """Return the times of the frames that are displayed, by decoding the file."""
    times = PacketTimes(may_jump=packets.times.may_jump)
    decoded: list[int | None] = []
    with open_container(path) as container:
        stream = container.streams[packets.stream_index]
        assert isinstance(stream, av.VideoStream)
        stream.thread_type = "FRAME"
        try:
            for frame in decoded_frames(container, stream, path):
                times.add(pts=frame.pts, dts=frame.pts if times.may_jump else None, duration=frame.duration)
                decoded.append(frame.dts)
        except av.error.FFmpegError as fault:
            raise truncated(path, found=len(times), expected=packets.shown) from fault
    if packets.is_avi and len(times) == packets.shown:
        return packets.times
    # An AVI file has decoding times alone, and frames are shown in the order of the clock. Its last frames have none.
    known = sorted(stamp for stamp in decoded if stamp is not None)
    if packets.is_avi and len(known) > 1:
        step = known[1] - known[0]
        times = PacketTimes()
        for stamp in known + [known[-1] + step * (later + 1) for later in range(len(decoded) - len(known))]:
            times.add(pts=stamp, dts=stamp, duration=1)
    return times


def _vp9_hidden(data: memoryview) -> bool:
    """Return whether a VP9 packet is one frame that is not displayed (VP9 bitstream specification, 6.2 and B.2)."""
    if data[-1] & 0xE0 == 0xC0:  # a superframe: its last frame is displayed
        return False
    # Bits: 2 of a marker, 2 of the profile, 1 more in profile 3, show_existing_frame, frame_type, show_frame.
    bits = data[0] << 1 if data[0] & 0x30 == 0x30 else data[0]
    return not bits & 0x0A


def _stored_packets(path: Path, stream_index: int) -> int:
    """Return the number of packets in the file, including those that an edit list of MP4 hides."""
    with open_container(path, ignore_editlist="1") as container:
        return sum(packet.size > 0 for packet in container.demux(container.streams[stream_index]))


def truncated(path: Path, *, found: int, expected: int) -> VideoError:
    """Return the error for a video with fewer frames than its index states."""
    return VideoError(
        f"{path}: {found} frames found, {expected} expected: the file is truncated or damaged",
        hint=AGAIN,
    )


def stopped(path: Path, *, decoder: str, found: int, expected: int) -> VideoError:
    """Return the error for a decoder that stopped early; it is the file's, unless FFmpeg decodes all frames.

    Where a decoder stops in a damaged file may depend on its threads, so the frames are counted here.
    """
    decodable = count_decodable(path, at_most=expected)
    if decodable < expected:
        return truncated(path, found=decodable, expected=expected)
    return VideoError(f"{path}: {decoder} stopped after {found} of {expected} frames", hint="use --decoder pyav")


def count_decodable(path: Path, *, at_most: int) -> int:
    """Return the number of frames that FFmpeg decodes before the first error."""
    count = 0
    try:
        with open_container(path) as container:
            for _ in all_frames(container, video_stream(container, path)):
                count += 1
                if count >= at_most:
                    break
    except av.error.FFmpegError:
        pass
    return count
