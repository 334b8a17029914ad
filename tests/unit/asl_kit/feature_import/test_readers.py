from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from helpers.support import make_features

from asl_kit.errors import FeatureError, MissingDependencyError, MissingFileError, UsageError
from asl_kit.feature_import.readers import MAX_INFLATED_BYTES, Source, find_sources, read, read_shape

FEATURES = make_features(5)


def save_npz(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


def save_upper_case(path: Path) -> None:
    np.save(path.with_suffix(".npy"), FEATURES)
    path.with_suffix(".npy").rename(path)


def save_hdf5(path: Path, **arrays: Any) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name.replace("__", "/")] = values


def source(path: Path) -> Source:
    return Source(path.name[: -len(path.suffix)], path)


@pytest.mark.parametrize(
    ("name", "save", "key"),
    [
        pytest.param("v.npy", lambda path: np.save(path, FEATURES), None, id="npy"),
        pytest.param("v.NPY", save_upper_case, None, id="upper case"),
        pytest.param("v.npz", lambda path: save_npz(path, anything=FEATURES), None, id="npz with one array"),
        pytest.param("v.npz", lambda path: save_npz(path, feats=FEATURES, fps=np.ones(1)), None, id="npz, usual name"),
        pytest.param("v.npz", lambda path: save_npz(path, a=FEATURES, b=np.ones(1)), "a", id="npz, named"),
        pytest.param("v.npz", lambda path: np.savez_compressed(path, FEATURES), None, id="npz, compressed"),
        pytest.param("v.pt", lambda path: torch.save(torch.from_numpy(FEATURES), path), None, id="tensor"),
        pytest.param("v.pth", lambda path: torch.save({"x": torch.from_numpy(FEATURES)}, path), None, id="dict"),
        pytest.param(
            "v.pt",
            lambda path: torch.save({"a": torch.from_numpy(FEATURES), "b": torch.ones(1), "fps": 3}, path),
            "a",
            id="dict, named",
        ),
        pytest.param(
            "v.pt",
            lambda path: torch.save(torch.from_numpy(FEATURES), path, _use_new_zipfile_serialization=False),
            None,
            id="old torch",
        ),
        pytest.param("v.h5", lambda path: save_hdf5(path, features=FEATURES), None, id="h5"),
        pytest.param("v.hdf5", lambda path: save_hdf5(path, rgb=FEATURES, flow=FEATURES * 2), "rgb", id="h5, named"),
        pytest.param("v.csv", lambda path: np.savetxt(path, FEATURES, delimiter=","), None, id="csv"),
        pytest.param(
            "v.csv",
            lambda path: np.savetxt(path, FEATURES, delimiter=",", header="a,b,c,d", comments=""),
            None,
            id="csv with a header",
        ),
    ],
)
def test_reads(tmp_path: Path, name: str, save: Callable[[Path], None], key: str | None) -> None:
    save(tmp_path / name)
    found = find_sources(tmp_path, key).sources
    assert [entry.name for entry in found] == ["v"]
    assert read_shape(found[0], key) == (None if name.endswith("csv") else (5, 4))
    np.testing.assert_allclose(read(found[0], key), FEATURES, rtol=1e-6)


def test_half_precision_of_torch_becomes_single(tmp_path: Path) -> None:
    torch.save(torch.ones(2, 3, dtype=torch.bfloat16), tmp_path / "v.pt")
    values = read(source(tmp_path / "v.pt"))
    assert (values.dtype, values.shape) == (np.float32, (2, 3))


