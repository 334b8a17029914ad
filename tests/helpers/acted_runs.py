"""What acts as a run of a study, in a process; a module of its own, so that the process imports nothing heavy."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def act(connection: Connection, job: Any, device: str, threads: int) -> None:
    """Do what the name of a run says, in place of training, and leave a file named after the process."""
    path = Path(job.run.name)
    path.with_suffix(f".{os.getpid()}").write_text(device)
    if path.name == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name == "hangs":
        time.sleep(100)
    connection.send("no features" if path.name == "fails" else None)
