"""Clips hold the frames of the detection, by ffmpeg itself and by what PyAV reads of them."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.support import write_video

from asl_kit.detections.table import Detection
from asl_kit.errors import MissingDependencyError, VideoError
from asl_kit.outputs.clips import clip_name, clip_prefix, cut_clip
from asl_kit.outputs.file_start import FileStart


def read_frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)]).astype(int)


@pytest.mark.usefixtures("ffmpeg")
def test_a_clip_holds_the_detections_own_frames(tmp_path: Path) -> None:
    video = write_video(tmp_path / "-odd: name?.mp4", frames=60, fps=10)  # key frames every 12 frames
    clip = tmp_path / "new" / "clips" / "c.mp4"
    cut_clip(clip, video, Detection("v", 1.7, 3.2, "run", 0.9), FileStart())
    found, all_frames = read_frames(clip), read_frames(video)
    assert len(found) == 15
    difference = np.abs(all_frames[:, None] - found[None]).mean(axis=(2, 3))
    assert difference.argmin(axis=0).tolist() == list(range(17, 32))
    assert sorted(path.name for path in clip.parent.iterdir()) == [clip.name]


def test_sound_is_kept_and_odd_sizes_are_cut(ffmpeg: str, tmp_path: Path) -> None:
    sources = ("-f", "lavfi", "-i", "testsrc=size=97x65:rate=25:duration=4", "-f", "lavfi", "-i", "sine=duration=4")
    video = tmp_path / "v.mkv"
    subprocess.run([ffmpeg, "-v", "error", *sources, "-c:v", "ffv1", "-c:a", "flac", str(video)], check=True)
    clip = tmp_path / "c.mp4"
    cut_clip(clip, video, Detection("v", 1.0, 2.5, "run", 0.9), FileStart())
    with av.open(str(clip)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.width, picture.height, picture.codec_context.pix_fmt) == (96, 64, "yuv420p")
        assert float(sound.duration * sound.time_base) == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (("v", 1.0, 2.0, "run"), "v_00001.00-00002.00_run.mp4"),
        (("../../etc/x", 0.0, 12345.678, "a/b\\c:d"), "etc_x_00000.00-12345.68_a_b_c_d.mp4"),
        (("走る", 0.0, 1.0, "..."), "走る_00000.00-00001.00__.mp4"),
        (("x" * 300, 0.0, 1.0, "é" * 300), "x" * 80 + "_00000.00-00001.00_" + "é" * 40 + ".mp4"),
        (("-rf", 0.0, 1.0, "a\n\0b"), "rf_00000.00-00001.00_a_b.mp4"),
        (("bad\udce9name", 0.0, 1.0, "run"), "bad_name_00000.00-00001.00_run.mp4"),
    ],
    ids=["plain", "paths", "dots", "long", "control characters", "not Unicode"],
)
def test_names_are_safe(row: tuple[str, float, float, str], name: str) -> None:
    assert clip_name(clip_prefix(row[0]), Detection(*row, 0.9)) + ".mp4" == name


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("v.mp4", Detection("v", 100.0, 101.0, "after the end", 0.9), "v.mp4, 100.00 s to 101.00 s: ffmpeg: "),
        ("gone.mp4", Detection("v", 0.0, 1.0, "run", 0.9), "gone.mp4: No such file or directory"),
    ],
    ids=["after the end", "no file"],
)
@pytest.mark.usefixtures("ffmpeg")
def test_what_cannot_be_cut_is_named_and_leaves_nothing(
    tmp_path: Path, name: str, row: Detection, message: str
) -> None:
    write_video(tmp_path / "v.mp4")  # 4 s
    with pytest.raises(VideoError, match=message):
        cut_clip(tmp_path / "c" / "c.mp4", tmp_path / name, row, FileStart())
    assert list((tmp_path / "c").iterdir()) == []


@pytest.mark.usefixtures("ffmpeg")
def test_a_playlist_in_place_of_a_video_reaches_no_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n"
        (tmp_path / "v.mp4").write_text(playlist)
        with pytest.raises(VideoError, match="ffmpeg: "):
            cut_clip(tmp_path / "c" / "c.mp4", tmp_path / "v.mp4", Detection("v", 0.0, 1.0, "run", 0.9), FileStart())
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert list((tmp_path / "c").iterdir()) == []


def test_without_ffmpeg_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="ffmpeg program, which is not installed") as caught:
        cut_clip(tmp_path / "c.mp4", tmp_path / "v.mp4", Detection("v", 0.0, 1.0, "run", 0.9), FileStart())
    assert "apt-get install ffmpeg" in str(caught.value.hint)
