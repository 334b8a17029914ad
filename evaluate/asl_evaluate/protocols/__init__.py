"""Protocols, by the names that manifests and ``--protocol`` use. A protocol's module is imported when it is used.

Other packages add protocols through the entry point group `ENTRY_POINT_GROUP`: see docs/plugins.md.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from asl_kit.base.plugins import (
    entry_names,
    find_entry,
    is_own,
    load_instance,
    name_with_package,
    package_version,
    plugin_faults,
)
from asl_kit.errors import PluginError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from asl_evaluate.protocols.protocol import Protocol
    from asl_evaluate.scores import Scores
    from asl_evaluate.task import Task

ENTRY_POINT_GROUP = "asl_kit.protocols"

PROTOCOLS = {
    "activitynet": "asl_evaluate.protocols.activitynet:PROTOCOL",
    "thumos14": "asl_evaluate.protocols.thumos14:PROTOCOL",
    "multithumos": "asl_evaluate.protocols.frames:MULTITHUMOS",
    "charades": "asl_evaluate.protocols.frames:CHARADES",
    "proposals": "asl_evaluate.protocols.proposals:PROTOCOL",
    "ego4d-mq": "asl_evaluate.protocols.ego4d_mq:PROTOCOL",
    "epic-kitchens": "asl_evaluate.protocols.epic_kitchens:PROTOCOL",
}
"""Where each built-in protocol is, in the form of an entry point."""


def protocol_names() -> list[str]:
    """Return the names of all protocols: the built-in ones, then those of other packages, sorted."""
    return [*PROTOCOLS, *sorted(entry_names(ENTRY_POINT_GROUP) - PROTOCOLS.keys())]


def find_protocol(name: str) -> Protocol:
    """Return the protocol of that name. The scores that it returns state its name and package.

    If a protocol of another package raises an exception, or returns something else than its contract says, its `score`
    raises a `PluginError`.

    Raises
    ------
    UsageError
        If there is none (the message lists those that exist), or several packages provide it.
    MissingDependencyError
        If the package that provides it cannot be imported, or provides something else.
    """
    from asl_evaluate.protocols.protocol import Protocol

    entry = find_protocol_entry(name)
    protocol = load_instance(entry, Protocol, kind="protocol")
    return replace(protocol, score=partial(_score, protocol, entry))


def find_protocol_entry(name: str) -> EntryPoint:
    """Return where the protocol of that name is; errors are those of `find_protocol`."""
    if name in PROTOCOLS:
        return built_in_entry(name)
    entry = find_entry(ENTRY_POINT_GROUP, name, kind="protocol")
    if entry is None:
        raise UsageError(f"unknown protocol '{name}', expected one of: {', '.join(protocol_names())}")
    return entry


@cache
def built_in_entry(name: str) -> EntryPoint:
    """Return where a built-in protocol is. That no package has one of its name is checked once: it takes tens of ms.

    Raises
    ------
    UsageError
        If a package provides a protocol of that name.
    """
    from importlib.metadata import EntryPoint

    find_entry(ENTRY_POINT_GROUP, name, kind="protocol", built_in=PROTOCOLS)
    return EntryPoint(name, PROTOCOLS[name], ENTRY_POINT_GROUP)


def _score(protocol: Protocol, entry: EntryPoint, task: Task) -> Scores:
    from asl_evaluate.protocols.scores_check import find_fault

    with plugin_faults(entry, kind="protocol", command="eval"):
        scores = protocol.score(task)
    if is_own(entry):
        return scores.named(protocol.name, None)
    if fault := find_fault(scores, task, by_frame=protocol.by_frame):
        raise PluginError(f"{name_with_package(entry, 'protocol')} must return {fault}")
    return scores.named(protocol.name, package_version(entry))
