"""The checks: pure functions from facts to verdicts.

``broken`` means that a main command (extract, train, eval, predict, report) cannot work; a ``warning`` means that it
is slower than necessary or may fail later; a ``note`` is information.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from asl_kit.environment.machine import Folder, Gpu, MachineFacts
from asl_kit.environment.packages import OPTIONAL, REQUIRED, TORCH_FAILS

Answer = Mapping[str, Any]


class Verdict(StrEnum):
    """Severity of a finding."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    """Subject of the check."""
    found: str
    """What was found."""
    verdict: Verdict = Verdict.OK
    """Severity."""
    advice: str = ""
    """What to do; empty if nothing."""

    def to_json(self) -> dict[str, str]:
        """Return all fields."""
        return {"check": self.name, "found": self.found, "verdict": str(self.verdict), "advice": self.advice}


MINIMUM_DRIVER = {13: 580, 12: 525, 11: 450}
"""Minimum major version of the driver, by major version of CUDA.

Source: https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html, table 1.
"""

TORCH_OF_TORCHCODEC = {
    (0, 2): (2, 6),
    (0, 3): (2, 7),
    (0, 4): (2, 7),
    (0, 5): (2, 7),
    (0, 6): (2, 8),
    (0, 7): (2, 8),
    (0, 8): (2, 9),
    (0, 9): (2, 9),
    (0, 10): (2, 10),
    (0, 11): (2, 11),
}
"""The torch version that each torchcodec version needs; torchcodec 0.12 and later work with torch 2.11 and later.

