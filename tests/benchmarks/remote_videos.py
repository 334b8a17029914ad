"""How long videos at addresses take, against the same files on disk: one is fetched while another is extracted.

``python tests/benchmarks/remote_videos.py [--videos 10] [--rounds 3] [--delay 0.05]``. A web server in another process
sends the files, each after a delay, as one far away would. Local and remote runs alternate, in one process.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.extraction import run_extraction
from helpers.servers import WebServer
from helpers.support import write_video

SETTINGS = {
    "backbone": "x3d_xs",
    "weights": "random",
    "window_frames": 16,
    "stride_frames": 8,
    "frame_size": 96,
    "device": "cpu",
}


def serve(folder: Path) -> None:
    """Serve until the standard input is closed."""
    with WebServer(folder) as web:
        print(web.host, flush=True)
        sys.stdin.read()


def main(arguments: list[str] | None = None) -> float:
    """Print and return the speed of remote videos, as a share of the speed of local ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=10)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds before each answer of the server")
    parser.add_argument("--serve", type=Path)
    given = parser.parse_args(arguments)
    if given.serve:
        serve(given.serve)
        return 0.0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "videos")
        folder.mkdir()
        for number in range(given.videos):
            write_video(folder / f"v{number}.mp4", frames=given.frames, size=(320, 240))
        command = [sys.executable, __file__, "--serve", str(folder)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            host = server.stdout.readline().strip()
            remote = [f"http://{host}/v{number}.mp4?slow={given.delay}" for number in range(given.videos)]
            ratios = []
            for number in range(given.rounds + 1):  # the first one warms up
                seconds = {}
                for name, videos in [("local", [folder]), ("remote", remote)][:: 1 if number % 2 else -1]:
                    started_s = time.perf_counter()
                    summary = run_extraction(videos, Path(place, f"{name}{number}"), **SETTINGS)  # type: ignore[arg-type]
                    seconds[name] = time.perf_counter() - started_s
                    assert len(summary.done) == given.videos
                if number:
                    ratios.append(seconds["local"] / seconds["remote"])
                    print(f"local {seconds['local']:.2f} s, remote {seconds['remote']:.2f} s: {ratios[-1]:.3f}")
            server.communicate()
    print(f"speed of remote videos: {statistics.median(ratios):.3f} of local ones")
    return statistics.median(ratios)


if __name__ == "__main__":
    main()
