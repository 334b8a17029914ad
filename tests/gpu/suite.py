"""All that a GPU has to show, in one command on a bare machine: ``python tests/gpu/suite.py --out FOLDER``.

The machine needs Python 3.12, PyTorch 2.11 or later with torchvision, and one GPU; no network. Wheels of what else is
needed are collected beforehand, where there is a network, and carried along::

    python tests/gpu/suite.py --collect WHEELS               # 51 MB at most
    python tests/gpu/suite.py --wheels WHEELS --out FOLDER   # on the machine with the GPU

Every section runs in a process of its own with a time limit; all of them take ten minutes at most. FOLDER receives what
each section measured (NAME.jsonl, written as it is measured) and printed (NAME.log), and in the end all of it as
results.json and table.md. Exit code 1: a section failed, ran out of time, or missed a target.

``--device cpu --small`` runs the same code in small where there is no GPU; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

WHEELS = (
    "annotated-types",
    "av==18.0.0",  # its FFmpeg is one that torchcodec 0.17 works with
    "donfig",
    "google-crc32c",
    "msgspec",
    "numcodecs",
    "pydantic",
    "tabulate",
    "termcolor",
    "torchcodec==0.17.0",
    "tqdm",
    "typing-inspection",
    "zarr",
)
"""What the suite needs beside PyTorch, torchvision, NumPy, click, rich, PyYAML, tensorboard, pytest and hypothesis."""

SOURCES = ("fvcore", "iopath", "parameterized", "portalocker<3", "pytorchvideo", "yacs")
"""More of it: pure Python, partly without wheels on PyPI, so they are built."""

PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


@dataclass(frozen=True)
class Section:
    """One part of the suite: a module of ``sections``, or the tests."""

    name: str
    limit_s: int


SECTIONS = (
    Section("limits", 40),
    Section("tests", 120),
    Section("training_step", 120),
    Section("captured_step", 100),
    Section("training_epoch", 60),
    Section("inference", 40),
    Section("backbones", 150),
    Section("extraction", 150),
    Section("nvdec", 60),
)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument("--collect", type=Path, metavar="WHEELS", help="only download wheels into this folder")
    parser.add_argument("--wheels", type=Path, help="folder of carried wheels to use")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="small sizes, which a CPU finishes in a minute")
    parser.add_argument("--sections", nargs="+", choices=[section.name for section in SECTIONS])
    parser.add_argument("--actionformer", type=Path, metavar="CLONE", help="a clone of ActionFormer to compare with")
    options = parser.parse_args()
    if options.collect:
        collect(options.collect)
        return 0
    if options.out is None:
        parser.error("--out FOLDER is missing")
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        environment = make_environment(Path(scratch), options.wheels)
        results = []
        for section in SECTIONS:
            if not options.sections or section.name in options.sections:
                results.append(run_section(section, options, Path(scratch), environment))
                (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    table, passed = make_table(results)
    (options.out / "table.md").write_text(table)
    print(table)
    return 0 if passed else 1


def collect(folder: Path) -> None:
    """Download the wheels of `WHEELS` for Python 3.12, and build those of `SOURCES`."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    target = ["--no-deps", "--only-binary=:all:", "--python-version=3.12", "--implementation=cp", *platforms]
    download = [*pip, "download", *target, "--dest", str(folder)]
    subprocess.run([*download, *WHEELS], check=True)
    subprocess.run([*download, _pydantic_core(folder)], check=True)
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), *SOURCES], check=True)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {size / 1e6:.1f} MB")


