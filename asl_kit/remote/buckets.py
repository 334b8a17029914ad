"""Files in buckets: S3 and Google Cloud Storage, through fsspec, with the user's own credentials."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from asl_kit.remote.address import Address
from asl_kit.remote.faults import RemoteFacts, RemoteFault

_CHUNK_BYTES = 8 * 2**20
_CONNECT_S = 10.0


class BucketFiles:
    """Reads files in buckets, as `asl_kit.remote.web.WebFiles` does on web servers."""

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s

    def facts(self, address: Address) -> RemoteFacts:
        """Return what the server says about a file."""
        with _faults():
            return _facts_of(self._files(address).info(address.key))

    @contextmanager
    def stream(self, address: Address, start: int) -> Iterator[tuple[RemoteFacts, int, Iterator[bytes]]]:
        """Open a file from a byte on.

        Yields
        ------
        tuple
            As `WebFiles.stream`.
        """
        facts = self.facts(address)
        assert facts.size_bytes is not None
        start = min(start, facts.size_bytes)
        yield facts, start, self._chunks(address, start, facts)

    def _chunks(self, address: Address, start: int, facts: RemoteFacts) -> Iterator[bytes]:
        assert facts.size_bytes is not None
        for first in range(start, facts.size_bytes, _CHUNK_BYTES):
            yield self.read(address, first, min(first + _CHUNK_BYTES, facts.size_bytes))
        if self.facts(address) != facts:
            raise RemoteFault("it was replaced while it was read", is_temporary=True)

    def read(self, address: Address, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop` of a file; it is a fault if there are fewer."""
        with _faults():
            data: bytes = self._files(address).cat_file(address.key, start=start, end=stop)
        if len(data) != stop - start:
            raise RemoteFault(f"{len(data)} of {stop - start} bytes received", is_temporary=True)
        return data

    def read_all(self, address: Address) -> bytes:
        """Return the content of a file."""
        with _faults():
            data: bytes = self._files(address).cat_file(address.key)
            return data

    def names(self, address: Address, *, deep: bool) -> list[str]:
        """Return the names of the files below an address, relative to it, sorted; with `deep` in all folders.

        Without `deep`, those of folders too.
        """
        prefix = address.key.rstrip("/") + "/"
        with _faults():
            files = self._files(address)
            found = files.find(prefix) if deep else files.ls(prefix, detail=False)
        return sorted(name for path in found if (name := path.removeprefix(prefix).rstrip("/")) and path != name)

    def _files(self, address: Address) -> Any:
        """Return fsspec's file system, which keeps one for each thread and process.

        Without its cache of listings: a file that is replaced must be noticed.
        """
        import fsspec

        if address.scheme == "s3":
            timeouts = {"connect_timeout": _CONNECT_S, "read_timeout": self._silence_s, "retries": {"max_attempts": 1}}
            return fsspec.filesystem("s3", config_kwargs=timeouts, use_listings_cache=False)
        from aiohttp import ClientTimeout

        # Without a handler, Python prints what gcsfs logs, tracebacks included.
        logging.getLogger("gcsfs").addHandler(logging.NullHandler())
        timeout = ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=self._silence_s)
        return fsspec.filesystem("gs", requests_timeout=timeout, use_listings_cache=False)


def _facts_of(info: dict[str, Any]) -> RemoteFacts:
    if info["type"] != "file":
        raise RemoteFault("it is a folder", hint="end the address with / to take what is in it", is_missing=True)
    modified = info.get("LastModified") or info.get("updated") or info.get("mtime")
    if isinstance(modified, str):
        modified = datetime.fromisoformat(modified)
    modified_s = modified.timestamp() if isinstance(modified, datetime) else 0.0
    return RemoteFacts(int(info["size"]), str(info.get("ETag") or info.get("etag") or modified or ""), modified_s)


@contextmanager
def _faults() -> Iterator[None]:
    """Turn what fsspec and its packages raise into `RemoteFault`."""
    try:
        yield
    except RemoteFault:
        raise
    except FileNotFoundError as fault:
        raise RemoteFault("there is no such file or bucket", hint="check the address", is_missing=True) from fault
    except Exception as fault:  # aiohttp, botocore, google.auth: each has its own, of which few are `OSError`
        if "Credential" in type(fault).__name__:
            raise RemoteFault(
                f"no credentials: {_text(fault)}",
                hint="log in as for the provider's own tools; for a public bucket of S3: FSSPEC_S3_ANON=true",
            ) from fault
        if _is_refusal(fault):
            raise RemoteFault(
                f"access is refused: {_text(fault)}",
                hint="use credentials that may read and list this bucket",
            ) from fault
        raise RemoteFault(_text(fault), is_temporary=True) from fault


def _is_refusal(fault: Exception) -> bool:
    """Return whether access is refused; gcsfs has no exception of its own for that."""
    return (
        isinstance(fault, PermissionError)
        or getattr(fault, "code", None) in (401, 403)
        or str(fault).startswith("Forbidden")
    )


def _text(fault: Exception) -> str:
    return " ".join(str(fault).split()) or type(fault).__name__
