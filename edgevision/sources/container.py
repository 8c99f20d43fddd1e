"""Tell whether a video file is cut off, from what its own structure announces.

Counting frames cannot tell: of a healthy file with a variable frame rate, an edit list, a long
sound track or a start time other than zero, fewer frames come than OpenCV announces. But three
families of containers state the size of their parts, and a part that ends behind the end of the
file is certain:

- ISO base media (mp4, mov, 3gp; ISO/IEC 14496-12, section 4.2): boxes with a size.
- Matroska and WebM (RFC 8794, section 6; RFC 9559, section 4.5): EBML elements with a size, which
  may be unknown for the segment and its clusters in a file that was written as it was recorded.
- RIFF (avi): chunks with a size.

The others (MPEG transport and program streams, raw H.264 and MJPEG, ...) announce nothing: what is
there is the whole file.
"""

from __future__ import annotations

import os
from typing import BinaryIO

__all__ = ["missing_bytes"]

_BOXES = frozenset(
    {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"mfra", b"sidx", b"free", b"skip", b"wide"}
    | {b"pdin", b"meta", b"uuid", b"emsg", b"prft", b"udta", b"pnot"}
)

_EBML = 0x1A45DFA3
_SEGMENT = 0x18538067
_CLUSTER = 0x1F43B675
_TOP_LEVEL = frozenset(
    {_CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367}
)
_IN_CLUSTER = frozenset({0xE7, 0xA3, 0xA0, 0xA7, 0xAB, 0x5854, 0xAF})
_ANYWHERE = frozenset({0xEC, 0xBF})  # Void, CRC-32


def missing_bytes(path: str) -> int:
    """Return how many bytes of the file at ``path`` are missing for certain; 0 if none.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if head[:4] == b"RIFF":
            return _riff(file, size)
        if head[4:8] in _BOXES:
            return _boxes(file, size)
        if head[:4] == _EBML.to_bytes(4, "big"):
            return _matroska(file, size)
    return 0


def _boxes(file: BinaryIO, size: int) -> int:
    position = 0
    kind = b""
    while position + 8 <= size:
        file.seek(position)
        length, kind = int.from_bytes(file.read(4), "big"), file.read(4)
        if kind not in _BOXES:
            return 0  # something appended to the file, not a part of it
        if length == 1:
            wide = file.read(8)
            if len(wide) < 8:
                return 8 - len(wide)
            length = int.from_bytes(wide, "big")
        if length == 0:
            return 0  # the last box, up to the end of the file
        if length < 8:
            return 0
        position += length
    if position > size:
        return position - size
    # The pictures that a fragment's header describes stand in the box that follows it.
    return 8 if kind == b"moof" else 0


def _riff(file: BinaryIO, size: int) -> int:
    position = 0
    while position + 8 <= size:
        file.seek(position)
        kind, length = file.read(4), int.from_bytes(file.read(4), "little")
        if kind != b"RIFF" or length in (0, 0xFFFFFFFF):
            return 0  # appended, or written by a recorder that could not go back
        position += 8 + length
        if position > size:
            return position - size
        position += length % 2
    return 0


def _matroska(file: BinaryIO, size: int) -> int:
    position = 0
    while position < size:
        element = _element(file, position)
        if element is None:
            return 1 if position else 0
        identifier, start, length = element
        if identifier == _SEGMENT:
            if length is not None:
                return max(0, start + length - size)
            return _children(file, start, size)
        if identifier != _EBML and identifier not in _ANYWHERE:
            return 0
        if length is None:
            return 0
        position = start + length
    return max(0, position - size)


def _children(file: BinaryIO, position: int, size: int) -> int:
    """Walk a segment of unknown size."""
    while position < size:
        element = _element(file, position)
        if element is None:
            return 1  # the file ends within an element's head
        identifier, start, length = element
        if identifier not in _TOP_LEVEL | _IN_CLUSTER | _ANYWHERE:
            return 0  # damage or an extension; nothing certain can be said
        if length is None:
            if identifier != _CLUSTER:
                return 0
            position = start  # its children are walked in this loop too
            continue
        position = start + length
    return position - size


def _element(file: BinaryIO, position: int) -> tuple[int, int, int | None] | None:
    """Return identifier, start of the content and its length (None: unknown); None at the end."""
    file.seek(position)
    head = file.read(12)
    if not head:
        return None
    id_bytes = _width(head[0])
    if id_bytes > 4:
        return 0, position, 0
    if len(head) <= id_bytes:
        return None
    identifier = int.from_bytes(head[:id_bytes], "big")
    size_bytes = _width(head[id_bytes])
    if size_bytes > 8:
        return 0, position, 0
    if len(head) < id_bytes + size_bytes:
        return None
    mask = (1 << 7 * size_bytes) - 1
    length = int.from_bytes(head[id_bytes : id_bytes + size_bytes], "big") & mask
    return identifier, position + id_bytes + size_bytes, None if length == mask else length


def _width(first: int) -> int:
    """Return how many bytes a number of EBML has, from its first byte."""
    return 9 - first.bit_length()
