"""Every trouble that the doctor knows, by facts that are made up: nobody has them all."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from asl_kit.environment import Verdict, checks
from asl_kit.environment.machine import Folder, Gpu, MachineFacts, driver_version
from asl_kit.environment.packages import OPTIONAL, REQUIRED, TORCH_FAILS

GIB = 2**30
H100 = Gpu(("NVIDIA H100",), "580.65.06", devices=True)


def machine(**changes: Any) -> MachineFacts:
    fields = {
        "version": "0.1.0",
        "installed_version": "0.1.0",
        "converters": 15,
        "python": "3.11.7",
        "system": "Linux",
        "machine": "x86_64",
        "packages": {"torch": "2.15.0"},
        "gpu": Gpu(),
        "shared_memory_bytes": 8 * GIB,
        "memory_bytes": 8 * GIB,
        "open_files": 1024,
        "folders": (),
        "ffmpeg": None,
    }
    return MachineFacts(**(fields | changes))


def torch(**changes: Any) -> dict[str, Any]:
    return {"version": "2.15.0+cu132", "cuda": "13.2", "hip": None, "devices": []} | changes


def expect(check: checks.Check, verdict: str, found: str, advice: str) -> None:
    assert check.verdict == verdict, check
    assert re.search(found, check.found), check
    assert re.search(advice, check.advice) if advice else not check.advice, check


@pytest.mark.parametrize(
    ("changes", "verdict", "found", "advice"),
    [
        pytest.param({}, "ok", "0.1.0, Python 3.11.7, Linux x86_64", "", id="sound"),
        pytest.param({"installed_version": None}, "broken", "not installed", "pip install", id="never-installed"),
        pytest.param({"converters": 0}, "broken", "converters are missing", "pip install", id="no-entry-points"),
        pytest.param({"installed_version": "0.0.9"}, "warning", "installed is 0.0.9", "again", id="another-version"),
        pytest.param({"system": "Darwin", "machine": "arm64"}, "note", "Darwin arm64", "Linux only", id="not-linux"),
    ],
)
def test_installation(changes: dict[str, Any], verdict: str, found: str, advice: str) -> None:
    expect(checks.check_installation(machine(**changes)), verdict, found, advice)


VERSIONS = dict.fromkeys(REQUIRED, "1.0") | {"torch": "2.15.0"}
NO_TORCH = {name: {"fault": TORCH_FAILS} for name in ("torchvision", "pytorchvideo")}


@pytest.mark.parametrize(
    ("absent", "answers", "expected"),
    [
        pytest.param((), {}, [], id="all-load"),
        pytest.param(("zarr",), {"zarr": {"fault": "x"}}, [("zarr", "not installed", "pip install zarr")], id="absent"),
        pytest.param(
            (),
            {"av": {"fault": "the process ended with signal 11"}},
            [("av", "1.0 does not load: the process ended with signal 11", "pip install --force-reinstall av")],
            id="crashes",
        ),
        pytest.param(
            (),
            {"torchvision": {"fault": "RuntimeError: operator torchvision::nms does not exist"}},
            [("torchvision", "torchvision::nms", "match the build of torch 2.15.0: install both together")],
            id="torchvision-of-another-build",
        ),
        pytest.param(
            (),
            {"torch": {"fault": "OSError: libcudart.so.13"}, **NO_TORCH},
            [
                ("pytorchvideo", TORCH_FAILS, "see torch"),
                ("torch", "libcudart.so.13", "force-reinstall torch torchvision"),
                ("torchvision", TORCH_FAILS, "see torch"),
            ],
            id="torch-and-all-that-needs-it",
        ),
    ],
)
def test_packages(absent: tuple[str, ...], answers: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    versions = {name: version for name, version in VERSIONS.items() if name not in absent}
    sound, *faulty = checks.check_packages(versions, {name: {} for name in REQUIRED} | answers)
    assert sound.verdict == Verdict.OK
    assert not set(answers) & set(re.findall(r"[\w-]+(?= \d)", sound.found))
    assert [check.name for check in faulty] == [name for name, _, _ in expected]
    for check, (_, found, advice) in zip(faulty, expected, strict=True):
        expect(check, "broken", found, advice)


@pytest.mark.parametrize(
    ("gpu", "answer", "verdict", "found", "advice"),
    [
        pytest.param(Gpu(), torch(trouble="Found no NVIDIA driver"), "note", "none; the CPU computes", "", id="no-gpu"),
        pytest.param(Gpu(), torch(cuda=None), "note", "the CPU computes", "", id="no-gpu-cpu-torch"),
        pytest.param(
            H100, torch(devices=["NVIDIA H100, 80 GiB"]), "ok", "80 GiB; .*CUDA 13.2, driver 580.65", "", id="gpu"
        ),
        pytest.param(
            Gpu(), torch(devices=["MI300X, 192 GiB"], cuda=None, hip="6.4"), "ok", "for ROCm 6.4", "", id="amd-gpu"
        ),
        pytest.param(
            H100, torch(version="2.15.0+cpu", cuda=None), "warning", "H100.* 2.15.0.cpu is for the CPU only",
            "both for CUDA", id="cpu-only-torch-beside-a-gpu",
        ),
        pytest.param(
            Gpu(("A100",), "535.104.05", devices=True), torch(), "warning", "CUDA 13.2 needs driver 580 or later",
            "update the NVIDIA driver, or install PyTorch for an older CUDA", id="driver-too-old-for-13",
        ),
        pytest.param(
            Gpu(("P100",), "470.57.02", devices=True), torch(cuda="12.6"), "warning", "needs driver 525", "update",
            id="driver-too-old-for-12",
        ),
        pytest.param(
            Gpu(("A100",), "525.60.13", devices=True), torch(cuda="12.6", trouble="Error 802: not yet initialized"),
            "warning", "sees none: Error 802", "nvidia-smi", id="the-oldest-driver-that-does",
        ),
        pytest.param(
            Gpu(("A100",), "535.104.05", devices=True), torch(devices=["A100, 40 GiB"]), "ok", "driver 535", "",
            id="an-old-driver-with-the-compatibility-package",
        ),
        pytest.param(
            Gpu((), "580.65.06", devices=False), torch(trouble="No CUDA GPUs are available"), "warning",
            "an NVIDIA driver, driver 580.65.06; .*No CUDA", "docker run --gpus all", id="container-without-the-gpu",
        ),
        pytest.param(
            Gpu(("A100",), "580.65.06", devices=True, visible=""), torch(), "warning", "does not say why",
            "CUDA_VISIBLE_DEVICES is ''", id="hidden-by-the-environment",
        ),
        pytest.param(
            H100, torch(devices=["GTX 960, 4 GiB"], fault="cuda:0: no kernel image is available"), "broken",
            "no kernel image", "--device cpu, or a PyTorch built for", id="gpu-that-torch-was-not-built-for",
        ),
        pytest.param(
            H100, torch(devices=["GTX 960, 4 GiB"], trouble="sm_52 is not compatible"), "warning", "sm_52", "another",
            id="gpu-that-torch-warns-of",
        ),
        pytest.param(H100, {"fault": TORCH_FAILS}, "note", TORCH_FAILS, "", id="torch-does-not-load"),
        pytest.param(
            H100, {"fault": "the process ended with signal 11"}, "broken", "signal 11", "--device cpu", id="crash"
        ),
    ],
)  # fmt: skip
def test_gpu(gpu: Gpu, answer: dict[str, Any], verdict: str, found: str, advice: str) -> None:
    expect(checks.check_gpu(gpu, answer), verdict, found, advice)


@pytest.mark.parametrize(
    ("version", "answer", "system", "cpu", "verdict", "found", "advice"),
    [
        pytest.param("0.6.0", {"version": "decord 0.6.0"}, "Linux", "x86_64", "ok", "decord 0.6.0", "", id="sound"),
        pytest.param(None, {"fault": "x"}, "Linux", "x86_64", "note", "not installed", "install decord", id="absent"),
        pytest.param(None, {"fault": "x"}, "Linux", "aarch64", "note", "none for Linux aarch64", "", id="arm"),
        pytest.param(
            "0.6.0", {"fault": "libdecord.so"}, "Linux", "x86_64", "warning", "0.6.0 does not load: libdecord.so",
            "use --decoder pyav", id="broken",
        ),
    ],
)  # fmt: skip
def test_decord(
    version: str | None, answer: dict[str, Any], system: str, cpu: str, verdict: str, found: str, advice: str
) -> None:
    expect(checks.check_decord(version, answer, system=system, machine=cpu), verdict, found, advice)


FAULT = {"fault": "decoder 'torchcodec' cannot be loaded"}


@pytest.mark.parametrize(
    ("version", "answer", "with_torch", "ffmpeg", "verdict", "found", "advice"),
    [
        pytest.param(None, FAULT, "2.15.0", None, "note", "not installed", r"pip install 'asl-kit\[torch", id="absent"),
        pytest.param("0.17.0", {"version": "torchcodec 0.17.0"}, "2.15.0", "x", "ok", "0.17.0", "", id="sound"),
        pytest.param("0.17.0", FAULT, "2.15.0", None, "warning", "finds no FFmpeg", "apt-get install", id="no-ffmpeg"),
        pytest.param(
            "0.7.0", FAULT, "2.9.1", "x", "warning", "0.7.0 does not fit torch 2.9.1", r"torchcodec==0\.9\.\*", id="old"
        ),
        pytest.param(
            "0.17.0", FAULT, "2.8.0", "x", "warning", "0.17.0 does not fit torch 2.8", r"torchcodec==0\.7\.\*", id="new"
        ),
        pytest.param("0.10.0", FAULT, "2.15.0", "x", "warning", "0.10.0 does not fit", "torchcodec>=0.12", id="older"),
        pytest.param(
            "0.17.0", FAULT, "2.15.0", "libavcodec.so.57", "warning", "does not load", "FFmpeg that it supports",
            id="an-ffmpeg-that-it-does-not-know",
        ),
    ],
)  # fmt: skip
def test_torchcodec(
    version: str | None,
    answer: dict[str, Any],
    with_torch: str,
    ffmpeg: str | None,
    verdict: str,
    found: str,
    advice: str,
) -> None:
    check = checks.check_torchcodec(version, answer, torch=with_torch, ffmpeg_library=ffmpeg)
    expect(check, verdict, found, advice)


@pytest.mark.parametrize(
    ("torch_version", "fitting"),
    [((2, 5), []), ((2, 6), [2]), ((2, 7), [3, 4, 5]), ((2, 10), [10]), ((2, 11), [11, 12, 13]), ((2, 15), [12, 13])],
    ids=str,
)
def test_torchcodecs_table(torch_version: tuple[int, int], fitting: list[int]) -> None:
    found = sorted(minor for _, minor in checks.fitting_torchcodec(torch_version) if minor < 14)
    assert found == fitting


@pytest.mark.parametrize(
    ("answer", "library", "gpus", "found", "advice"),
    [
        pytest.param(FAULT, None, 0, "needs a GPU", "", id="no-gpu"),
        pytest.param(FAULT, "x", 1, "cannot be loaded", "see torchcodec", id="no-torchcodec"),
        pytest.param({"version": "nvdec (torchcodec 0.17.0+cpu)"}, "x", 1, "the CPU only", "CUDA", id="cpu-build"),
        pytest.param({"version": "nvdec (torchcodec 0.17.0+cu130)"}, None, 1, "libnvcuvid", "`video`", id="no-library"),
    ],
)
def test_nvdec(answer: dict[str, Any], library: str | None, gpus: int, found: str, advice: str) -> None:
    expect(checks.check_nvdec(answer, library, gpus=gpus), "note", found, advice)


def test_nvdec_that_works() -> None:
    expect(checks.check_nvdec({"version": "nvdec (torchcodec 0.17.0+cu130)"}, "x", gpus=1), "ok", "nvdec", "")


PROCESSES = {"workers": 8, "bytes_per_worker": 96 * 2**20}


@pytest.mark.parametrize(
    ("free", "answer", "gpus", "verdict", "found", "advice"),
    [
        pytest.param(8 * GIB, PROCESSES, 1, "ok", "8 decoder processes .* need 1.5 GiB", "", id="plenty"),
        pytest.param(64 * 2**20, PROCESSES, 1, "warning", "64 MiB free", "--shm-size=2g", id="dockers-default"),
        pytest.param(64 * 2**20, PROCESSES, 0, "note", "need 192 MiB", "--shm-size=1g", id="on-a-cpu"),
        pytest.param(192 * 2**20, PROCESSES, 0, "ok", "192 MiB free", "", id="just-enough"),
        pytest.param(None, PROCESSES, 1, "note", "no /dev/shm", "", id="no-such-folder"),
        pytest.param(8 * GIB, {"fault": TORCH_FAILS}, 0, "note", TORCH_FAILS, "", id="torch-does-not-load"),
    ],
)
def test_shared_memory(
    free: int | None, answer: dict[str, Any], gpus: int, verdict: str, found: str, advice: str
) -> None:
    expect(checks.check_shared_memory(free, answer, gpus=gpus), verdict, found, advice)


FOLDER = Folder("temporary files", Path("/tmp"), 4 * GIB, writable=True)


@pytest.mark.parametrize(
    ("check", "verdict", "found", "advice"),
    [
        pytest.param(checks.check_memory(3 * GIB), "ok", "3.0 GiB available", "", id="memory"),
        pytest.param(checks.check_memory(GIB), "warning", "1.0 GiB", "smaller --backbone", id="little-memory"),
        pytest.param(checks.check_memory(None), "note", "not known", "", id="memory-not-known"),
        pytest.param(checks.check_open_files(1024), "ok", "up to 1024", "", id="open-files"),
        pytest.param(checks.check_open_files(None), "ok", "no limit", "", id="no-limit-of-open-files"),
        pytest.param(checks.check_open_files(64), "warning", "expected at least 256", "ulimit -n 1024", id="few-files"),
        pytest.param(checks.check_folder(FOLDER), "ok", "/tmp: 4.0 GiB free", "", id="folder"),
        pytest.param(
            checks.check_folder(Folder("temporary files", Path("/tmp"), 5 * 2**20, writable=True)),
            "warning", "5 MiB free", "free some space, or set TMPDIR", id="full-disk",
        ),
        pytest.param(
            checks.check_folder(Folder("downloaded weights", Path("/c"), GIB, writable=True)),
            "warning", "1.0 GiB free", "TORCH_HOME", id="little-room-for-weights",
        ),
        pytest.param(
            checks.check_folder(Folder("downloaded weights", Path("/c"), 9 * GIB, writable=False)),
            "warning", "/c: cannot be written", "set TORCH_HOME", id="read-only-cache",
        ),
        pytest.param(
            checks.check_folder(Folder("this folder", Path("/r"), 9 * GIB, writable=False)),
            "note", "cannot be written", "go to a folder elsewhere", id="read-only-folder",
        ),
        pytest.param(checks.check_ffmpeg("5.1.9"), "ok", "5.1.9", "", id="ffmpeg"),
        pytest.param(checks.check_ffmpeg(None), "note", "none", "predict --clips: apt-get install", id="no-ffmpeg"),
        pytest.param(checks.check_pyav({"version": "pyav 18.1.0"}), "ok", "pyav 18", "", id="pyav"),
        pytest.param(checks.check_pyav({"fault": "no libav"}), "broken", "no libav", "reinstall av", id="broken-pyav"),
    ],
)  # fmt: skip
def test_other_checks(check: checks.Check, verdict: str, found: str, advice: str) -> None:
    expect(check, verdict, found, advice)


def test_extras_are_information_only() -> None:
    found = {check.name: check for check in checks.check_extras({"h5py": "3.16.0"})}
    expect(found.pop("h5py"), "ok", "3.16.0", "")
    for check in found.values():
        expect(check, "note", "not installed", r"pip install 'asl-kit\[(hf|mlflow|opencv|ray|remote|timm|wandb)\]'")


def test_every_dependency_is_known() -> None:
    """What pyproject.toml asks for, and the doctor's own lists, are the same."""
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name_of = re.compile(r"[\w.-]+").match
    required = {name_of(line)[0] for line in project["dependencies"]}  # type: ignore[index]
    extras = {
        name_of(line)[0]: extra  # type: ignore[index]
        for extra, lines in project["optional-dependencies"].items()
        for line in lines
        if extra not in ("test", "dev", "docs")
    }
    assert required == {*REQUIRED, "decord"}
    assert extras == {name: extra for name, (extra, _) in OPTIONAL.items()} | {"torchcodec": "torchcodec"}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        pytest.param("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19", "535.104.05", id="own"),
        pytest.param(
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build", "580.65.06", id="open"
        ),
        pytest.param("something else", None, id="neither"),
    ],
)
def test_driver_version(text: str, version: str | None) -> None:
    assert driver_version(text) == version
