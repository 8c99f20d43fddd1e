"""What an ONNX file says of itself: inputs, outputs, opset, metadata.

An ONNX file is a protobuf message. Its weights are skipped, not read, so this takes a millisecond
for a file of any size and needs no package for it. Field numbers are those of onnx.proto3
(ModelProto, GraphProto, ValueInfoProto, TensorShapeProto); the encoding is protobuf's wire format.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgevision.errors import ConfigurationError

__all__ = ["OnnxHeader", "Tensor", "read_header"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# ModelProto
_GRAPH, _OPSETS, _METADATA = 7, 8, 14
# GraphProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
_TENSOR_NAME = 8


@dataclass(frozen=True)
class Tensor:
    """An input or an output.

    Attributes:
        name: as the file gives it.
        shape: its dimensions; None for one that is only known when it runs.
    """

    name: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} ({sizes})"


@dataclass(frozen=True)
class OnnxHeader:
    """What an ONNX file says of itself.

    Attributes:
        inputs: without those that only hold weights.
        outputs: in the file's order.
        opset: version of the standard operators; 0 if it does not say.
        metadata: texts by key; Ultralytics' exports have ``names`` and ``task``.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    opset: int = 0
    metadata: dict[str, str] = field(default_factory=dict)


def read_header(path: Path) -> OnnxHeader:
    """Read what an ONNX file says of itself.

    Raises:
        ConfigurationError: there is no such file, it cannot be read, or it is no ONNX model.
    """
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise ValueError("the file is empty")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _model(memoryview(data))
    except FileNotFoundError:
        raise ConfigurationError(f"there is no model file {str(path)!r}") from None
    except OSError as error:
        raise ConfigurationError(
            f"the model file {str(path)!r} cannot be read: {error.strerror or error}"
        ) from error
    except IndexError as error:
        raise ConfigurationError(f"{str(path)!r} is no ONNX model: it ends too early") from error
    except ValueError as error:
        raise ConfigurationError(f"{str(path)!r} is no ONNX model: {error}") from error


def _model(data: memoryview) -> OnnxHeader:
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    weights: set[str] = set()
    metadata: dict[str, str] = {}
    opset = nodes = 0
    for number, value in _fields(data):
        if number == _GRAPH and isinstance(value, memoryview):
            for inner, part in _fields(value):
                if not isinstance(part, memoryview):
                    continue
                nodes += inner == _NODE
                if inner == _INPUT:
                    inputs.append(_tensor(part))
                elif inner == _OUTPUT:
                    outputs.append(_tensor(part))
                elif inner == _INITIALIZER:
                    weights.add(_text(part, _TENSOR_NAME))
        elif number == _OPSETS and isinstance(value, memoryview):
            if not _text(value, 1):  # the standard operators have no name
                opset = _number(value, 2) or opset
        elif number == _METADATA and isinstance(value, memoryview):
            metadata[_text(value, 1)] = _text(value, 2)
    if not nodes or not outputs:
        raise ValueError("it holds no graph")
    inputs = [tensor for tensor in inputs if tensor.name not in weights]
    return OnnxHeader(tuple(inputs), tuple(outputs), opset, metadata)


def _tensor(data: memoryview) -> Tensor:
    """Read a ValueInfoProto."""
    shape: list[int | None] = []
    for kind in _parts(data, 2):  # TypeProto
        for tensor in _parts(kind, 1):
            for dimensions in _parts(tensor, 2):
                shape += [_number(dimension, 1) for dimension in _parts(dimensions, 1)]
    return Tensor(_text(data, 1), tuple(size if size and size > 0 else None for size in shape))


def _parts(data: memoryview, number: int) -> list[memoryview]:
    return [v for n, v in _fields(data) if n == number and isinstance(v, memoryview)]


def _text(data: memoryview, number: int) -> str:
    found = _parts(data, number)
    return bytes(found[-1]).decode() if found else ""


def _number(data: memoryview, number: int) -> int | None:
    found = [value for n, value in _fields(data) if n == number and isinstance(value, int)]
    return found[-1] if found else None


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Give the number and the value of each field: a varint or fixed number, or bytes."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if kind == _BYTES:
            length, position = _varint(data, position)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"it has a field of wire type {kind}")
        if position + length > end or not number:
            raise ValueError("it ends in the middle of a field")
        yield number, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("it has a number of more than 64 bits")
