"""Files of models on the Hugging Face hub, by its own client and in its own folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asl_kit.errors import CheckpointError


def fetch_from_hub(model: str, files: Sequence[str], *, revision: str | None = None, backbone: str) -> Path:
    """Return the folder with files of a model, which are downloaded if they are not there; it is named by the revision.

    Parameters
    ----------
    model : str
        ``OWNER/NAME``.
    files : sequence of str
        Names, or patterns of names.
    revision : str, optional
        Branch, tag or commit; None: the newest.
    backbone : str
        What they are for, for messages.

    Raises
    ------
    CheckpointError
        If the hub has no such model, does not give it out or cannot be reached, and it was not downloaded before.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(files)))
    except Exception as fault:  # of the hub's client, of its HTTP library, or of the system
        reason = (str(fault).strip() or type(fault).__name__).splitlines()[0]
        raise CheckpointError(
            f"{backbone}: {model!r} cannot be downloaded from the Hugging Face hub: {reason}",
            hint="is the name right? `hf auth login` gives access to models with terms to accept; "
            f"without network, `hf download {model} --local-dir FOLDER` elsewhere",
        ) from fault
