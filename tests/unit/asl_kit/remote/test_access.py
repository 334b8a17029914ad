"""Reading files at addresses, from real servers with faults."""

from __future__ import annotations

import itertools
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gcsfs
import pytest
from helpers.servers import GoogleHandler, WebServer, credentials_checked, s3_server

from asl_kit.errors import MissingDependencyError
from asl_kit.remote import access
from asl_kit.remote.access import check_packages, download, list_names, read_all, read_facts, read_part
from asl_kit.remote.address import Address, parse_address
from asl_kit.remote.faults import RemoteFacts, RemoteFault

DATA = bytes(range(251)) * 400  # 100,400 bytes


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "FIRST_WAIT_S", 0.005)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("web")
    (folder / "clip 1.mp4").write_bytes(DATA)
    (folder / "empty.mp4").write_bytes(b"")
    with WebServer(folder) as server:
        yield server


def address(web: WebServer, query: str = "") -> Address:
    web.requests.clear()
    web.authorizations.clear()
    return parse_address(web.url(f"clip%201.mp4?{query}"))


@pytest.mark.parametrize(
    ("query", "ranges"),
    [
        ("", [""]),
        ("break_once=60000", ["", "bytes=60000-"]),
        ("breaks=40000", ["", "bytes=40000-", "bytes=80000-"]),
        ("whole&break_once=60000", ["", "bytes=60000-"]),
        ("bare&break_once=60000", ["", ""]),
        ("chunked", [""]),
        ("chunked&break_once=60000", ["", "bytes=59986-"]),
        ("status_once=503", ["", ""]),
        ("status_once=429", ["", ""]),
        ("slow=0.1", [""]),
    ],
)
def test_what_breaks_is_fetched_nevertheless(web: WebServer, tmp_path: Path, query: str, ranges: list[str]) -> None:
    """From where it broke off, if the server sends parts and says which file they are of; else anew."""
    facts = download(address(web, query), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA
    assert facts.size_bytes in (None, len(DATA))
    assert web.bytes_asked("clip%201.mp4") == ranges


@pytest.mark.parametrize(
    ("query", "requests", "reason"),
    [
        ("whole&breaks=60000", 5, "it broke off after 60000 of 100400 bytes, in 5 attempts"),
        ("longer", None, "it broke off after 100400 of 100410 bytes, in 5 attempts"),
        ("new&breaks=60000", 5, "in 5 attempts"),
        ("status=500", 5, "the server says 500 Internal Server Error, in 5 attempts"),
        ("silent", 5, "the server sent nothing for 0.1 s, in 5 attempts"),
        ("status=404", 1, "the server says 404 Not Found"),
        ("status=403", 1, "the server says 403 Forbidden"),
        ("html", 1, "the server sent a web page, not the file"),
        ("to=file:///etc/passwd", 1, "the server redirects in a circle, or to another kind of address"),
        ("to=ftp://127.0.0.1/a", 1, "the server redirects from http to ftp, which is not followed"),
    ],
)
def test_what_does_not_work_is_said(
    web: WebServer, tmp_path: Path, query: str, requests: int | None, reason: str
) -> None:
    with pytest.raises(RemoteFault, match=reason):
        download(address(web, query), tmp_path / "copy", silence_s=0.1)
    assert requests in (None, len(web.requests))


def test_a_server_that_sends_whole_files_and_always_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Further than the attempt before is no progress if an earlier one came as far."""
    sizes = itertools.cycle([1, 3])
    attempts = []

    class Breaking:
        @contextmanager
        def stream(self, address: Address, start: int) -> Iterator[tuple[RemoteFacts, int, Iterator[bytes]]]:
            attempts.append(start)
            assert len(attempts) < 20
            yield RemoteFacts(2**30, "", 0.0), 0, iter([bytes(next(sizes) * 2**20)])

    monkeypatch.setattr(access, "_files", lambda address, silence_s: Breaking())
    with pytest.raises(RemoteFault, match="in 5 attempts"):
        download(Address("https://h/a.mp4"), tmp_path / "copy")
    assert len(attempts) == 6  # the second came further than the first


def test_a_redirect_is_followed_without_the_login(web: WebServer, tmp_path: Path) -> None:
    with WebServer(web.folder) as first:
        target = address(web)
        download(parse_address(f"http://me:pass%20word@{first.host}/clip%201.mp4?to={target.url}"), tmp_path / "copy")
        assert first.authorizations == ["Basic bWU6cGFzcyB3b3Jk"]
    assert (tmp_path / "copy").read_bytes() == DATA
    assert web.authorizations == [None]


def test_a_certificate_that_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = tmp_path / "server.pem"
    made = subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
        f" -addext subjectAltName=IP:127.0.0.1 -keyout {pem} -out {tmp_path}/certificate.pem",
        shell=True,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("openssl cannot make a certificate here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", pem)
    (tmp_path / "a.mp4").write_bytes(b"video")
    with WebServer(tmp_path, context) as web:
        with pytest.raises(RemoteFault, match=r"the server's certificate is not trusted: self.signed") as caught:
            read_all(parse_address(web.url("a.mp4").replace("http:", "https:")))
        assert caught.value.hint is not None
        assert "SSL_CERT_FILE" in caught.value.hint


def test_nobody_listens(web: WebServer) -> None:
    with WebServer(web.folder) as other:
        url = other.url("a.mp4")
    with pytest.raises(RemoteFault, match=r"the connection failed: Connection refused, in 5 attempts"):
        read_facts(parse_address(url))


@pytest.mark.parametrize("query", ["", "whole", "bare"])
def test_facts(web: WebServer, query: str) -> None:
    facts = read_facts(address(web, query))
    assert facts.size_bytes == len(DATA)
    assert facts.has_parts == (query != "whole")
    assert bool(facts.version) == (query != "bare")


def test_parts(web: WebServer, tmp_path: Path) -> None:
    assert read_part(address(web), 1000, 1100) == DATA[1000:1100]
    with pytest.raises(RemoteFault, match="whole files only"):
        read_part(address(web, "whole"), 1000, 1100)
    assert read_all(parse_address(web.url("empty.mp4"))) == b""
    assert read_facts(parse_address(web.url("empty.mp4"))).size_bytes == 0
    with pytest.raises(RemoteFault, match="a web server does not list its files"):
        list_names(parse_address(web.url("")), deep=True)


def facts_of_a_bucket(scheme: str, tmp_path: Path) -> RemoteFacts:
    """Read everything below ``bucket/v``, and nothing that is not there; return what is said about ``clip 1.mp4``."""
    folder = Address(f"{scheme}://bucket/v/")
    assert list_names(folder, deep=True) == ["clip 1.mp4", "deep/two.mp4", "empty.mp4"]
    assert list_names(folder, deep=False) == ["clip 1.mp4", "deep", "empty.mp4"]
    clip = folder / "clip 1.mp4"
    facts = download(clip, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA
    assert facts == read_facts(clip)
    assert facts.size_bytes == len(DATA)
    assert read_part(clip, 1000, 1100) == DATA[1000:1100]
    assert read_all(folder / "empty.mp4") == b""
    for wrong in ("bucket/v/none.mp4", "none/v.mp4", "bucket/v"):
        with pytest.raises(RemoteFault) as caught:
            read_facts(parse_address(f"{scheme}://{wrong}"))
        assert caught.value.is_missing
    return facts


def test_buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = s3_server(monkeypatch.setenv)
    s3.mkdir("bucket")
    s3.pipe({"bucket/v/clip 1.mp4": DATA, "bucket/v/deep/two.mp4": b"2", "bucket/v/empty.mp4": b""})
    assert facts_of_a_bucket("s3", tmp_path).version
    with pytest.raises(RemoteFault, match="no such file or bucket"):
        list_names(Address("s3://none/v/"), deep=True)


def test_an_object_that_is_replaced_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = s3_server(monkeypatch.setenv)
    s3.mkdir("bucket")
    s3.pipe("bucket/a.mp4", DATA)
    replacements: list[Any] = [DATA[::-1]]

    def replace_once(size_bytes: int) -> None:
        if replacements:
            s3.pipe("bucket/a.mp4", replacements.pop())

    assert list_names(Address("s3://bucket/"), deep=False) == ["a.mp4"]
    download(Address("s3://bucket/a.mp4"), tmp_path / "copy", reserve=replace_once)
    assert (tmp_path / "copy").read_bytes() == DATA[::-1]


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    for name, data in (("v/clip 1.mp4", DATA), ("v/deep/two.mp4", b"2"), ("v/empty.mp4", b"")):
        path = tmp_path / "google" / "bucket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    gcsfs.GCSFileSystem.clear_instance_cache()
    with WebServer(tmp_path / "google", handler=GoogleHandler) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url("").rstrip("/"))
        monkeypatch.setenv("NO_GCE_CHECK", "true")  # nobody is asked for credentials
        yield server


def test_buckets_of_google(google: WebServer, tmp_path: Path) -> None:
    modified_s = facts_of_a_bucket("gs", tmp_path).modified_s
    assert modified_s == pytest.approx((google.folder / "bucket/v/clip 1.mp4").stat().st_mtime, abs=0.001)


@pytest.mark.parametrize("folder", ["refused", "login"])
def test_google_refuses_access(google: WebServer, folder: str) -> None:
    place = Address(f"gs://bucket/{folder}/a.mp4")
    for read in (read_facts, read_all, lambda place: list_names(place, deep=True)):
        with pytest.raises(RemoteFault, match=r"^access is refused: ") as caught:
            read(place)
        assert "credentials that may read and list this bucket" in str(caught.value.hint)


def test_s3_refuses_access(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = s3_server(monkeypatch.setenv)
    s3.mkdir("bucket")
    s3.pipe("bucket/a.mp4", DATA)
    with credentials_checked():
        for read in (read_facts, read_all, lambda place: list_names(place, deep=True)):
            with pytest.raises(RemoteFault, match=r"^access is refused: ") as caught:
                read(Address("s3://bucket/a.mp4"))
            assert "credentials that may read and list this bucket" in str(caught.value.hint)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingDependencyError, match="s3:// needs the package s3fs") as caught:
        check_packages([Address("s3://bucket/a.mp4")])
    assert caught.value.hint == "pip install 'asl-kit[remote]'"
    check_packages([Address("https://h/a.mp4")])
