"""A YAML file read into a pydantic model, every mistake with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from edgevision.config.document import decode, parse_yaml, read_bytes
from edgevision.config.node import Node, locate, plain
from edgevision.config.problems import Problems
from edgevision.config.wording import explain, follow

__all__ = ["TypedFile", "read_typed"]

Model = TypeVar("Model", bound=BaseModel)


class TypedFile:
    """What was read, for checks that the model cannot make.

    Attributes:
        root: the document.
        problems: collects further mistakes.
    """

    def __init__(self, root: Node, problems: Problems) -> None:
        self.root = root
        self.problems = problems

    def add(self, way: tuple[int | str, ...], message: str) -> None:
        """Note a mistake at the place to which ``way`` leads."""
        self.problems.add_at(self.root, way, message)


def read_typed(path: Path, model: type[Model]) -> tuple[Model, TypedFile]:
    """Read a file.

    Raises:
        ConfigurationError: one line for each mistake, with file, line and path.
    """
    problems = Problems(str(path))
    root = parse_yaml(decode(read_bytes(path), str(path)), problems)
    try:
        value = model.model_validate_json(to_json(plain(root)), strict=True)
    except ValidationError as error:
        schema = model.model_json_schema()
        for found in error.errors(include_url=False, include_input=False):
            _explain(root, problems, schema, dict(found))
        raise problems.error() from error
    return value, TypedFile(root, problems)


def _explain(root: Node, problems: Problems, schema: dict[str, Any], error: dict[str, Any]) -> None:
    way: tuple[int | str, ...] = error["loc"]
    lacking = error["type"] in ("missing", "extra_forbidden")
    place = locate(root, way[:-1] if lacking else way)
    rest = way[-1:] if lacking else place.rest
    part = follow(schema, way[:-1] if lacking else way)
    shown = way[:-1] if error["type"] == "missing" else way
    problems.add_at(root, shown, explain(error, place.node, rest, part))
