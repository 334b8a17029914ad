"""Local copies: of bounded size, each for one process, and gone after use and after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.faults import small_disk
from helpers.processes import Process, wait_until
from helpers.servers import WebServer

from asl_extract.remote.cache import CacheSettings, VideoCache
from asl_extract.videos import RemoteVideo, find_sources
from asl_kit.errors import MissingFileError, UsageError, VideoError
from asl_kit.remote import access
from asl_kit.store.identity import FileIdentity

SIZE = 100_000


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    folder = tmp_path / "web"
    folder.mkdir()
    for number in range(3):
        (folder / f"v{number}.mp4").write_bytes(bytes([number]) * SIZE)
    with WebServer(folder) as server:
        yield server


def video(web: WebServer, name: str) -> RemoteVideo:
    [found] = find_sources([web.url(name)])
    assert isinstance(found, RemoteVideo)
    return found


def copies(cache: Path) -> list[str]:
    return sorted(path.suffix for path in cache.glob("asl-kit-*/*"))


def test_a_copy_and_its_identity(web: WebServer, tmp_path: Path) -> None:
    with VideoCache(CacheSettings(tmp_path / "cache")) as cache:
        copy = cache.fetch(video(web, "v1.mp4?token=secret"))
        assert copy.path.read_bytes() == (web.folder / "v1.mp4").read_bytes()
        identity = copy.identity()
        assert identity == FileIdentity.of(web.folder / "v1.mp4")
        assert identity.path == web.url("v1.mp4")
        assert identity.version.startswith('"')
        assert FileIdentity.from_json(identity.to_json()) == identity
        assert "secret" not in str(identity.to_json())
        cache.release(copy)
        assert copies(tmp_path / "cache") == []
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["asl-kit-cache"]


def test_an_identity_is_read_in_parts_if_the_server_does_not_know(web: WebServer) -> None:
    (web.folder / "long.mp4").write_bytes(b"".join(bytes([number % 251]) * 1000 for number in range(2000)))
    place = video(web, "long.mp4").path
    recorded = FileIdentity.of(web.folder / "long.mp4")  # of a local file: without a version
    found = FileIdentity.of(place, recorded)
    assert found == recorded
    assert len(web.requests) == 1 + 16
    web.requests.clear()
    assert FileIdentity.of(place, found) is found
    assert len(web.requests) == 1
    (web.folder / "long.mp4").write_bytes(b"another")
    assert FileIdentity.of(place, found) != found
    with pytest.raises(OSError, match="whole files only"):
        FileIdentity.of(video(web, "long.mp4?whole").path, recorded)


def test_names_from_elsewhere_are_not_used(web: WebServer, tmp_path: Path) -> None:
    with VideoCache(CacheSettings(tmp_path / "cache")) as cache:
        copy = cache.fetch(video(web, f"..%2F..%2Fetc%2Fclip.tar.gz?to={web.url('v0.mp4')}"))
        assert copy.path.name == "1.tar.gz"
        assert copy.path.parent.parent == tmp_path / "cache"


def test_it_waits_for_room(web: WebServer, tmp_path: Path) -> None:
    with VideoCache(CacheSettings(tmp_path / "cache", size_gb=1.5 * SIZE / 1e9)) as cache:
        first = cache.fetch(video(web, "v0.mp4"))
        fetched = threading.Thread(target=lambda: cache.fetch(video(web, "v1.mp4")))
        fetched.start()
        fetched.join(0.3)
        assert fetched.is_alive()
        assert sum(path.stat().st_size for path in (tmp_path / "cache").glob("asl-kit-*/*")) <= 1.5 * SIZE
        cache.release(first)
        fetched.join(5)
        assert not fetched.is_alive()
        assert copies(tmp_path / "cache") == [".mp4"]


def test_a_wait_ends_with_the_cache(web: WebServer, tmp_path: Path) -> None:
    with VideoCache(CacheSettings(tmp_path / "cache", size_gb=1.5 * SIZE / 1e9)) as cache:
        cache.fetch(video(web, "v0.mp4"))
        ended: list[BaseException] = []

        def fetch() -> None:
            try:
                cache.fetch(video(web, "v1.mp4"))
            except access.StoppedError as fault:
                ended.append(fault)

        fetched = threading.Thread(target=fetch)
        fetched.start()
    fetched.join(5)
    assert len(ended) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["asl-kit-cache"]


@pytest.mark.parametrize("query", ["", "?chunked"])
def test_larger_than_the_cache(web: WebServer, tmp_path: Path, query: str) -> None:
    with (
        VideoCache(CacheSettings(tmp_path / "cache", size_gb=0.5 * SIZE / 1e9)) as cache,
        pytest.raises(VideoError, match=r"v0.mp4: cannot be fetched: its .* GB are more than the cache may hold"),
    ):
        cache.fetch(video(web, f"v0.mp4{query}"))


def test_a_full_disk(web: WebServer, tmp_path: Path) -> None:
    """What is in the way is waited for; a video that is too large fails, and leaves nothing."""
    (tmp_path / "cache").mkdir()
    (web.folder / "large.mp4").write_bytes(bytes(4 * SIZE))
    with small_disk(tmp_path / "cache", int(2.5 * SIZE)), VideoCache(CacheSettings(tmp_path / "cache")) as cache:
        with pytest.raises(VideoError, match=r"large.mp4: cannot be fetched: .*No space left on device") as caught:
            cache.fetch(video(web, "large.mp4"))
        assert "--cache" in str(caught.value.hint)
        assert copies(tmp_path / "cache") == []
        held = [cache.fetch(video(web, "v0.mp4")), cache.fetch(video(web, "v1.mp4"))]
        fetched = threading.Thread(target=lambda: held.append(cache.fetch(video(web, "v2.mp4"))))
        fetched.start()
        fetched.join(0.3)
        assert fetched.is_alive()
        cache.release(held[0])
        fetched.join(5)
        assert held[-1].path.read_bytes() == (web.folder / "v2.mp4").read_bytes()


PROGRAM = """
import sys
from asl_extract.remote.cache import CacheSettings, VideoCache
from asl_extract.videos import find_sources
with VideoCache(CacheSettings(sys.argv[1])) as cache:
    for video in find_sources(sys.argv[2:]):
        cache.fetch(video)
    print("done", flush=True)
