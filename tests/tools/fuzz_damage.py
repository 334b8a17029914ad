"""Ways to damage a file: its bytes, lines, words, or values of the document that it contains."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

TEXT_SUFFIXES = (
    ".csv", ".tsv", ".txt", ".json", ".jsonl", ".toml", ".yaml", ".eaf", ".xml", ".vtt", ".srt", ".boris", ".TextGrid",
    ".anvil", ".bundle", ".pbtxt",
)  # fmt: skip
NASTY_TEXTS = (
    "", " ", "nan", "inf", "-1", "1e999", "0", "9" * 400, "x", "é\u2028ß", "00:00:61.5", "-0.0", "1,5", "NULL", '"',
    "\0", "../x", "[" * 3000, "9" * 5000, "true", "2001-02-31", "&a [*a, *a]", "!!binary x", "1_0", "0x7f", "[]", "{}",
)  # fmt: skip
NASTY_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 7, 0.5, 1e999, float("nan"), 10**400, 10**12, 2**31, 2**63, 1e-320, 1e300, -0.5,
    "", "x", "nan", "1", [], {}, [[]], [1, 2], [2, 1], [None, "a"], {"a": 1}, {"0": []}, [{}], "\udc00", "\0", "../x",
    "float16", "é" * 200,
)  # fmt: skip


def _other_tensor(value: torch.Tensor, chance: random.Random) -> torch.Tensor:
    """Return a tensor that differs from another in values, shape or type."""
    value = value.detach().clone() if value.layout == torch.strided else torch.ones(2)
    match chance.randrange(8):
        case 0:
            value.fill_(math.nan if value.is_floating_point() else 7)
        case 1:
            value = value[None]
        case 2:
            value = value.flatten()[:-1]
        case 3:
            value = value.to(torch.complex64)
        case 4 if not value.is_complex():
            value = value.to(torch.int64)
        case 5 if not value.is_complex():
            value = value.to(torch.float64)
        case 6 if value.ndim:
            value = value.to_sparse()
        case _:
            value = torch.zeros(0)
    return value


class Document:
    """Reads a file as dicts and lists, and writes it."""

    read: Callable[[Path], Any]
    write: Callable[[Path, Any], object]


class _Json(Document):
    read = staticmethod(lambda path: json.loads(path.read_bytes()))
    write = staticmethod(lambda path, document: path.write_text(json.dumps(document), encoding="utf-8"))


class _Yaml(Document):
    read = staticmethod(lambda path: yaml.safe_load(path.read_bytes()))
    write = staticmethod(
        lambda path, document: path.write_bytes(yaml.safe_dump(document, encoding="utf-8", allow_unicode=True))
    )


class _Torch(Document):
    read = staticmethod(lambda path: torch.load(path, weights_only=True))
    write = staticmethod(lambda path, document: torch.save(document, path))


DOCUMENTS: dict[str, type[Document]] = {".json": _Json, ".boris": _Json, ".yaml": _Yaml}
DOCUMENTS |= dict.fromkeys((".ckpt", ".pt", ".pth", ".tar"), _Torch)


def damage(files: Sequence[Path], chance: random.Random) -> str:
    """Make one to three changes and return their description."""
    done = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        left = [path for path in files if path.is_file()]
        if not left:
            break
        path = chance.choice(left)
        ways: list[Callable[[Path, random.Random], str]] = [damage_bytes, damage_file]
        if path.suffix in TEXT_SUFFIXES:
            ways += [damage_cells, damage_cells, damage_lines]
        if path.suffix == ".toml":
            ways += [damage_cells] * 4
        if path.suffix in DOCUMENTS:
            ways += [damage_values] * 6
        way = chance.choice(ways)
        done.append(f"{path.name}: {way.__name__}: {way(path, chance)}")
    return "; ".join(done)


def damage_bytes(path: Path, chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    here = chance.randrange(len(data) + 1)
    length = chance.choice((1, 1, 2, 8, 64))
    match chance.randrange(4):
        case 0:
            data[here : here + length] = chance.randbytes(length)
            what = "other bytes"
        case 1:
            del data[here : here + length]
            what = "bytes gone"
        case 2:
            data[here:here] = data[here : here + length] * 2
            what = "bytes repeated"
        case _:
            del data[here:]
            what = "cut off"
    path.write_bytes(data)
    return f"{what} at {here} ({length})"


def damage_file(path: Path, chance: random.Random) -> str:
    what = chance.choice(
        ("empty", "gone", "a folder", "binary", "UTF-16", "other suffix", "spaces", "byte order mark", "brackets")
    )
    data = path.read_bytes()
    match what:
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case "a folder":
            path.unlink()
            path.mkdir()
        case "binary":
            path.write_bytes(chance.randbytes(300))
        case "UTF-16":
            path.write_bytes(data.decode("utf-8", "replace").encode("utf-16"))
        case "other suffix":
            path.rename(path.with_suffix(chance.choice((".json", ".txt", ".csv", ".eaf", ""))))
        case "spaces":
            path.write_bytes(b" \n" * 10)
        case "brackets":
            path.write_bytes(chance.choice((b"[", b'{"results":', b"a = [", b"- ")) * 20_000)
        case _:
            path.write_bytes(b"\xef\xbb\xbf" + data)
    return what


def damage_lines(path: Path, chance: random.Random) -> str:
    lines = path.read_bytes().splitlines(keepends=True)
    if not lines:
        return "nothing"
    here = chance.randrange(len(lines))
    match chance.randrange(3):
        case 0:
            what = f"line {here} gone"
            del lines[here]
        case 1:
            what = f"line {here} twice"
            lines.insert(here, lines[here])
        case _:
            what = f"line {here} elsewhere"
            lines.insert(chance.randrange(len(lines)), lines.pop(here))
    path.write_bytes(b"".join(lines))
    return what


def damage_cells(path: Path, chance: random.Random) -> str:
    """Replace a word, a number or an attribute by a text that is often mishandled."""
    text = path.read_bytes().decode("utf-8", "replace")
    words = list(re.finditer(r"[^\s,;\t\"<>{}\[\]=]+", text))
    if not words:
        return "nothing"
    word, nasty = chance.choice(words), chance.choice(NASTY_TEXTS)
    path.write_bytes((text[: word.start()] + nasty + text[word.end() :]).encode("utf-8", "surrogatepass"))
    return f"{nasty[:20]!r} for {word[0]!r}"


def damage_values(path: Path, chance: random.Random) -> str:
    """Replace, remove, repeat or rename one value of the document.

    The value is found by a random walk from the root, so that small parts are damaged as often as large ones.
    """
    document_type = DOCUMENTS[path.suffix]
    try:
        document = document_type.read(path)
    except Exception:  # damaged before
        return "nothing"
    holder, key = None, None
    value = document
    while isinstance(value, dict | list) and value and (holder is None or chance.random() < 0.85):
        holder, key = value, chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
        value = holder[key]
    if holder is None:
        return "nothing"
    match chance.randrange(5):
        case 0:
            del holder[key]
            what = f"{key!r} gone"
        case 1 if isinstance(holder, list):
            holder.insert(chance.randrange(len(holder) + 1), holder[key])
            what = f"{key!r} repeated"
        case 2 if isinstance(holder, dict):
            holder[chance.choice(NASTY_TEXTS)] = holder.pop(key)
            what = f"{key!r} renamed"
        case 3 if document_type is _Torch and isinstance(value, torch.Tensor):
            holder[key] = _other_tensor(value, chance)
            what = f"{holder[key].dtype} {tuple(holder[key].shape)} for {key!r}"
        case _:
            holder[key] = value = chance.choice(NASTY_VALUES)
            what = f"{str(value)[:20]!r} for {key!r}"
    document_type.write(path, document)
    return what
