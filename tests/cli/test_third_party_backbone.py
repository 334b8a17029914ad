"""Backbones of other packages: found by their entry point, and their failures told from ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from helpers.command_line import run
from helpers.support import write_video

from asl_extract.backbones import BACKBONES, backbone_names, get_backbone
from asl_extract.backbones.listing import COLUMNS, describe
from asl_extract.extractor import Extractor
from asl_kit.store import FeatureStore

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "example_backbone"
CODE = (EXAMPLE / "src" / "colour_asl_kit" / "__init__.py").read_text(encoding="utf-8")

Offer = Callable[..., None]


@pytest.fixture
def offer(offer_entry_point: Offer) -> Offer:
    return partial(offer_entry_point, group="asl_kit.backbones", target="SPEC", name="colour")


def extract(folder: Path, *arguments: str) -> Result:
    video = write_video(folder / "clip.mp4", frames=20)
    return run("extract", video, "-o", folder / "store", "--device", "cpu", "--weights", "random", *arguments)


@pytest.mark.parametrize("code", [CODE, CODE.replace("SPEC = BackboneSpec(", "SPEC = lambda: BackboneSpec(")])
def test_example_extracts(offer: Offer, code: str, tmp_path: Path) -> None:
    offer(code)
    assert "colour" in backbone_names()
    result = extract(tmp_path, "--backbone", "colour")
    assert result.exit_code == 0, result.stderr
    store = FeatureStore.open(tmp_path / "store")
    assert (store.spec.backbone, store.spec.window_frames, store.spec.stride_frames) == ("colour", 16, 4)
    assert store.read("clip").shape == (2, 32)
    again = Extractor(store.spec, device="cpu").extract(tmp_path / "clip.mp4")
    np.testing.assert_allclose(again.features, store.read("clip"), rtol=1e-3)


FAILURES = {
    "module missing": ("import not_there", "cannot be loaded: No module named 'not_there'"),
    "no SPEC": ("x = 1", "cannot be loaded: module 'other_package' has no attribute 'SPEC'"),
    "not Python": ("def", "cannot be loaded: invalid syntax"),
    "raises": ("raise RuntimeError('no licence')", "cannot be loaded: no licence"),
    "exits": ("raise SystemExit(0)", "cannot be loaded: SystemExit: 0"),
    "mean of two": (
        CODE.replace("mean=(0.45, 0.45, 0.45)", "mean=(0.45, 0.45)"),
        "cannot be loaded: mean of a BackboneSpec must be a tuple of 3 numbers, found (0.45, 0.45)",
    ),
    "no frames": (
        CODE.replace("clip_frames=8", "clip_frames=0"),
        "cannot be loaded: clip_frames of a BackboneSpec must be an integer of 1 or more, found 0",
    ),
    "no function": (
        CODE.replace("build=_build", "build=64"),
        "cannot be loaded: build of a BackboneSpec must be a function, found 64",
    ),
    "function raises": ("def SPEC(): return {}['x']", "cannot be loaded: KeyError: 'x'"),
    "something else": ("SPEC = 'x3d'", "must be a BackboneSpec or return one, found 'x3d'"),
    "function returns nothing": ("def SPEC(): pass", "must be a BackboneSpec or return one, found None"),
    "another name": (
        CODE.replace('name="colour"', 'name="color"'),
        "must have the same name in its BackboneSpec, found 'color'",
    ),
}


@pytest.mark.parametrize(("code", "message"), FAILURES.values(), ids=FAILURES)
def test_what_fails_is_one_message_that_names_the_package(
    offer: Offer, code: str, message: str, tmp_path: Path
) -> None:
    offer(code)
    result = extract(tmp_path, "--backbone", "colour")
    assert result.exit_code == 1
    who = "error: the backbone 'colour' (other_package:SPEC) of the package other-package "
    assert result.stderr.startswith(who + message)
    assert not (tmp_path / "store").exists()


def test_two_packages_of_one_name(offer: Offer, tmp_path: Path) -> None:
    offer(CODE, module="first_package")
    offer(CODE, module="second_package")
    result = extract(tmp_path, "--backbone", "colour")
    assert result.exit_code == 2
    places = "first-package (first_package:SPEC), second-package (second_package:SPEC)"
    assert f"2 packages provide a backbone 'colour': {places}\nhint: Uninstall all but one." in result.stderr


def test_a_name_of_ours(offer: Offer, tmp_path: Path) -> None:
    offer(CODE, name="x3d_xs")
    result = extract(tmp_path, "--backbone", "x3d_xs")
    assert result.exit_code == 2
    start = "error: the package other-package (other_package:SPEC) provides a backbone 'x3d_xs', which asl-kit also has"
    assert result.stderr.startswith(start)


def test_list_shows_all_and_a_broken_package_too(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    offer("raise RuntimeError('no licence')")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("torch.hub.download_url_to_file", None)
    result = run("extract --list-backbones")
    assert result.exit_code == 0, result.output
    for name in BACKBONES:
        assert re.search(rf"^ *{name} ", result.stdout, flags=re.MULTILINE)
    assert "no licence" in " ".join(result.stdout.split())


WRONG_SPECS = {
    "published is a name": (
        CODE.replace("published=", "published='x',#"),
        "published of a BackboneSpec must be PublishedWeights or None, found 'x'",
    ),
    "resize is a number": (
        CODE.replace("resize=", "resize=64,#"),
        "resize of a BackboneSpec must be a ResizeRule, found 64",
    ),
}


@pytest.mark.parametrize(("code", "message"), WRONG_SPECS.values(), ids=WRONG_SPECS)
def test_list_shows_the_others_beside_a_wrong_spec(
    offer: Offer, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    offer(code)
    monkeypatch.setenv("COLUMNS", "200")
    result = run("extract --list-backbones")
    assert result.exit_code == 0, result.output
    assert re.search("^ *x3d_xs ", result.stdout, flags=re.MULTILINE)
    assert message in " ".join(result.stdout.split())


WRONG_NETWORKS = {
    "build raises": ("{}['x']", "failed: KeyError: 'x'"),
    "build exits": ("exit(0)", "failed: SystemExit: 0"),
    "no module": ("3", "must build an nn.Module, found 3"),
    "network raises": ("N(lambda clips: {}['x'])", "failed: KeyError: 'x'"),
    "a tuple": ("N(lambda clips: (1, 2))", "found (1, 2)"),
    "one feature for all clips": (
        "N(lambda clips: clips.new_ones(1, 32))",
        "found one of shape (1, 32), torch.float32",
    ),
    "another number of values": (
        "N(lambda clips: clips.new_ones(len(clips), 31))",
        "found one of shape (2, 31), torch.float32",
    ),
    "integers": ("N(lambda clips: clips.new_ones(len(clips), 32).long())", "found one of shape (2, 32), torch.int64"),
}
NETWORK = """
class N(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, clips):
        return self.function(clips)

