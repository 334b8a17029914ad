"""What goes wrong with a file at an address."""

from __future__ import annotations

from dataclasses import dataclass


class RemoteFault(OSError):  # noqa: N818  (an error for the user is made of it, which names the address)
    """A file at an address cannot be read.

    Parameters
    ----------
    reason : str
        Why, without the address.
    hint : str, optional
        What to do.
    is_temporary : bool
        Whether it may be different in a moment.
    is_missing : bool
        Whether there is no such file.
    wait_s : float
        How long the server asks to wait.
    """

    def __init__(
        self,
        reason: str,
        *,
        hint: str | None = None,
        is_temporary: bool = False,
        is_missing: bool = False,
        wait_s: float = 0.0,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.is_temporary = is_temporary
        self.is_missing = is_missing
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class RemoteFacts:
    """What a server says about a file, before its content."""

    size_bytes: int | None
    """Size; None: not stated."""
    version: str
    """The server's name for this content: an ETag, else the time of the last change; empty: none is stated."""
    modified_s: float
    """When it was modified last, in seconds since 1970 UTC; 0: not stated."""
    has_parts: bool = True
    """Whether parts of the file can be read."""