def _pydantic_core(folder: Path) -> str:
    """Return the requirement of the only version of pydantic-core that the downloaded pydantic works with."""
    wheel = next(folder.glob("pydantic-*.whl"))
    with zipfile.ZipFile(wheel) as file:
        metadata = next(name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        text = file.read(metadata).decode()
    return re.search(r"Requires-Dist: (pydantic-core==[0-9.]+)", text)[1]  # type: ignore[index]


def make_environment(scratch: Path, wheels: Path | None) -> dict[str, str]:
    """Return the environment of the sections: this checkout, the carried wheels, and FFmpeg for torchcodec."""
    packages = [str(ROOT), *(str(ROOT / name) for name in ("extract", "train", "evaluate"))]
    environment = dict(os.environ)
    if wheels is not None:
        site = scratch / "site"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(site)]
        subprocess.run([*pip, *map(str, sorted(wheels.glob("*.whl")))], check=True)
        packages.append(str(site))
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(
            [*link_ffmpeg(site / "av.libs", scratch / "ffmpeg"), environment.get("LD_LIBRARY_PATH", "")]
        ).rstrip(os.pathsep)
    environment["PYTHONPATH"] = os.pathsep.join([*packages, environment.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return environment


def link_ffmpeg(libraries: Path, folder: Path) -> list[str]:
    """Link PyAV's FFmpeg under the names that torchcodec looks for, and return the folders for the loader to search."""
    folder.mkdir()
    for library in libraries.glob("lib*.so.*"):
        plain = re.sub(r"-[0-9a-f]{8}(\.so\.\d+).*", r"\1", library.name)
        (folder / plain).symlink_to(library)
    return [str(folder), str(libraries)]


def run_section(
    section: Section, options: argparse.Namespace, scratch: Path, environment: dict[str, str]
) -> dict[str, Any]:
    """Run a section, and return how it ended and what it measured."""
    out, log = options.out / f"{section.name}.jsonl", options.out / f"{section.name}.log"
    out.unlink(missing_ok=True)
    words = [f"--out={out.resolve()}", f"--device={options.device}", f"--scratch={scratch}"]
    words += ["--small"] * options.small
    if options.actionformer:
        words.append(f"--actionformer={options.actionformer.resolve()}")
    # Not as a script, which the processes that it starts would import again.
    program = f"import sys; sys.path.insert(0, {str(HERE / 'sections')!r}); import section, {section.name} as own; "
    command = [sys.executable, "-c", program + "section.main(own.measure)", *words]
    started_s = time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=ROOT, start_new_session=True
        )
        try:
            code = process.wait(timeout=section.limit_s)
            status = "done" if code == 0 else f"failed: {last_line(log) or f'exit code {code}'}"
        except subprocess.TimeoutExpired:
            status = f"stopped after {section.limit_s} s"
        finally:
            stop_all(process)
    seconds = round(time.monotonic() - started_s, 1)
    measures = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    print(f"{section.name}: {status}, {seconds} s", flush=True)
    return {"section": section.name, "status": status, "seconds": seconds, "measures": measures}


def stop_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a section and every process that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_line(log: Path) -> str:
    """Return the last line that a section printed."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def make_table(results: list[dict[str, Any]]) -> tuple[str, bool]:
    """Return the results as a Markdown table, and whether all is well."""
    lines = ["| section | measured | value | target |", "| --- | --- | ---: | --- |"]
    passed = True
    for result in results:
        for measure in result["measures"]:
            value, target = measure["value"], ""
            if measure["at_least"] is not None or measure["at_most"] is not None:
                low, high = measure["at_least"], measure["at_most"]
                met = (low is None or value >= low) and (high is None or value <= high)
                passed = passed and met
                bound = f"at least {low:g}" if low is not None else f"at most {high:g}"
                target = f"{bound}: {'met' if met else '**missed**'}"
            text = value if isinstance(value, str) else f"{value:.4g} {measure['unit']}".rstrip()
            lines.append(f"| {result['section']} | {measure['what']} | {text} | {target} |")
        passed = passed and result["status"] == "done"
        lines.append(f"| {result['section']} | {result['status']} | {result['seconds']:g} s | |")
    return "\n".join(lines) + "\n", passed


if __name__ == "__main__":
    sys.exit(main())