"""


@pytest.mark.parametrize(("network", "message"), WRONG_NETWORKS.values(), ids=WRONG_NETWORKS)
def test_a_network_that_fails_is_one_message(offer: Offer, network: str, message: str, tmp_path: Path) -> None:
    code = CODE.replace("SPEC = ", NETWORK + "SPEC = ").replace("build=_build", f"build=lambda size: {network}")
    offer(code)
    result = extract(tmp_path, "--backbone", "colour", "--workers", "0")
    assert result.exit_code == 1
    error = result.stderr.partition("error: ")[2]
    assert error.startswith("the backbone 'colour' of the package other-package ")
    assert message in error
    if "found one of" in message:
        assert "of shape (2, 32) or (2, 32, ...) for 2 clips" in error


@pytest.mark.parametrize("published", ["published=None,", ""], ids=["none", "left out"])
def test_published_weights_are_optional(offer: Offer, tmp_path: Path, published: str) -> None:
    offer(re.sub("published=.*", published, CODE))
    row = next(line for line in run("extract --list-backbones").stdout.splitlines() if " colour " in line)
    assert row.split()[-1] == "none"
    result = extract(tmp_path, "--backbone", "colour", "--weights", "default")
    assert result.exit_code == 2
    assert "error: colour has no published weights\nhint: give --weights FILE, or --weights random" in result.stderr
    assert extract(tmp_path, "--backbone", "colour").exit_code == 0


def test_documented_table_is_that_of_the_code() -> None:
    text = (ROOT / "docs" / "backbones.md").read_text(encoding="utf-8")
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    assert rows == [list(COLUMNS), *(list(describe(get_backbone(name))) for name in sorted(BACKBONES))]


def test_documented_spec_is_the_examples() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")

    def settings(code: str) -> list[str]:
        return re.findall(r"^    (\w+=.*?,)(?:  #.*)?$", code.partition("SPEC = BackboneSpec(")[2], flags=re.MULTILINE)

    assert settings(text) == settings(CODE)
    assert len(settings(CODE)) == 10


@pytest.mark.slow
def test_example_installs_and_extracts(tmp_path: Path) -> None:
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(EXAMPLE)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=280)
    video = write_video(tmp_path / "clip.mp4", frames=20)
    options = ["--backbone", "colour", "--weights", "random", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "asl_kit", "extract", str(video), "-o", str(tmp_path / "store"), *options],
        env=os.environ | {"PYTHONPATH": str(target)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert FeatureStore.open(tmp_path / "store").read("clip").shape == (2, 32)
