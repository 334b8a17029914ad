"""Probes: facts that need imports, collected in a separate process.

An import may fail, crash its process or hang. So the probes run one after the other in
another process; after a probe that ends the process, the rest run in a new one.
"""

from __future__ import annotations

import ctypes.util
import importlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from asl_kit.environment.packages import REQUIRED, TORCH_FAILS
from asl_kit.errors import AslKitError

DECODERS = ("decord", "pyav", "torchcodec", "nvdec")
LIMIT_S = 90.0
"""All imports together take less time, even from a slow network drive, unless one hangs."""

NEEDS_TORCH = ("torchvision", "pytorchvideo", "devices", "decoder torchcodec", "decoder nvdec")
"""Probes that are skipped if PyTorch does not load, because they import it too."""

Answer = dict[str, Any]


def run_probes(names: Sequence[str], *, limit_s: float = LIMIT_S) -> dict[str, Answer]:
    """Return the answer of each probe, JSON-ready; that of a failed probe has the reason as `fault`.

    Parameters
    ----------
    names : sequence of str
        Keys of `PROBES`.
    limit_s : float
        Time limit for all probes of a process together.
    """
    answers: dict[str, Answer] = {}
    waiting = sorted(names, key=lambda name: name != "torch")
    code = (
        "import sys, json; sys.path[:] = json.loads(sys.argv[1]);"
        " from asl_kit.environment.import_probes import main; main(sys.argv[2:])"
    )
    while waiting:
        command = [sys.executable, "-c", code, json.dumps(sys.path), *waiting]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=limit_s
            )
            lines, ending = done.stdout, f"the process ended with {_exit_text(done.returncode)}"
        except subprocess.TimeoutExpired as fault:
            lines, ending = fault.stdout or b"", f"does not return within {limit_s:g} s"
        except OSError as fault:
            lines, ending = b"", f"cannot start a process: {fault.strerror}"
        for line in lines.splitlines():
            with suppress(ValueError):  # cut short by a crash
                answers.update(json.loads(line))
        waiting = [name for name in waiting if name not in answers]
        if waiting:
            answers[waiting.pop(0)] = {"fault": ending}
        if "fault" in answers.get("torch", ()):
            answers |= {name: {"fault": TORCH_FAILS} for name in NEEDS_TORCH if name in names}
            waiting = [name for name in waiting if name not in NEEDS_TORCH]
    return answers


def _exit_text(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def main(names: Sequence[str]) -> None:
    """Run probes in this process and print each answer as a line of JSON."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # packages may print on import
        for name in names:
            try:
                answer = PROBES[name]()
            except AslKitError as fault:
                cause = f" ({first_line(fault.__cause__)})" if fault.__cause__ else ""
                answer = {"fault": fault.message + cause}
            except BaseException as fault:  # a package may raise anything, SystemExit too
                answer = {"fault": f"{type(fault).__name__}: {first_line(fault)}"}
            print(json.dumps({name: answer}), file=answers, flush=True)


def first_line(fault: BaseException) -> str:
    """Return the first line of an error message."""
    return (str(fault).strip().splitlines() or ["no message"])[0]


def _import(module: str) -> Answer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(module)
    return {}


def _decoder(name: str) -> Answer:
    from asl_extract.decoders import get_decoder

    return {"version": get_decoder(name).version()}


def _torch_devices() -> Answer:
    """Return the build of torch and the GPUs that it computes on; `trouble` is its message about others."""
    import torch

    facts: Answer = {"version": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        facts["devices"] = []
        if torch.cuda.is_available():
            for index in range(torch.cuda.device_count()):
                properties = torch.cuda.get_device_properties(index)
                facts["devices"].append(f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")
                try:
                    if int((torch.ones(2, device=f"cuda:{index}") + 1).sum()) != 4:
                        facts["fault"] = f"cuda:{index} computes 1 + 1 wrongly"
                except RuntimeError as fault:
                    facts["fault"] = f"cuda:{index}: {first_line(fault)}"
        else:
            # torch reports why it sees no GPU.
            with suppress(AssertionError):
                try:
                    torch.cuda.init()
                except RuntimeError as fault:
                    facts["trouble"] = first_line(fault)
    if caught:
        facts.setdefault("trouble", first_line(Warning(str(caught[0].message))))
    return facts


def _decoder_processes() -> Answer:
    """Return the default number of decoder processes for one GPU, and the shared memory of each."""
    from asl_extract.decoding.events import BLOCK_BYTES
    from asl_extract.decoding.workers import BUFFERS_PER_WORKER, choose_workers

    workers = choose_workers("cuda", decoder="pyav")
    return {"workers": workers, "bytes_per_worker": BUFFERS_PER_WORKER * BLOCK_BYTES}


def _shared_libraries() -> Answer:
    """Return the libraries of FFmpeg and of NVIDIA's decoder that the system finds."""
    libraries = {"avcodec": ctypes.util.find_library("avcodec")}
    try:
        ctypes.CDLL("libnvcuvid.so.1")
        libraries["nvcuvid"] = "libnvcuvid.so.1"
    except OSError:
        libraries["nvcuvid"] = None
    return libraries


PROBES: dict[str, Callable[[], Answer]] = {
    **{name: partial(_import, module) for name, module in REQUIRED.items()},
    "devices": _torch_devices,
    "decoder processes": _decoder_processes,
    "shared libraries": _shared_libraries,
    **{f"decoder {name}": partial(_decoder, name) for name in DECODERS},
}
"""All probes by name; those of required packages have the package's name."""
