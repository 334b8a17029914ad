"""Files on web servers, read with the standard library.

Redirects are followed, to ``http`` and ``https`` alone, and never from ``https`` to ``http``. A user name and password
in the address go to its own server, not to one that it redirects to.
"""

from __future__ import annotations

import base64
import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import cache
from typing import IO
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from asl_kit import __version__
from asl_kit.remote.address import WEB, Address
from asl_kit.remote.faults import RemoteFacts, RemoteFault

_CHUNK_BYTES = 2**20
_MAX_WAIT_S = 60.0
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)
_PARTS = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


class WebFiles:
    """Reads files on web servers. Every method raises `RemoteFault`.

    Parameters
    ----------
    silence_s : float
        A server that sends nothing for so long is given up.
    """

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s

    def facts(self, address: Address) -> RemoteFacts:
        """Return what the server says about a file.

        The first byte is asked for: a signed address allows no other way, and the answer tells whether parts can be
        read.
        """
        try:
            with self._open(address, "bytes=0-0") as response:
                return _facts_of(response)
        except _NotInRangeError:  # the file is empty
            with self._open(address) as response:
                return _facts_of(response)

    @contextmanager
    def stream(self, address: Address, start: int) -> Iterator[tuple[RemoteFacts, int, Iterator[bytes]]]:
        """Open a file from a byte on, for a ``with`` statement.

        Yields
        ------
        (RemoteFacts, int, iterator of bytes)
            What the server says, where its answer starts (0 if it sends whole files only), and the content from there.
        """
        try:
            response = self._open(address, f"bytes={start}-" if start else "")
        except _NotInRangeError:  # the file has become shorter
            response = self._open(address)
        with response:
            yield _facts_of(response), _start_of(response), self._chunks(response)

    def read(self, address: Address, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop` of a file; it is a fault if there are fewer."""
        with self._open(address, f"bytes={start}-{stop - 1}") as response:
            if response.status != http.HTTPStatus.PARTIAL_CONTENT:
                raise RemoteFault("the server sends whole files only, not parts")
            return self._complete(response, stop - start)

    def read_all(self, address: Address) -> bytes:
        """Return the content of a file."""
        with self._open(address) as response:
            return self._complete(response, _facts_of(response).size_bytes)

    def names(self, address: Address, *, deep: bool) -> list[str]:
        """Refuse: a web server does not list its files."""
        raise RemoteFault(
            "a web server does not list its files", hint="name each file, for example one per line of --list FILE"
        )

    def _open(self, address: Address, parts: str = "") -> http.client.HTTPResponse:
        try:
            response: http.client.HTTPResponse = _opener().open(_request(address, parts), timeout=self._silence_s)
        except urllib.error.HTTPError as answer:
            with answer:
                if answer.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and parts:
                    raise _NotInRangeError("there are no such bytes") from None
                raise _fault_of_status(answer) from None
        except RemoteFault:
            raise
        except urllib.error.URLError as fault:
            raise self._fault_of(fault.reason if isinstance(fault.reason, OSError) else fault) from fault
        except (OSError, http.client.HTTPException, ValueError) as fault:
            raise self._fault_of(fault) from fault
        if response.headers.get_content_type() == "text/html" and not address.name.endswith((".html", ".htm")):
            response.close()
            raise RemoteFault(
                "the server sent a web page, not the file",
                hint="perhaps it asks for a login: open the address in a browser where you are not logged in",
            )
        return response

    def _chunks(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            while chunk := response.read1(_CHUNK_BYTES):
                yield chunk
        except (OSError, http.client.HTTPException) as fault:
            raise self._fault_of(fault) from fault

    def _complete(self, response: http.client.HTTPResponse, size_bytes: int | None) -> bytes:
        data = b"".join(self._chunks(response))
        if size_bytes is not None and len(data) != size_bytes:
            raise RemoteFault(f"{len(data)} of {size_bytes} bytes received", is_temporary=True)
        return data

    def _fault_of(self, fault: Exception) -> RemoteFault:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return RemoteFault(
                f"the server's certificate is not trusted: {fault.verify_message}",
                hint="if it is one of your organization's, name its authority's file: SSL_CERT_FILE=FILE",
            )
        if isinstance(fault, TimeoutError):
            return RemoteFault(f"the server sent nothing for {self._silence_s:g} s", is_temporary=True)
        if isinstance(fault, socket.gaierror):
            is_temporary = fault.errno == socket.EAI_AGAIN
            return RemoteFault(
                f"the server's name cannot be resolved: {fault.strerror}",
                hint=None if is_temporary else "check the address",
                is_temporary=is_temporary,
            )
        reason = getattr(fault, "strerror", None) or str(fault) or type(fault).__name__
        return RemoteFault(f"the connection failed: {reason}", is_temporary=not isinstance(fault, ValueError))


class _NotInRangeError(RemoteFault):
    """The file has no bytes where they were asked for."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme.lower()
        if scheme not in WEB or (req.type == "https" and scheme != "https"):
            fp.close()
            raise RemoteFault(f"the server redirects from {req.type} to {scheme}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


@cache
def _opener() -> urllib.request.OpenerDirector:
    """Return what opens http and https alone; the usual opener also reads local files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", f"asl-kit/{__version__}")]
    return opener


def _request(address: Address, parts: str) -> urllib.request.Request:
    """Return a request for parts of a file, or for all of it if `parts` is empty."""
    url = urlsplit(address.url)
    user, _, server = url.netloc.rpartition("@")
    path = quote(url.path, safe="/%:@!$&'()*+,;=~")
    query = quote(url.query, safe="/%:@!$&'()*+,;=~?")
    request = urllib.request.Request(urlunsplit((url.scheme, server, path, query, "")))
    if user:  # unredirected: not for another server
        login = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {login}")
    if parts:
        request.add_header("Range", parts)
    return request


def _facts_of(response: http.client.HTTPResponse) -> RemoteFacts:
    headers = response.headers
    is_part = response.status == http.HTTPStatus.PARTIAL_CONTENT
    if is_part:
        found = _PARTS.fullmatch(headers.get("Content-Range", ""))
        size = found[3] if found else ""
    else:
        size = headers.get("Content-Length", "")
    modified = headers.get("Last-Modified", "")
    try:
        modified_s = parsedate_to_datetime(modified).timestamp()
    except (ValueError, OverflowError):
        modified_s = 0.0
    has_parts = is_part or headers.get("Accept-Ranges", "").lower() == "bytes"
    size_bytes = int(size) if size.isdecimal() else None
    return RemoteFacts(size_bytes, headers.get("ETag") or modified, modified_s, has_parts)


def _start_of(response: http.client.HTTPResponse) -> int:
    found = _PARTS.fullmatch(response.headers.get("Content-Range", ""))
    is_part = response.status == http.HTTPStatus.PARTIAL_CONTENT
    return int(found[1]) if is_part and found and found[1] else 0


def _fault_of_status(answer: urllib.error.HTTPError) -> RemoteFault:
    if 300 <= answer.code < 400:  # the reason would name the other address, which may be signed
        return RemoteFault("the server redirects in a circle, or to another kind of address")
    said = f"the server says {answer.code} {answer.reason}".rstrip()
    if answer.code in _TEMPORARY:
        wait = answer.headers.get("Retry-After", "")
        return RemoteFault(said, is_temporary=True, wait_s=min(float(wait), _MAX_WAIT_S) if wait.isdecimal() else 0.0)
    if answer.code in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
        return RemoteFault(said, hint="check the address", is_missing=True)
    if answer.code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return RemoteFault(said, hint="it needs a login, or a signed address has expired: sign it again")
    return RemoteFault(said)
