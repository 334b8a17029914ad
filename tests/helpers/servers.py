"""A web server with faults, and servers of S3 and Google Cloud Storage, all on this machine."""

from __future__ import annotations

import email.utils
import hashlib
import json
import logging
import re
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class WebServer:
    """Serves the files of a folder, for a ``with`` statement; the query of an address asks for a fault.

    ``?whole``: whole files only, no parts. ``?breaks=N``: each answer ends after N bytes. ``?break_once=N``: only the
    first one. ``?status=S``: that status; ``?status_once=S``: for the first request only. ``?silent``: nothing, for a
    minute. ``?slow=S``: S seconds before each answer. ``?longer``: more bytes are promised than there are.
    ``?to=ADDRESS``: a redirect. ``?html``: a web page. ``?new``: another ETag each time. ``?bare``: no ETag, no date.
    ``?login=U:P``: needs it. ``?chunked``: without a length.

    Attributes
    ----------
    requests : list of (str, str)
        Path with query, and asked range, of each request.
    """

    def __init__(
        self, folder: Path, tls: ssl.SSLContext | None = None, handler: type[BaseHTTPRequestHandler] | None = None
    ) -> None:
        self.folder = folder
        self.requests: list[tuple[str, str]] = []
        self.authorizations: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler or _Handler,), {"web": self}))
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients go away
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.ended = threading.Event()

    def __enter__(self) -> WebServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def url(self, name: str) -> str:
        return f"http://{self.host}/{name}"

    def bytes_asked(self, name: str) -> list[str]:
        """Return the ranges asked for of a file, whatever the query."""
        return [asked for path, asked in self.requests if path.partition("?")[0] == f"/{name}"]


class _Handler(BaseHTTPRequestHandler):
    web: WebServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        place, _, query = self.path.partition("?")
        faults = dict(part.partition("=")[::2] for part in query.split("&"))
        is_first = self.path not in {path for path, _ in self.web.requests}
        asked = self.headers.get("Range", "")
        self.web.requests.append((self.path, asked))
        self.web.authorizations.append(self.headers.get("Authorization"))
        self.close_connection = True
        if "silent" in faults:
            self.web.ended.wait(60)
            return
        time.sleep(float(faults.get("slow", 0)))
        status = faults.get("status") or (faults.get("status_once") if is_first else None)
        file = self.web.folder / unquote(place).lstrip("/")
        if "to" in faults:
            self._answer(302, b"", {"Location": faults["to"]})
        elif status or not file.is_file():
            self._answer(int(status or 404), b"no", {})
        elif "html" in faults:
            self._answer(200, b"<html>log in</html>", {"Content-Type": "text/html; charset=utf-8"})
        else:
            self._send(file, faults, asked, is_first=is_first)

    def _send(self, file: Path, faults: dict[str, str], asked: str, *, is_first: bool) -> None:
        data = file.read_bytes()
        total, status = len(data), 200
        headers = {
            "Last-Modified": email.utils.formatdate(file.stat().st_mtime, usegmt=True),
            "ETag": f'"{hashlib.md5(data).hexdigest()}{time.monotonic_ns() if "new" in faults else ""}"',
        }
        if "bare" in faults:
            headers.clear()
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
        if found and "whole" not in faults:
            start, stop = int(found[1]), min(int(found[2] or total) + 1, total)
            if start >= total:
                self._answer(416, b"", {"Content-Range": f"bytes */{total}"})
                return
            data, status = data[start:stop], 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{total}"
        limit = int(faults.get("breaks") or (faults.get("break_once", 0) if is_first else 0))
        if "chunked" in faults:
            half = len(data) // 2
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (data[:half], data[half:]) if part)
            chunks += b"0\r\n\r\n"
            self._answer(status, chunks[:limit] if limit else chunks, headers | {"Transfer-Encoding": "chunked"})
            return
        length = len(data) + (10 if "longer" in faults else 0)
        self._answer(status, data[:limit] if limit else data, headers | {"Content-Length": str(length)})

    def _answer(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        headers.setdefault("Content-Type", "video/mp4")
        if "Transfer-Encoding" not in headers:
            headers.setdefault("Content-Length", str(len(data)))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class GoogleHandler(_Handler):
    """Answers as Google Cloud Storage, as far as gcsfs asks, of a `WebServer` whose folder holds a folder per bucket.

    Reading from a folder ``refused`` of a bucket is forbidden, from ``login`` it needs a login. See
    https://cloud.google.com/storage/docs/json_api/v1.
    """

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        found = re.fullmatch("(?:/download)?/storage/v1/b/([^/]+)(?:/o)?(?:/(.+))?", unquote(url.path))
        bucket, name = found.groups("") if found else ("", "")
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        asked = f"{name}{query.get('prefix', '')}"
        root = self.web.folder / bucket
        self.web.requests.append((self.path, self.headers.get("Range", "")))
        if status := {"refused": 403, "login": 401}.get(asked.partition("/")[0]):
            error = {"error": {"code": status, "message": f"no access to {asked}"}}
            self._answer(status, json.dumps(error).encode(), {})
        elif not root.is_dir() or (name and not (root / name).is_file()):
            self._answer(404, b"{}", {})
        elif "alt" in query:
            self._send(root / name, {}, self.headers.get("Range", ""), is_first=True)
        elif name:
            self._answer(200, json.dumps(self._facts(root, root / name)).encode(), {})
        else:
            self._list(root, query)

    def _list(self, root: Path, query: dict[str, str]) -> None:
        found = [path for path in sorted(root.rglob("*")) if path.is_file()]
        items = [facts for path in found if (facts := self._facts(root, path))["name"].startswith(query["prefix"])]
        folders = set()
        if "delimiter" in query:
            ends = {item["name"]: item["name"].find("/", len(query["prefix"])) + 1 for item in items}
            folders = {name[:end] for name, end in ends.items() if end}
            items = [item for item in items if not ends[item["name"]]]
        self._answer(200, json.dumps({"items": items, "prefixes": sorted(folders)}).encode(), {})

    def _facts(self, root: Path, path: Path) -> dict[str, str]:
        updated = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat().replace("+00:00", "Z")
        etag = hashlib.md5(path.read_bytes()).hexdigest()
        name = path.relative_to(root).as_posix()
        return {"name": name, "bucket": root.name, "size": str(path.stat().st_size), "etag": etag, "updated": updated}


@cache
def _s3_endpoint() -> str:
    """Start moto's server of S3, once: s3fs keeps its connections."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    return f"http://127.0.0.1:{server.get_host_and_port()[1]}"


def s3_server(set_environment: Callable[[str, str], None]) -> Any:
    """Return s3fs's file system on an empty server of S3; `set_environment` sets what clients read."""
    import s3fs

    _post("reset", b"")
    set_environment("AWS_ACCESS_KEY_ID", "test")
    set_environment("AWS_SECRET_ACCESS_KEY", "test")
    set_environment("AWS_ENDPOINT_URL", _s3_endpoint())
    return s3fs.S3FileSystem(use_listings_cache=False)


@contextmanager
def credentials_checked() -> Iterator[None]:
    """Let the server of S3 refuse all credentials, as it knows none."""
    _post("reset-auth", b"0")
    try:
        yield
    finally:
        _post("reset-auth", b"inf")


def _post(command: str, data: bytes) -> None:
    request = urllib.request.Request(f"{_s3_endpoint()}/moto-api/{command}", data, {"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()
