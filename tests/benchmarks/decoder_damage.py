"""How much damage in the middle of a file the decoders report, and how often they accuse a whole one.

For each codec a film of moving shapes is made with FFmpeg's own encoders; then, many times over, 1 to 256 bytes of one
random packet are overwritten with random ones. A damage counts as *silent* where the reader hands out
frames that differ from the whole film's and raises nothing.

    python tests/benchmarks/decoder_damage.py --damages 100
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import av

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.support import write_video

from asl_extract.decoders import get_decoder
from asl_kit.errors import MissingDependencyError, VideoError

FILMS = {
    "H.264 (CABAC)": ("h264.mp4", "libx264", {"g": "30"}),
    "H.264 (CAVLC)": ("cavlc.mp4", "libx264", {"profile": "baseline", "g": "30"}),
    "MPEG-4": ("mpeg4.avi", "mpeg4", {"qscale": "4"}),
    "HEVC": ("hevc.mp4", "libx265", {"preset": "veryfast", "x265-params": "log-level=none"}),
    "VP8": ("vp8.webm", "libvpx", {"b": "400k", "deadline": "realtime"}),
    "VP9": ("vp9.webm", "libvpx-vp9", {"b": "400k", "deadline": "realtime", "cpu-used": "8"}),
}
OVERWRITTEN_BYTES = (1, 4, 16, 64, 256)


def encode(source: Path, target: Path, codec: str, options: dict[str, str]) -> None:
    """Write the frames of `source` with another codec."""
    with av.open(str(source)) as whole, av.open(str(target), "w") as out:
        stream = out.add_stream(codec, rate=whole.streams.video[0].average_rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for frame in whole.decode(video=0):
            plain = frame.reformat(format="yuv420p")
            plain.pict_type = av.video.frame.PictureType.NONE
            out.mux(stream.encode(plain))
        out.mux(stream.encode())


def damage(source: Path, target: Path, chance: random.Random) -> None:
    """Overwrite some bytes of a packet that is neither the first nor the last."""
    content = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    position, size = packets[chance.randrange(1, len(packets) - 1)]
    count = min(size - 1, chance.choice(OVERWRITTEN_BYTES))
    start = position + chance.randrange(size - count)
    content[start : start + count] = chance.randbytes(count)
    target.write_bytes(content)


def frame_hashes(path: Path, decoder: str) -> list[str]:
    """Return a hash of each frame."""
    reader = get_decoder(decoder).open_reader(path, threads=1)
    try:
        return [hashlib.md5(frame.tobytes()).hexdigest() for block in reader.blocks(16) for frame in block]
    finally:
        reader.close()


def main() -> None:
    """Print a table: codec, decoder, damages reported, without effect, silent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damages", type=int, default=100, help="damaged files a codec")
    parser.add_argument("--decoders", nargs="+", default=["decord", "pyav", "torchcodec"])
    options = parser.parse_args()
    print(f"{'codec':15}{'decoder':12}{'reported':>9}{'no effect':>11}{'silent':>8}{'whole file':>12}")
    with tempfile.TemporaryDirectory() as folder:
        source = write_video(Path(folder) / "source.mp4", frames=90, fps=30, size=(320, 240))
        for title, (name, codec, settings) in FILMS.items():
            whole = Path(folder) / name
            encode(source, whole, codec, settings)
            for decoder in options.decoders:
                try:
                    expected = frame_hashes(whole, decoder)
                except (VideoError, MissingDependencyError) as fault:
                    print(f"{title:15}{decoder:12}{fault}")
                    continue
                chance = random.Random(0)
                outcomes: Counter[str] = Counter()
                bad = whole.with_name(f"bad{whole.suffix}")
                for _ in range(options.damages):
                    damage(whole, bad, chance)
                    try:
                        outcomes["same" if frame_hashes(bad, decoder) == expected else "silent"] += 1
                    except VideoError:
                        outcomes["reported"] += 1
                print(
                    f"{title:15}{decoder:12}{outcomes['reported']:>9}{outcomes['same']:>11}{outcomes['silent']:>8}"
                    f"{'accepted':>12}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
