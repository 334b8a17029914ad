"""README's commands, and small videos to run them on."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from helpers.support import write_video

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

_SMALLER = {
    "extract": ["--weights", "random", "--size", "32"],  # tests must not need a network
    "train": ["--set", "optimizer.epochs=2", "--set", "model.width=16"],
}
"""Options added to README's commands to make them fast."""


def block(name: str) -> str:
    """Return the commands of the code block of this name."""
    found = re.search(rf"<!-- run: {name} -->\n```bash\n(.*?)```", README, flags=re.DOTALL)
    assert found is not None
    return found[1].strip()


def own_commands(name: str) -> list[list[str]]:
    """Return the arguments of a block's commands, made fast. Run them in the folder of `write_own_videos`."""
    commands = [shlex.split(line)[1:] for line in block(name).splitlines()]
    return [[*arguments, *_SMALLER.get(arguments[0], [])] for arguments in commands]


def write_own_videos(folder: Path) -> None:
    """Write the files that README's commands for own videos expect."""
    (folder / "videos").mkdir()
    rows = ["video,start,end,label,split,duration"]
    for number, split in enumerate(("train", "train", "test")):
        write_video(folder / "videos" / f"clip{number}.mp4", frames=60, size=(96, 64))
        rows += [f"clip{number},0.5,2.5,run,{split},6.0", f"clip{number},3.0,5.5,jump,{split},6.0"]
    write_video(folder / "videos" / "idle.mp4", frames=60, size=(96, 64))
    rows.append("idle,,,,train,6.0")
    (folder / "segments.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    write_video(folder / "new.mp4", frames=60, size=(96, 64))
