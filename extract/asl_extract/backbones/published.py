"""Published weights: files in torch.hub's folder, checked each time they are read, never unpickled.

A file is checked against what its publisher states: its git blob id, or the start of its SHA-256 in its name
(torch.hub's convention). If nothing is stated, it is checked against its SHA-256 when it was downloaded, which is
stored beside it as ``FILE.sha256``. A new file gets its name only after it has been checked and read.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import secrets
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from asl_kit.base.files import sha256_of, write_text

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.")


def read_published(url: str, *, git_blob: str | None = None) -> Any:
    """Return the contents of a published file; it is downloaded if torch.hub's folder does not have it.

    Parameters
    ----------
    url : str
        Its last part is the name of the file in the folder.
    git_blob : str, optional
        The file's git blob id.

    Raises
    ------
    ValueError
        If the file is not the one that was published.
    OSError
        If it cannot be downloaded or stored.
    Exception
        Whatever `torch.load` raises if the file is damaged or contains more than tensors and plain values.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.exists():
        return _read_checked(path, name=path.name, git_blob=git_blob)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        torch.hub.download_url_to_file(url, str(new), progress=False)
        content = _read_checked(new, name=path.name, git_blob=git_blob)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return content


def allow_options() -> AbstractContextManager[object]:
    """Let ``torch.load`` safely read checkpoints that also contain the options of a training script, as TSP's do."""
    manager: AbstractContextManager[object] = torch.serialization.safe_globals([argparse.Namespace])
    return manager


def _read_checked(path: Path, *, name: str, git_blob: str | None) -> Any:
    found = sha256_of(path)
    record = path.with_name(f"{name}.sha256")
    recorded = False
    if git_blob is not None:
        content = path.read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        if blob != git_blob:
            raise ValueError(f"git id {blob} instead of {git_blob}")
    elif stated := _HASH_IN_NAME.search(name):
        if not found.startswith(stated[1]):
            raise ValueError(f"SHA-256 {found} instead of {stated[1]}...")
    else:
        recorded = record.is_file()
        if recorded and (expected := record.read_text(encoding="utf-8").strip()) != found:
            raise ValueError(f"SHA-256 {found}, it was {expected} when the file was downloaded ({record})")
    with allow_options():
        weights = torch.load(path, map_location="cpu", weights_only=True)
    if git_blob is None and not _HASH_IN_NAME.search(name) and not recorded:
        write_text(record, found + "\n")
    return weights