Source: the table in torchcodec's README.
"""

_FIRST_STABLE_TORCHCODEC, _FIRST_STABLE_TORCH = (0, 12), (2, 11)

MINIMUM_BYTES = {"temporary files": 2**30, "downloaded weights": 2 * 2**30, "this folder": 2**30}
"""Minimum free space of each folder; the largest published weights take 1.2 GB."""

MINIMUM_MEMORY_BYTES = 2 * 2**30
"""`asl-kit predict` with a small backbone needs less than this for any video length."""

MINIMUM_OPEN_FILES = 256
"""torch and its libraries keep dozens open, every decoder process three, a Ray cluster many more."""

INSTALL_TORCH = "choose at https://pytorch.org/get-started/locally/"


def check_installation(machine: MachineFacts) -> Check:
    """Check that the running asl-kit is the installed one."""
    name = "asl-kit"
    found = f"{machine.version}, Python {machine.python}, {machine.system} {machine.machine}"
    if machine.installed_version is None or not machine.converters:
        found = f"{found}; not installed, so converters are missing"
        return Check(name, found, Verdict.BROKEN, "pip install . in its folder")
    if machine.installed_version != machine.version:
        found = f"{found}; installed is {machine.installed_version}"
        return Check(name, found, Verdict.WARNING, "install again: pip install . in its folder")
    if machine.system != "Linux":
        return Check(name, found, Verdict.NOTE, "tested on Linux only")
    return Check(name, found)


def check_packages(versions: Mapping[str, str], answers: Mapping[str, Answer]) -> list[Check]:
    """Check the required packages: one check for all that load, and one for each that does not."""
    sound = [name for name in REQUIRED if "fault" not in answers[name]]
    found = ", ".join(f"{name} {versions.get(name, '')}".strip() for name in sound)
    checks = [Check("packages", found)] if sound else []
    for name in REQUIRED:
        if name in sound:
            continue
        if name not in versions:
            checks.append(Check(name, "not installed", Verdict.BROKEN, f"pip install {name}"))
            continue
        found = f"{versions[name]} does not load: {answers[name]['fault']}"
        if name == "torch":
            advice = f"pip install --force-reinstall torch torchvision; {INSTALL_TORCH}"
        elif answers[name]["fault"] == TORCH_FAILS:
            advice = "see torch"
        elif name == "torchvision":
            advice = f"it must match the build of torch {versions['torch']}: install both together; {INSTALL_TORCH}"
        else:
            advice = f"pip install --force-reinstall {name}"
        checks.append(Check(name, found, Verdict.BROKEN, advice))
    return checks


def check_gpu(gpu: Gpu, torch: Answer) -> Check:
    """Check that PyTorch computes on the GPUs of the system."""
    name = "GPU"
    if torch.get("fault") == TORCH_FAILS:
        return Check(name, f"not checked: {TORCH_FAILS}", Verdict.NOTE)
    if "version" not in torch:
        return Check(name, f"cannot be checked: {torch['fault']}", Verdict.BROKEN, "use --device cpu")
    devices, cuda = torch["devices"], torch["cuda"]
    if "fault" in torch:
        advice = f"use --device cpu, or a PyTorch built for this GPU: {INSTALL_TORCH}"
        return Check(name, f"{'; '.join(devices)}; {torch['fault']}", Verdict.BROKEN, advice)
    if devices:
        built = f"CUDA {cuda}" if cuda else f"ROCm {torch['hip']}"
        driver = f", driver {gpu.driver}" if gpu.driver else ""
        found = f"{'; '.join(devices)}; PyTorch for {built}{driver}"
        if "trouble" in torch:
            return Check(name, f"{found}; {torch['trouble']}", Verdict.WARNING, f"another PyTorch: {INSTALL_TORCH}")
        return Check(name, found)
    if gpu.driver is None and not gpu.devices:
        return Check(name, "none; the CPU computes everything", Verdict.NOTE)
    found = f"{', '.join(gpu.names) or 'an NVIDIA driver'}{f', driver {gpu.driver}' if gpu.driver else ''}"
    if cuda is None:
        advice = f"pip install --force-reinstall torch torchvision, both for CUDA: {INSTALL_TORCH}"
        return Check(name, f"{found}; but PyTorch {torch['version']} is for the CPU only", Verdict.WARNING, advice)
    minimum = MINIMUM_DRIVER.get(int(cuda.partition(".")[0]), 0)
    if gpu.driver is not None and int(gpu.driver.partition(".")[0]) < minimum:
        found = f"{found}; PyTorch's CUDA {cuda} needs driver {minimum} or later"
        advice = f"update the NVIDIA driver, or install PyTorch for an older CUDA: {INSTALL_TORCH}"
        return Check(name, found, Verdict.WARNING, advice)
    found = f"{found}; but PyTorch sees none: {torch.get('trouble', 'it does not say why')}"
    if gpu.visible is not None:
        return Check(name, found, Verdict.WARNING, f"CUDA_VISIBLE_DEVICES is {gpu.visible!r}: unset it")
    if not gpu.devices:
        return Check(name, found, Verdict.WARNING, "give the container the GPU: docker run --gpus all")
    return Check(name, found, Verdict.WARNING, "check nvidia-smi; restart after a driver update")


def check_decoders(machine: MachineFacts, answers: Mapping[str, Answer]) -> list[Check]:
    """Check all decoders."""
    versions, libraries = machine.packages, answers["shared libraries"]
    return [
        check_pyav(answers["decoder pyav"]),
        check_decord(versions.get("decord"), answers["decoder decord"], system=machine.system, machine=machine.machine),
        check_torchcodec(
            versions.get("torchcodec"),
            answers["decoder torchcodec"],
            torch=versions.get("torch", ""),
            ffmpeg_library=libraries.get("avcodec"),
        ),
        check_nvdec(
            answers["decoder nvdec"], libraries.get("nvcuvid"), gpus=len(answers["devices"].get("devices", ()))
        ),
    ]


def check_pyav(answer: Answer) -> Check:
    """Check PyAV, which opens every video first."""
    if "fault" in answer:
        return Check("decoder pyav", answer["fault"], Verdict.BROKEN, "pip install --force-reinstall av")
    return Check("decoder pyav", answer["version"])


def check_decord(version: str | None, answer: Answer, *, system: str, machine: str) -> Check:
    """Check decord."""
    name = "decoder decord"
    if version is None:
        if (system, machine) == ("Linux", "x86_64"):
            return Check(name, "not installed", Verdict.NOTE, "if wanted: pip install decord")
        return Check(name, f"none for {system} {machine}", Verdict.NOTE)
    if "fault" in answer:
        advice = "use --decoder pyav, the default"
        return Check(name, f"{version} does not load: {answer['fault']}", Verdict.WARNING, advice)
    return Check(name, answer["version"])


def check_torchcodec(version: str | None, answer: Answer, *, torch: str, ffmpeg_library: str | None) -> Check:
    """Check torchcodec, an extra that must match torch and find FFmpeg."""
    name = "decoder torchcodec"
    if version is None:
        return Check(name, "not installed", Verdict.NOTE, "if wanted: pip install 'asl-kit[torchcodec]', and FFmpeg")
    if "fault" not in answer:
        return Check(name, answer["version"])
    fitting = fitting_torchcodec(_minor(torch))
    if fitting and _minor(version) not in fitting:
        wanted = f"torchcodec=={'.'.join(map(str, max(fitting)))}.*"
        if _minor(torch) >= _FIRST_STABLE_TORCH:
            wanted = f"torchcodec>={'.'.join(map(str, _FIRST_STABLE_TORCHCODEC))}"
        return Check(name, f"{version} does not fit torch {torch}", Verdict.WARNING, f"pip install '{wanted}'")
    if ffmpeg_library is None:
        advice = "apt-get install ffmpeg, or conda install -c conda-forge ffmpeg"
        return Check(name, f"{version} finds no FFmpeg libraries", Verdict.WARNING, advice)
    advice = "install an FFmpeg that it supports, see its README, or use --decoder pyav"
    return Check(name, f"{version} does not load: {answer['fault']}", Verdict.WARNING, advice)


def fitting_torchcodec(torch: tuple[int, int]) -> set[tuple[int, int]]:
    """Return the torchcodec versions (major, minor) that work with a torch version."""
    fitting = {codec for codec, only in TORCH_OF_TORCHCODEC.items() if only == torch}
    if torch >= _FIRST_STABLE_TORCH:
        fitting |= {(0, minor) for minor in range(_FIRST_STABLE_TORCHCODEC[1], 100)}
    return fitting


def _minor(version: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def check_nvdec(answer: Answer, library: str | None, *, gpus: int) -> Check:
    """Check whether videos can be decoded on the GPU, which is never the default."""
    name = "decoder nvdec"
    if not gpus:
        return Check(name, "needs a GPU that PyTorch computes on", Verdict.NOTE)
    if "fault" in answer:
        return Check(name, answer["fault"], Verdict.NOTE, "if wanted: see torchcodec")
    if "+cpu" in answer["version"]:
        advice = "if wanted: a torchcodec for CUDA: https://github.com/meta-pytorch/torchcodec#installing-torchcodec"
        return Check(name, f"{answer['version']} is for the CPU only", Verdict.NOTE, advice)
    if library is None:
        advice = "install the whole driver; in a container NVIDIA_DRIVER_CAPABILITIES must name `video`"
        return Check(name, "NVDEC's library, libnvcuvid, cannot be loaded", Verdict.NOTE, f"if wanted: {advice}")
    return Check(name, answer["version"])


def check_shared_memory(free_bytes: int | None, processes: Answer, *, gpus: int) -> Check:
    """Check that the decoder processes have enough shared memory; they use half of what is free."""
    name = "shared memory"
    if "fault" in processes or free_bytes is None:
        found = f"not checked: {processes['fault']}" if "fault" in processes else "no /dev/shm, so no limit"
        return Check(name, found, Verdict.NOTE)
    workers = processes["workers"] if gpus else 1
    needed = 2 * workers * processes["bytes_per_worker"]
    default = f"{workers} decoder processes of --workers" if workers > 1 else "decoder processes (--workers 1)"
    found = f"{size_text(free_bytes)} free in /dev/shm; {default} need {size_text(needed)}"
    if free_bytes >= needed:
        return Check(name, found)
    gib = -(-needed // 2**30)
    advice = f"docker run --shm-size={gib}g, or use --workers 0; until then frames are passed on in small pieces"
    return Check(name, found, Verdict.WARNING if gpus else Verdict.NOTE, advice)


def check_memory(available_bytes: int | None) -> Check:
    """Check the available memory."""
    if available_bytes is None:
        return Check("memory", "not known", Verdict.NOTE)
    found = f"{size_text(available_bytes)} available"
    if available_bytes >= MINIMUM_MEMORY_BYTES:
        return Check("memory", found)
    return Check("memory", found, Verdict.WARNING, "close other programs, or use a smaller --backbone and --batch-size")


def check_open_files(limit: int | None) -> Check:
    """Check the limit on open files."""
    name = "open files"
    if limit is None or limit >= MINIMUM_OPEN_FILES:
        return Check(name, "no limit" if limit is None else f"up to {limit}")
    advice = f"ulimit -n {4 * MINIMUM_OPEN_FILES}, or fewer --workers"
    return Check(name, f"up to {limit}, expected at least {MINIMUM_OPEN_FILES}", Verdict.WARNING, advice)


def check_folder(folder: Folder) -> Check:
    """Check a folder that asl-kit writes to."""
    name = folder.use
    settings = {"temporary files": "set TMPDIR to", "downloaded weights": "set TORCH_HOME to", "this folder": "go to"}
    advice = f"{settings[name]} a folder elsewhere"
    if not folder.writable:
        harmless = Verdict.NOTE if name == "this folder" else Verdict.WARNING
        return Check(name, f"{folder.path}: cannot be written", harmless, advice)
    found = f"{folder.path}: {size_text(folder.free_bytes)} free"
    if folder.free_bytes < MINIMUM_BYTES[name]:
        return Check(name, found, Verdict.WARNING, f"free some space, or {advice}")
    return Check(name, found)


def check_ffmpeg(version: str | None) -> Check:
    """Check the ffmpeg program, which cuts clips."""
    if version is None:
        return Check("ffmpeg program", "none", Verdict.NOTE, "for predict --clips: apt-get install ffmpeg")
    return Check("ffmpeg program", version)


def check_extras(versions: Mapping[str, str]) -> list[Check]:
    """Return one check for each optional package."""
    return [
        Check(package, versions[package])
        if package in versions
        else Check(package, "not installed", Verdict.NOTE, f"for {purpose}: pip install 'asl-kit[{extra}]'")
        for package, (extra, purpose) in OPTIONAL.items()
    ]


def size_text(size: int) -> str:
    """Return a number of bytes for people.

    >>> size_text(64 * 2**20), size_text(3 * 2**30)
    ('64 MiB', '3.0 GiB')
    """
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def all_checks(machine: MachineFacts, answers: Mapping[str, Answer]) -> list[Check]:
    """Return all checks of the machine and of the probes' answers."""
    devices = answers["devices"]
    gpus = len(devices.get("devices", ()))
    return [
        check_installation(machine),
        *check_packages(machine.packages, answers),
        check_gpu(machine.gpu, devices),
        *check_decoders(machine, answers),
        check_shared_memory(machine.shared_memory_bytes, answers["decoder processes"], gpus=gpus),
        check_memory(machine.memory_bytes),
        check_open_files(machine.open_files),
        *map(check_folder, machine.folders),
        check_ffmpeg(machine.ffmpeg),
        *check_extras(machine.packages),
    ]
