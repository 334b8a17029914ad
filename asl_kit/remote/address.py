"""Addresses of files: ``https://host/clip.mp4``, ``s3://bucket/videos/clip.mp4``, ``gs://bucket/clip.mp4``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from asl_kit.errors import UsageError

WEB = ("http", "https")
BUCKETS = {"gs": "gcsfs", "s3": "s3fs"}
"""Kinds of buckets, and the package that reads each."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a file or folder.

    As text it has no user name, password, query or fragment: these may be secrets, such as the signature of a signed
    address, and are never printed or stored.

    Parameters
    ----------
    url : str
        The whole address, with its secrets; only for opening it.
    """

    url: str = field(repr=False)

    @property
    def scheme(self) -> str:
        """``http``, ``https``, ``s3`` or ``gs``."""
        return self.url.partition(":")[0]

    @property
    def key(self) -> str:
        """Bucket and name of what is in a bucket: ``bucket/videos/clip.mp4``."""
        return self.url.partition("://")[2]

    @property
    def name(self) -> str:
        """The last part of the path: the file's name."""
        if self.scheme in BUCKETS:
            return self.key.rpartition("/")[2]
        return unquote(urlsplit(self.url).path.rpartition("/")[2], errors="replace")

    @property
    def is_folder(self) -> bool:
        """Whether the address ends with a slash, or is a whole bucket or server."""
        return not self.name or str(self).count("/") == 2

    @property
    def has_secrets(self) -> bool:
        """Whether the text leaves something out."""
        return str(self) != self.url

    def __str__(self) -> str:
        if self.scheme in BUCKETS:
            return self.url
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def __truediv__(self, name: str) -> Address:
        """Return the address of what is in this folder, with the same secrets."""
        if self.scheme in BUCKETS:
            return Address(f"{self.url.rstrip('/')}/{name}")
        parts = urlsplit(self.url)
        return Address(urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}")))


Place = str | Path | Address
"""A path or an address; a text is an address if it begins like one."""


def is_address(text: object) -> bool:
    """Return whether this is an address, not a path."""
    return isinstance(text, Address) or (isinstance(text, str) and _SCHEME.match(text) is not None)


def parse_address(text: str) -> Address:
    """Return the address that a text is.

    Raises
    ------
    UsageError
        If it is of another kind than those above, or names no host or bucket.
    """
    scheme, _, rest = text.strip().partition("://")
    scheme = scheme.lower()
    if scheme == "file":
        raise UsageError(f"{text}: an address of a local file", hint="give its path")
    if scheme not in WEB and scheme not in BUCKETS:
        raise UsageError(
            f"{scheme}://: unknown kind of address", hint=f"known: {', '.join(f'{one}://' for one in [*WEB, *BUCKETS])}"
        )
    address = Address(f"{scheme}://{rest}")
    try:
        host = rest.partition("/")[0] if scheme in BUCKETS else urlsplit(address.url).hostname
        _ = scheme in BUCKETS or urlsplit(address.url).port
    except ValueError as fault:
        raise UsageError(f"{scheme}://...: not an address: {fault}") from fault
    if not host:
        raise UsageError(f"{address}: no {'bucket' if scheme in BUCKETS else 'server'} is named")
    return address


def path_or_address(text: Place) -> Path | Address:
    """Return the address that a text is, else the path; raises as `parse_address`."""
    if isinstance(text, Address):
        return text
    return parse_address(text) if isinstance(text, str) and is_address(text) else Path(text)


def refuse_address(place: object) -> None:
    """Raise UsageError if this is an address where only a path is of use."""
    if is_address(place):
        raise UsageError(
            f"{path_or_address(place)}: an address, where a path is expected",  # type: ignore[arg-type]
            hint="only videos and feature stores are read at addresses; what is written can be copied there",
        )


def local_path(text: Place, *, what: str) -> Path:
    """Return the path of what is to be written.

    Raises
    ------
    UsageError
        If it is an address.
    """
    path = path_or_address(text)
    if isinstance(path, Address):
        raise UsageError(
            f"{path}: {what} cannot be written to an address",
            hint="write to a local folder and copy it when it is complete, for example with `aws s3 cp --recursive`",
        )
    return path
