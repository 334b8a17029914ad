"""What is published: a wheel and an sdist that hold what they should, and that run outside the checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import BytesParser
from email.policy import compat32
from pathlib import Path, PurePosixPath

import pytest
from helpers.readme import own_commands, write_own_videos
from packaging.metadata import Metadata

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "asl_kit": "asl_kit",
    "asl_extract": "extract/asl_extract",
    "asl_train": "train/asl_train",
    "asl_evaluate": "evaluate/asl_evaluate",
    "asl_kit/manifests/data": "manifests",
}
"""Folder in the checkout, by folder in the wheel."""
TYPES = {".py", ".typed", ".toml", ".js", ".css", ".html"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def build(source: Path, out: Path, kind: str) -> Path:
    code = f"import sys; from hatchling.build import build_{kind}; print(build_{kind}(sys.argv[1]))"
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)], cwd=source, capture_output=True, text=True, check=True
    )
    return out / done.stdout.split()[-1]


def source_files() -> set[str]:
    """Return what a wheel must hold of the checkout, by the wheel's names."""
    return {
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def files_of(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def contents(archive: zipfile.ZipFile) -> dict[str, bytes]:
    return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("built") / "wheel", "wheel")


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == "asl_kit-0.1.0-py3-none-any.whl"
    files = files_of(wheel)
    assert files == source_files()
    assert {PurePosixPath(name).suffix or PurePosixPath(name).name for name in files} <= TYPES
    assert {name for name in files if name.endswith("py.typed")} == {
        f"{package}/py.typed" for package in PACKAGES if "/" not in package
    }


def test_its_metadata_is_complete(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("asl_kit-0.1.0.dist-info/METADATA")
        assert archive.read("asl_kit-0.1.0.dist-info/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    metadata = Metadata.from_email(text, validate=True)
    assert metadata.license_expression == "Apache-2.0"
    assert str(metadata.requires_python) == ">=3.11"
    assert metadata.description_content_type == "text/markdown"
    assert "Operating System :: POSIX :: Linux" in (metadata.classifiers or [])
    for field in ("Summary", "Keywords"):
        assert BytesParser(policy=compat32).parsebytes(text)[field]


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = build(ROOT, tmp_path / "sdist", "sdist")
    with tarfile.open(sdist) as archive:
        members = archive.getnames()
    shutil.unpack_archive(sdist, tmp_path)
    assert sdist.stat().st_size < 10e6
    parts = {part for name in members for part in PurePosixPath(name).parts}
    assert not [part for part in parts if part.endswith(("_cache", "__pycache__", ".pyc", ".whl", ".egg-info"))]
    top = {PurePosixPath(name).parts[1] for name in members}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "PKG-INFO", "docs", "tests"} <= top
    again = build(tmp_path / "asl_kit-0.1.0", tmp_path / "again", "wheel")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert {name: one.read(name) for name in one.namelist()} == {
            name: other.read(name) for name in other.namelist()
        }


def test_the_wheel_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """README's commands for users' own videos, in an environment that knows the checkout's dependencies only."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    site = next((environment / "lib").glob("python*/site-packages"))
    # A folder named by a .pth file does not have its own .pth files read: the checkout's is one of them.
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*install, "--quiet", "--disable-pip-version-check"], check=True)
    work = tmp_path / "work"
    work.mkdir()
    write_own_videos(work)
    commands = [["convert", "--list"], ["train", "--list-recipes"], ["annotations", "schema"], *own_commands("own")]
    commands += [own_commands("look")[0]]
    # In one process: loading PyTorch takes longer than any of them.
    code = (
        "import json, sys, asl_kit, asl_extract, asl_train, asl_evaluate; from asl_kit.cli import main\n"
        "if __name__ == '__main__':\n"
        "    for package in (asl_kit, asl_extract, asl_train, asl_evaluate):\n"
        "        assert package.__file__.startswith(sys.prefix), package.__file__\n"
        "    for arguments in json.loads(sys.argv[1]):\n"
        "        print('$', *arguments, flush=True)\n"
        "        main(arguments, standalone_mode=False)\n"
    )
    (tmp_path / "run.py").write_text(code)
    done = subprocess.run(
        [python, tmp_path / "run.py", json.dumps(commands)],
        cwd=work, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "thumos14" in done.stdout
    assert "new" in json.loads((work / "detections.json").read_text(encoding="utf-8"))["results"]
    assert "<script" in (work / "report.html").read_text(encoding="utf-8")
    doctor = [environment / "bin" / "asl-kit", "doctor", "--json", "-"]
    done = subprocess.run(doctor, cwd=work, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {check["check"]: check["found"] for check in json.loads(done.stdout)["checks"]}
    assert "torch 2." in found["packages"]
    assert found["decoder pyav"].startswith("pyav ")
