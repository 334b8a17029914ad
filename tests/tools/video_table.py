"""Prints a table over a folder of video files: what ffmpeg decodes, and what asl-kit reads.

``python tests/tools/video_table.py FOLDER`` needs the ffmpeg program, which is the reference; one as new as PyAV's
FFmpeg, because old ones read no HEIC and little AVIF: a file should be read if
ffmpeg decodes it to its end without an error, with the same frames at the same times and the same first picture, and
be refused otherwise. Playlists, whose files ffmpeg would open, are left out. ``--all`` prints also the files on which
both agree. The exit code is 1 if they differ anywhere.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asl_extract.decoders import get_decoder
from asl_extract.decoders.headers import read_headers
from asl_extract.decoders.probe import VideoProbe, probe
from asl_kit.errors import AslKitError

TIME_LIMIT_S = 60
SAME_COLOUR = 3.0
"""Mean difference of two pictures that are the same: versions of FFmpeg round colours differently."""
QUARTER_OF_A_FRAME = 0.25
CLOCK_S = 0.0011
"""Matroska and FLV round times to milliseconds."""
PLAYLISTS = (b"#EXTM3U", b"<MPD")
AGREED = ("same", "same, with a complaint of ffmpeg", "refused by both")


@dataclass(frozen=True)
class Shown:
    """What a program shows of a file: display times in seconds from the first frame, and the first picture."""

    times_s: NDArray[np.float64]
    picture: NDArray[np.uint8]
    fault: str = ""


NOTHING = Shown(np.zeros(0), np.zeros((0, 0, 3), np.uint8))


def shown_by_ffmpeg(program: str, path: Path, stream: str) -> Shown:
    """Return what the ffmpeg program decodes; any line on its error output is a fault."""
    source = [program, "-v", "error", "-nostdin", "-threads", "1", "-i", str(path), "-map", f"0:{stream}"]
    timing = ["-fps_mode", "passthrough", "-enc_time_base", "1:1000000"]
    hashes = [*source, *timing, "-f", "framehash", "-hash", "adler32", "-"]
    picture = [*source, *timing, "-frames:v", "1", "-vf", "scale=flags=bicubic,format=rgb24"]
    picture += ["-c:v", "ppm", "-f", "image2pipe"]
    try:
        text = subprocess.run(hashes, capture_output=True, timeout=TIME_LIMIT_S, check=False)
        image = subprocess.run([*picture, "-"], capture_output=True, timeout=TIME_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return Shown(NOTHING.times_s, NOTHING.picture, f"ffmpeg needs more than {TIME_LIMIT_S} s")
    lines = text.stdout.decode().splitlines()
    tick = next((line.rpartition(" ")[2] for line in lines if line.startswith("#tb ")), "1/1")
    numerator, _, denominator = tick.partition("/")
    stamps = np.array([int(line.split(",")[2]) for line in lines if not line.startswith("#")], dtype=float)
    faults = text.stderr.decode(errors="replace").strip().splitlines()
    if faults and "matches no streams" in faults[0] and stream != "V:0":  # its FFmpeg numbers them in another way
        return shown_by_ffmpeg(program, path, "V:0")
    fault = faults[0] if faults else f"exit code {text.returncode}" if text.returncode else ""
    if not len(stamps):
        return Shown(NOTHING.times_s, NOTHING.picture, fault or "no frames")
    return Shown((stamps - stamps[0]) * int(numerator) / int(denominator), _from_ppm(image.stdout), fault)


def _from_ppm(data: bytes) -> NDArray[np.uint8]:
    if not data.startswith(b"P6"):
        return NOTHING.picture
    _, size, _, pixels = data.split(b"\n", 3)
    width, height = map(int, size.split())
    return np.frombuffer(pixels, np.uint8, width * height * 3).reshape(height, width, 3)


def shown_by_us(path: Path, decoder: str) -> tuple[Shown, VideoProbe | None]:
    """Return what asl-kit decodes."""
    facts = None
    try:
        facts = probe(path)
        reader = get_decoder(decoder).open_reader(path, threads=1, device="cpu")
        count, picture = 0, NOTHING.picture
        for block in reader.blocks(16):
            if not count and len(block):
                picture = np.asarray(block[0])
            count += len(block)
        reader.close()
    except AslKitError as fault:
        return Shown(NOTHING.times_s, NOTHING.picture, fault.message.removeprefix(f"{path}: ")), facts
    times_s = np.arange(count) / reader.fps if reader.display_s is None else reader.display_s[:-1]
    return Shown(times_s, picture), facts


def compare(ffmpeg: Shown, ours: Shown) -> str:
    """Return in which way the two agree or differ."""
    if ours.fault:
        return "refused by both" if ffmpeg.fault else "REFUSED BY US ALONE"
    if ffmpeg.fault and len(ours.times_s) != len(ffmpeg.times_s):
        return "READ BY US ALONE"
    if len(ours.times_s) != len(ffmpeg.times_s):
        return "FRAMES DIFFER"
    usual_s = float(np.median(np.diff(ffmpeg.times_s))) if len(ffmpeg.times_s) > 1 else 1.0
    if np.abs(ours.times_s - ffmpeg.times_s).max() > max(QUARTER_OF_A_FRAME * usual_s, CLOCK_S):
        return "TIMES DIFFER"
    if ours.picture.shape != ffmpeg.picture.shape:
        return "SIZES DIFFER"
    if np.abs(ours.picture.astype(int) - ffmpeg.picture).mean() > SAME_COLOUR:
        return "PICTURES DIFFER"
    return "same, with a complaint of ffmpeg" if ffmpeg.fault else "same"


def rows(program: str, files: Iterable[Path], decoder: str) -> Iterable[tuple[Path, str, Shown, Shown]]:
    """Yield each file with the comparison and what both show; files without video for both are left out."""
    contents = ((path, path.read_bytes()) for path in files)
    videos = ((path, data) for path, data in contents if not any(word in data[:1000] for word in PLAYLISTS))
    different = {hashlib.md5(data).hexdigest(): path for path, data in videos}
    _, unreadable = read_headers({str(path): path for path in different.values()})
    for path in different.values():
        ours, facts = shown_by_us(path, decoder)
        ffmpeg = shown_by_ffmpeg(program, path, "V:0" if facts is None else str(facts.stream_index))
        if facts is None and not len(ffmpeg.times_s):
            continue
        verdict = compare(ffmpeg, ours)
        header_fault = unreadable.get(str(path), "")
        if bool(header_fault) != bool(ours.fault):
            verdict += f"; INIT DIFFERS ({header_fault or 'it takes the file'})"
        yield path, verdict, ffmpeg, ours


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--decoder", default="pyav")
    parser.add_argument("--all", action="store_true", help="print also the files on which both agree")
    options = parser.parse_args()
    program = shutil.which("ffmpeg")
    if program is None:
        parser.error("the ffmpeg program is not installed")
    files = [path for path in options.folder.rglob("*") if path.is_file()]
    files.sort(key=lambda path: (path.stat().st_size, path))  # most of the table soon
    verdicts: Counter[str] = Counter()
    write = sys.stdout.write
    write("| file | verdict | frames: ffmpeg | frames: asl-kit | reasons |\n|---|---|---|---|---|\n")
    for path, verdict, ffmpeg, ours in rows(program, files, options.decoder):
        verdicts[verdict.partition(" (")[0]] += 1
        if options.all or verdict not in AGREED:
            reasons = "; ".join(filter(None, (ffmpeg.fault[:90], ours.fault[:160]))).replace("|", "/")
            name = path.relative_to(options.folder)
            write(f"| {name} | {verdict} | {len(ffmpeg.times_s)} | {len(ours.times_s)} | {reasons} |\n")
            sys.stdout.flush()
    write("".join(f"\n{count:5d} {verdict}" for verdict, count in verdicts.most_common()) + "\n")
    return int(any(verdict not in AGREED for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