def cut(path: Path, save: Callable[[Path], None]) -> None:
    save(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def change(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def save_bad_header(path: Path) -> None:
    np.save(path, FEATURES)
    change(path, b"shape'", b"shape(")


def save_lying_npz(path: Path) -> None:
    """Write an archive whose array has a header of 40 terabytes and 40 values."""
    save_npz(path, a=FEATURES)
    with zipfile.ZipFile(path) as archive:
        content = archive.read("a.npy")
    head = str(FEATURES.shape).encode()
    assert head in content
    large = f"({10**12}, 9)".encode()
    start = content.index(head)
    header = content[:start] + large + content[start + len(head) :].replace(b" " * (len(large) - len(head)), b"", 1)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", header)


def save_bomb(path: Path) -> None:
    """Write a small archive of over a gigabyte of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"")
    start = MAX_INFLATED_BYTES + 1
    content = path.read_bytes()
    place = content.rindex(b"PK\x01\x02") + 24  # the uncompressed size in the central directory
    path.write_bytes(content[:place] + start.to_bytes(4, "little") + content[place + 4 :])


def save_flipped(path: Path) -> None:
    torch.save(torch.from_numpy(FEATURES), path)
    values = FEATURES.tobytes()
    change(path, values, values[:-4] + b"\x00\x00\x00\x41")


def save_hostile(path: Path) -> None:
    path.write_bytes(pickle.dumps(Path("x"), protocol=2))


@pytest.mark.parametrize(
    ("name", "save", "message"),
    [
        pytest.param("v.npy", lambda path: cut(path, lambda p: np.save(p, FEATURES)), "truncated: ", id="npy cut"),
        pytest.param("v.npy", lambda path: path.write_bytes(b""), "damaged", id="npy empty"),
        pytest.param("v.npy", lambda path: path.write_bytes(b"\x93NUMPY\x01\x00"), "damaged", id="npy magic only"),
        pytest.param("v.npy", save_bad_header, "damaged", id="npy header"),
        pytest.param("v.npy", lambda path: np.save(path, np.array([{}])), "pickled Python objects", id="npy objects"),
        pytest.param(
            "v.npy", lambda path: np.save(path, np.ones((2, 2), int)), "int64, expected floating", id="integers"
        ),
        pytest.param("v.npy", lambda path: np.save(path, np.ones(2, complex)), "complex128, expected", id="complex"),
        pytest.param(
            "v.npy", lambda path: np.save(path, np.ones(2, np.longdouble)), "expected float16, float32", id="long"
        ),
        pytest.param("v.npz", lambda path: cut(path, lambda p: save_npz(p, a=FEATURES)), "damaged", id="npz cut"),
        pytest.param("v.npz", lambda path: save_npz(path), "expected one array, found none", id="npz empty"),
        pytest.param(
            "v.npz", lambda path: save_npz(path, rgb=FEATURES, flow=FEATURES), "found rgb, flow", id="npz two"
        ),
        pytest.param("v.npz", save_lying_npz, "truncated: its header states", id="npz promises"),
        pytest.param("v.npz", save_bomb, f"expand to {MAX_INFLATED_BYTES + 1}: a decompression", id="npz bomb"),
        pytest.param("v.npz", lambda path: save_npz(path, a=np.array([{}])), "pickled Python objects", id="npz object"),
        pytest.param("v.pt", save_hostile, "which is never unpickled", id="pt pickle"),
        pytest.param("v.pt", lambda path: path.write_bytes(b"\x00" * 40), "damaged", id="pt zeros"),
        pytest.param("v.pt", lambda path: path.write_bytes(b""), "damaged", id="pt empty"),
        pytest.param(
            "v.pt", lambda path: cut(path, lambda p: torch.save(torch.ones(50, 9), p)), "damaged", id="pt cut"
        ),
        pytest.param("v.pt", save_flipped, "does not match its checksum", id="pt bit"),
        pytest.param("v.pt", lambda path: torch.save([1, 2], path), "holds a list", id="pt list"),
        pytest.param(
            "v.pt",
            lambda path: torch.save({"rgb": torch.ones(1), "flow": torch.ones(1)}, path),
            "expected one array, found rgb, flow",
            id="pt two",
        ),
        pytest.param(
            "v.h5", lambda path: cut(path, lambda p: save_hdf5(p, features=np.ones((99, 99)))), "damaged", id="h5 cut"
        ),
        pytest.param("v.h5", lambda path: path.write_bytes(b"x"), "damaged", id="h5 garbage"),
        pytest.param("v.h5", lambda path: save_hdf5(path), "expected one array, found none", id="h5 empty"),
        pytest.param("v.csv", lambda path: path.write_text("1,2\n3,x\n"), "damaged", id="csv text"),
        pytest.param("v.csv", lambda path: path.write_text("1,2\n3\n"), "damaged", id="csv ragged"),
        pytest.param("v.csv", lambda path: path.write_bytes(b"\xff\xfe\x00"), "damaged", id="csv binary"),
    ],
)
def test_refuses(tmp_path: Path, name: str, save: Callable[[Path], object], message: str) -> None:
    save(tmp_path / name)
    (found,) = find_sources(tmp_path).sources
    with pytest.raises(FeatureError, match=message) as fault:
        read(found)
    assert str(tmp_path / name) in fault.value.message


@pytest.mark.parametrize("text", ["", "a,b,c\n"], ids=["nothing", "only a header"])
def test_an_empty_table_has_no_rows(tmp_path: Path, text: str) -> None:
    (tmp_path / "v.csv").write_text(text)
    assert len(read(source(tmp_path / "v.csv"))) == 0


def test_a_name_that_is_not_in_the_file(tmp_path: Path) -> None:
    save_npz(tmp_path / "v.npz", rgb=FEATURES)
    with pytest.raises(FeatureError, match=r"no array named 'flow'; there are: rgb"):
        read(source(tmp_path / "v.npz"), "flow")


class TestHdf5Containers:
    def test_a_dataset_for_each_video(self, tmp_path: Path) -> None:
        save_hdf5(tmp_path / "all.h5", v_1=FEATURES, v_2=FEATURES + 1)
        found = find_sources(tmp_path).sources
        assert [entry.name for entry in found] == ["v_1", "v_2"]
        assert read_shape(found[1]) == (5, 4)
        np.testing.assert_array_equal(read(found[1]), FEATURES + 1)
        assert str(found[1]) == f"{tmp_path / 'all.h5'}:v_2"

    def test_a_group_for_each_video(self, tmp_path: Path) -> None:
        save_hdf5(tmp_path / "all.h5", v_1__features=FEATURES, v_2__features=FEATURES)
        assert [entry.name for entry in find_sources(tmp_path).sources] == ["v_1", "v_2"]

    def test_a_group_for_each_video_with_a_named_dataset(self, tmp_path: Path) -> None:
        save_hdf5(tmp_path / "all.h5", v_1__c3d=FEATURES, v_1__other=FEATURES, v_2__c3d=FEATURES)
        found = find_sources(tmp_path, "c3d").sources
        assert [(entry.name, entry.dataset) for entry in found] == [("v_1", "v_1/c3d"), ("v_2", "v_2/c3d")]

    def test_one_video_in_a_container_that_is_named_itself(self, tmp_path: Path) -> None:
        save_hdf5(tmp_path / "all.h5", v_1=FEATURES)
        assert [entry.name for entry in find_sources(tmp_path / "all.h5").sources] == ["v_1"]
        assert [entry.name for entry in find_sources(tmp_path).sources] == ["all"]

    def test_a_name_that_is_not_unicode_fails_alone(self, tmp_path: Path) -> None:
        save_hdf5(tmp_path / "all.h5", v_1=FEATURES, v_2=FEATURES)
        change(tmp_path / "all.h5", b"v_2", b"v_\xff")
        good, bad = find_sources(tmp_path).sources
        np.testing.assert_array_equal(read(good), FEATURES)
        with pytest.raises(FeatureError, match="damaged"):
            read(bad)

    def test_without_h5py(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        save_hdf5(tmp_path / "all.h5", v_1=FEATURES)
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(MissingDependencyError, match="needs the package h5py") as fault:
            find_sources(tmp_path)
        assert fault.value.hint == "pip install 'asl-kit[h5py]'"


def test_subfolders_and_other_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    np.save(tmp_path / "a" / "b" / "v.1.npy", FEATURES)
    (tmp_path / "a" / "._v.npy").write_bytes(b"")
    (tmp_path / "readme.txt").write_text("")
    found = find_sources(tmp_path)
    assert [entry.name for entry in found.sources] == ["v.1"]
    assert found.other_files == [tmp_path / "readme.txt"]


def test_no_features(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file or folder"):
        find_sources(tmp_path / "none")
    with pytest.raises(UsageError, match=r"expected .npy, .*found nothing"):
        find_sources(tmp_path)
    (tmp_path / "v.mp4").write_bytes(b"")
    with pytest.raises(UsageError, match=r"found .mp4"):
        find_sources(tmp_path)


def _external_link(path: Path, secret: Path) -> None:
    with h5py.File(path, "w") as file:
        file["v"] = h5py.ExternalLink(secret.name, "/features")


def _soft_link(path: Path, secret: Path) -> None:
    with h5py.File(path, "w") as file:
        file["v"] = h5py.SoftLink("/elsewhere")


def _external_values(path: Path, secret: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("v", (4, 2), "f4", external=[(str(secret), 0, 32)])


def _virtual_values(path: Path, secret: Path) -> None:
    layout = h5py.VirtualLayout((4, 2), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "features", (4, 2))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("v", layout)


@pytest.mark.parametrize(
    ("save", "message"),
    [
        pytest.param(_external_link, "is a link; links are not followed", id="external link"),
        pytest.param(_soft_link, "is a link; links are not followed", id="soft link"),
        pytest.param(_external_values, "is stored in other files, which are not read", id="external values"),
        pytest.param(_virtual_values, "is stored in other files, which are not read", id="virtual values"),
    ],
)
def test_an_hdf5_file_leads_to_no_other_file(save: Callable[[Path, Path], None], message: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["features"] = np.ones((4, 2), np.float32)
    path = tmp_path / "v.h5"
    save(path, secret)
    for work in (read_shape, read):
        with pytest.raises(FeatureError, match=message):
            work(Source("v", path))
