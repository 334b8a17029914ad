"""Published weights by a server on this machine: what is not the published file is never used, now or later."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from asl_extract.backbones.published import read_published
from asl_extract.backbones.spec import PublishedWeights
from asl_extract.backbones.weights import load_network
from asl_kit.errors import CheckpointError

GOOD = {"weight": torch.ones(200, 300), "bias": torch.zeros(200)}


class RunsAtOnce:
    """Unpickling it would make a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.marker),))


def saved(content: object, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


class Server:
    """Serves one content under every name; may promise more than it sends."""

    def __init__(self) -> None:
        self.content = b""
        self.promised: int | None = None
        self.requests = 0
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mine.requests += 1
                self.send_response(200)
                self.send_header("Content-Length", str(mine.promised or len(mine.content)))
                self.end_headers()
                self.wfile.write(mine.content)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/zoo/"
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of published files."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def load(url: str, git_blob: str | None = None) -> dict[str, torch.Tensor]:
    """Load a small network's weights as a backbone's are loaded."""
    name = url.rpartition("/")[2]
    network, _, _ = load_network(
        lambda: torch.nn.Linear(300, 200),
        name="small",
        published=PublishedWeights(name, partial(read_published, url, git_blob=git_blob)),
    )
    state: dict[str, torch.Tensor] = network.state_dict()
    return state


def names_of(content: bytes) -> dict[str, tuple[str, str | None]]:
    """Return names and git ids under which `content` can be published."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return {
        "hash in its name": (f"small-{hashlib.sha256(content).hexdigest()[:8]}.pth", None),
        "git id": ("small.pt", blob),
        "nothing stated": ("SMALL.pyth", None),
    }


CASES = list(names_of(b""))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("old_format", [False, True], ids=["zip", "old format"])
def test_a_download_cut_short_leaves_nothing(case: str, old_format: bool, server: Server, kept: Path) -> None:
    whole = saved(GOOD, _use_new_zipfile_serialization=not old_format)
    name, git_blob = names_of(whole)[case]
    server.content, server.promised = whole[: len(whole) * 2 // 3], len(whole)
    with pytest.raises(CheckpointError, match=rf"weights {name} of small "):
        load(server.address + name, git_blob)
    assert list(kept.iterdir()) == []
    server.content = whole
    assert torch.equal(load(server.address + name, git_blob)["weight"], GOOD["weight"])
    load(server.address + name, git_blob)
    assert server.requests == 2, "the whole file is kept"


@pytest.mark.parametrize("case", CASES)
def test_a_file_replaced_later_is_refused_each_time(case: str, server: Server, kept: Path) -> None:
    server.content = saved(GOOD)
    name, git_blob = names_of(server.content)[case]
    load(server.address + name, git_blob)
    (kept / name).write_bytes(saved({**GOOD, "bias": torch.ones(200)}))
    for _ in range(2):
        with pytest.raises(CheckpointError, match=rf"weights {name} of small are damaged: (SHA-256|git id) ") as caught:
            load(server.address + name, git_blob)
        assert caught.value.hint == f"delete the file from {kept} and try again"
    (kept / name).unlink()
    assert torch.equal(load(server.address + name, git_blob)["bias"], GOOD["bias"])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("old_format", [False, True], ids=["zip", "old format"])
def test_nothing_in_a_download_runs(case: str, old_format: bool, server: Server, kept: Path, tmp_path: Path) -> None:
    bad = {**GOOD, "more": RunsAtOnce(tmp_path / "ran")}
    server.content = saved(bad, _use_new_zipfile_serialization=not old_format)
    name, git_blob = names_of(server.content)[case]
    with pytest.raises(CheckpointError, match="which is never unpickled: it can run any program"):
        load(server.address + name, git_blob)
    assert not (tmp_path / "ran").exists()
    assert list(kept.iterdir()) == []


def test_no_room_for_a_download(server: Server, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(url: str, place: str, **options: object) -> None:
        Path(place).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch.hub, "download_url_to_file", full)
    with pytest.raises(CheckpointError, match=r"cannot be read or stored: .*No space left on device"):
        load(server.address + "SMALL.pyth")
    assert list(kept.iterdir()) == []
