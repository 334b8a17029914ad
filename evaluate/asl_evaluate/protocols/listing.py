"""The table of ``asl-kit eval --list-protocols``."""

from __future__ import annotations

from rich import box
from rich.table import Table

from asl_evaluate.protocols import find_protocol_entry, protocol_names
from asl_evaluate.protocols.protocol import Protocol
from asl_kit import __version__
from asl_kit.base.plugins import is_own, load_instance, package_version
from asl_kit.errors import AslKitError


def protocols_table() -> Table:
    """Return a table of all protocols with their packages; if one cannot be loaded, its row gives the reason."""
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("protocol", "package", "what it computes"):
        table.add_column(column, no_wrap=column == "protocol", overflow="fold")
    for name in protocol_names():
        try:
            entry = find_protocol_entry(name)
            package = f"asl-kit {__version__}" if is_own(entry) else package_version(entry)
        except AslKitError as fault:  # two packages provide it
            table.add_row(name, "", fault.message)
            continue
        try:
            table.add_row(name, package, load_instance(entry, Protocol, kind="protocol").summary)
        except AslKitError as fault:
            table.add_row(name, package, fault.message)
    return table