"""


def test_what_a_killed_process_left_is_removed(web: WebServer, tmp_path: Path) -> None:
    """And not what a living one has."""
    cache = tmp_path / "cache"
    urls = [web.url("v0.mp4"), web.url("v1.mp4?breaks=5000&whole&slow=0.2")]
    with Process([sys.executable, "-c", PROGRAM, str(cache), *urls], stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: len(copies(cache)) == 2, process=process)
        with VideoCache(CacheSettings(cache)) as own:
            own.fetch(video(web, "v2.mp4"))
            assert len(copies(cache)) == 3  # the other one lives
        process.send_signal(signal.SIGKILL)
    assert len(copies(cache)) == 2
    with VideoCache(CacheSettings(cache)) as own:
        own.fetch(video(web, "v2.mp4"))
        assert len(copies(cache)) == 1
    assert [path.name for path in cache.iterdir()] == ["asl-kit-cache"]


def test_wrong_settings(web: WebServer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cache size must be above 0 GB, got 0"):
        CacheSettings(size_gb=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file: cannot be used as a cache: File exists"):
        VideoCache(CacheSettings(tmp_path / "file")).fetch(video(web, "v0.mp4"))
    with pytest.raises(UsageError, match="a web server does not list its files"):
        find_sources([web.url("folder/")])
    with pytest.raises(MissingFileError):
        find_sources([tmp_path / "none.mp4", web.url("v0.mp4")])
