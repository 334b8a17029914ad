"""Whether a file ends before a part of it whose size it states. Sizes only: what is in the parts is not looked at."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_CLUSTER = b"\x1f\x43\xb6\x75"
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_OGG_TAIL = 2**17  # more than a page
_BOXES = {b"ftyp", b"moov", b"mdat", b"moof"}
_FIRST_BOXES = _BOXES | {b"free", b"pnot", b"skip", b"styp", b"wide"}
_MXF_KEY = bytes.fromhex("060e2b34")
_SLACK_BYTES = 8  # the byte that pads an odd size may be missing
_STREAM_TAIL = 2**17  # more than a pack
_START = b"\0\0\1"
_PACK = b"\0\0\1\xba"
_PROGRAM_END = b"\0\0\1\xb9"
_SYNC = 0x47
_FROM_SYNC = {188: 188, 192: 188, 204: 204}
"""Sizes of a transport stream's packets, with what of each comes from its synchronization byte on."""
_IN_A_ROW = 5  # as many packets tell it from bytes that look alike by chance


def ends_early(path: Path) -> bool:
    """Return whether a file ends within a part whose size it states.

    What comes after the last part, and is none, is not looked at: some programs leave bytes there.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        if head[:4] == _EBML:
            ends = _matroska_ends(file)
        elif head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            ends = _riff_ends(file)
        elif head == _ASF_HEADER:
            ends = _asf_ends(file)
        elif head[:4] == b"OggS":
            ends = iter([_last_page_end(file, size)])
        elif head[:3] == b"FLV":
            ends = _flv_ends(file)
        elif head[:4] == _MXF_KEY:
            ends = _mxf_ends(file)
        elif head[4:8] in _FIRST_BOXES:
            ends = _box_ends(file)
        else:
            return False
        return any(end > size + (_SLACK_BYTES if head[:4] == b"RIFF" else 0) for end in ends)


def ends_within_packet(path: Path, container: str) -> bool:
    """Return whether an MPEG transport stream (``mpegts``) or program stream (``mpeg``, as VOB) ends within a packet.

    Neither states where it ends, but both are written in whole packets.
    """
    if container not in ("mpegts", "mpeg"):
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _STREAM_TAIL))
        tail = file.read()
    if container == "mpegts":
        return _ends_within_transport_packet(tail)
    pack = tail.rfind(_PACK)
    return pack >= 0 and _ends_within_pack(tail[pack:])


def _ends_within_transport_packet(tail: bytes) -> bool:
    """Look for the last synchronization byte (ISO/IEC 13818-1, 2.4.3.2)."""
    for size, from_sync in _FROM_SYNC.items():
        for left in range(1, size + 1):
            syncs = tail[-left::-size][:_IN_A_ROW]
            if syncs == bytes([_SYNC] * _IN_A_ROW):
                return left != from_sync
    return False


def _ends_within_pack(data: bytes) -> bool:
    """Follow the packets of a pack to the last one (ISO/IEC 13818-1, 2.5.3; ISO/IEC 11172-1, 2.4.3)."""
    if len(data) < 14:
        return True
    start = 14 + (data[13] & 7) if data[4] >> 6 == 1 else 12  # MPEG-2, MPEG-1
    while data[start : start + 3] == _START and data[start : start + 4] != _PROGRAM_END:
        start += 6 + int.from_bytes(data[start + 4 : start + 6], "big")
    return start > len(data)


def _box_ends(file: BufferedReader) -> Iterator[int]:
    """Yield where the boxes of an ISO file end (ISO/IEC 14496-12, 4.2)."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(16)
        if len(head) < 8 or not head[4:8].isalnum():
            return
        size = int.from_bytes(head[:4], "big")
        if size == 1 and len(head) == 16:
            size = int.from_bytes(head[8:], "big")
        if size < 8:  # 0: to the end of the file
            return
        if head[4:8] in _BOXES:
            yield start + size
        start += size


def _riff_ends(file: BufferedReader) -> Iterator[int]:
    """Yield where the RIFF chunks of an AVI file end; files above 1 GB have several."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] not in (b"AVI ", b"AVIX"):
            return
        (size,) = struct.unpack("<I", head[4:8])
        if size in (0, 2**32 - 1):  # not known: a recording
            return
        start += 8 + size + size % 2
        yield start


def _matroska_ends(file: BufferedReader) -> Iterator[int]:
    """Yield where a Matroska file's segment and clusters end, unless their size is not known (RFC 8794, 6.2)."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(12)
        if len(head) < 2 or not head[0]:
            return
        id_size = 9 - head[0].bit_length()
        if id_size > 4 or len(head) <= id_size or not head[id_size]:
            return
        name = head[:id_size]
        length = 9 - head[id_size].bit_length()
        if len(head) < id_size + length:
            yield start + id_size + length
            return
        value = int.from_bytes(head[id_size : id_size + length], "big") - (1 << 7 * length)
        is_known = value != (1 << 7 * length) - 1
        start += id_size + length
        if name in (_SEGMENT, _CLUSTER) and is_known:
            yield start + value
        if name != _SEGMENT:  # its children follow
            if not is_known:
                return
            start += value


def _asf_ends(file: BufferedReader) -> Iterator[int]:
    """Yield where the header and the data of an ASF file end; of a recording the latter is 0."""
    start = 0
    for _ in range(2):
        file.seek(start)
        head = file.read(24)
        if len(head) == 24:
            start += int.from_bytes(head[16:], "little")
            yield start


def _last_page_end(file: BufferedReader, size: int) -> int:
    """Return where the last page of an Ogg file ends (RFC 3533, 6)."""
    start = max(0, size - _OGG_TAIL)
    file.seek(start)
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:
        return size
    head = tail[page : page + 27].ljust(27, b"\xff")
    return start + page + 27 + head[26] + sum(tail[page + 27 : page + 27 + head[26]])


def _flv_ends(file: BufferedReader) -> Iterator[int]:
    """Yield where each tag of an FLV file ends, with the size behind it (Adobe FLV specification 10.1, E.3)."""
    file.seek(5)
    start = int.from_bytes(file.read(4), "big") + 4
    while True:
        file.seek(start)
        head = file.read(4)
        if not head or head[0] & 0x1F not in (8, 9, 18):  # sound, video, texts
            return
        start += 11 + int.from_bytes(head[1:].ljust(3, b"\xff"), "big")
        yield start
        start += 4


def _mxf_ends(file: BufferedReader) -> Iterator[int]:
    """Yield where each part of an MXF file ends (SMPTE ST 377-1, 6.3; lengths as in ST 336)."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(25)
        if head[:4] != _MXF_KEY[: len(head)] or not head:
            return
        if len(head) < 17:
            yield start + 17
            return
        extra = head[16] & 0x7F if head[16] & 0x80 else 0
        start += 17 + extra + (int.from_bytes(head[17 : 17 + extra], "big") if extra else head[16])
        yield start
