"""The GPU's own decoder: frames a second of one to seven videos at once, and end to end beside the backbone alone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from helpers.support import write_video
from section import Measure, Options, synchronize

from asl_extract.decoding.events import Decoded, DecodeSettings
from asl_extract.decoding.threads import decode_in_threads

SESSIONS = (1, 2, 4, 7)


def measure(options: Options) -> Iterator[Measure]:
    """Yield frames a second by size of video and number of videos at once; without a GPU, torchcodec's on the CPU."""
    decoder = "nvdec" if options.device.type == "cuda" else "torchcodec"
    sizes = {"340x256": (340, 256)} if options.small else {"340x256": (340, 256), "720p": (1280, 720)}
    for name, size in sizes.items():
        frames = 40 if options.small else 600
        first = write_video(options.scratch / f"nvdec-{name}.mp4", frames=frames, fps=30, size=size)
        for sessions in (1,) if options.small else SESSIONS:
            settings = DecodeSettings(
                decoder, threads=1, window_frames=16, stride_frames=16, clip_frames=16, device=str(options.device)
            )
            videos = [(str(number), first) for number in range(2 * sessions)]
            for attempt in range(2):  # the first one loads the libraries
                count, started_s = 0, time.perf_counter()
                for _, event in decode_in_threads(videos, settings, threads=sessions):
                    if isinstance(event, Decoded):
                        count += len(event.frames)
                        if event.ready is not None:
                            torch.cuda.current_stream(options.device).wait_event(event.ready)
                        event.release()
                synchronize(options.device)
                taken_s = time.perf_counter() - started_s
                if attempt:
                    yield Measure(f"{decoder}, {name}, {sessions} videos at once", count / taken_s, "frames/s")
