"""XML files of annotation tools, which come from anywhere: no entity is ever expanded."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from asl_kit.base.foreign_files import refuse_foreign
from asl_kit.errors import AnnotationError


class _Builder(ElementTree.TreeBuilder):
    """Builds a tree, and refuses a document type declaration before any entity is read."""

    def doctype(self, name: str, *_: object) -> None:
        raise AnnotationError(f"has a document type declaration (<!DOCTYPE {name[:40]})")


def read_xml(path: Path, root: str, *, tool: str, data: bytes | None = None) -> ElementTree.Element:
    """Return the root element of an XML file.

    Parameters
    ----------
    path : Path
        The file.
    root : str
        The name that the root element must have.
    tool : str
        Name of the tool that writes such files, for messages.
    data : bytes, optional
        The content, where the file is an archive that contains it. Default: that of the file.

    Raises
    ------
    AnnotationError
        If it is not an XML file with this root, or has a document type declaration, and with it entities.
    """
    document = parse_xml(path.read_bytes() if data is None else data, str(path), tool=tool)
    if document.tag != root:
        raise AnnotationError(f"{path}: not a file of {tool}: expected <{root}>, found <{document.tag[:60]}>")
    return document


def parse_xml(data: bytes, where: str, *, tool: str) -> ElementTree.Element:
    """Return the root element of an XML document; errors are those of `read_xml`, and name the place `where`."""
    refuse_foreign(where, data, "an XML file", AnnotationError)
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        parser.feed(data)
        document: ElementTree.Element = parser.close()
    except AnnotationError as error:
        raise AnnotationError(f"{where}: {error.message}, which {tool} does not write") from None
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise AnnotationError(f"{where}: not an XML file: {error}") from error
    return document
