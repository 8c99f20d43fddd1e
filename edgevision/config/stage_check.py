"""Check the stages of a pipeline and their parameters, without making one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgevision.config.node import Node, locate, plain
from edgevision.config.problems import Problems
from edgevision.config.stage_files import StageFiles
from edgevision.config.stage_reference import StageReference
from edgevision.config.stage_reference import resolve as resolve_stage
from edgevision.config.substitution import as_number
from edgevision.config.wording import shown
from edgevision.errors import ConfigurationError
from edgevision.param import REQUIRED, ParamSpec
from edgevision.param_type import MismatchError
from edgevision.suggestion import did_you_mean

__all__ = ["StageCheck"]

Way = tuple[int | str, ...]


class StageCheck:
    """Checks lists of stages.

    Args:
        root: the document, short forms written out.
        problems: takes the mistakes.
        folder: what relative paths are relative to.
        files: loads stage files.
        hide: hides substituted values in a text.

    Attributes:
        found: class and parameter values of each stage that is right, by its place.
    """

    def __init__(
        self,
        root: Node,
        problems: Problems,
        folder: Path,
        files: StageFiles,
        hide: Callable[[str], str],
    ) -> None:
        self._root = root
        self._problems = problems
        self._folder = folder
        self._files = files
        self._hide = hide
        self._failed: set[str] = set()
        self.found: dict[Way, tuple[StageReference, dict[str, Any]]] = {}

    def check(self, way: Way) -> None:
        """Check the list of stages at ``way``, if there is one."""
        place = locate(self._root, way)
        if place.rest or not isinstance(place.node.value, list):
            return
        names: dict[str, int] = {}
        for position in range(len(place.node.value)):
            self._check_stage((*way, position))
            self._check_name((*way, position), names)

    def _check_name(self, way: Way, names: dict[str, int]) -> None:
        """Refuse a name that was given twice; one that was not given gets a number."""
        place = locate(self._root, (*way, "name"))
        name = place.node.value
        if place.rest or not isinstance(name, str):
            return
        if name in names:
            first = f"{locate(self._root, way[:-1]).path}[{names[name]}]"
            self._problems.add_at(
                self._root, (*way, "name"), f"{first} is called {shown(name)} already"
            )
        names[name] = int(way[-1])

    def _check_stage(self, way: Way) -> None:
        place = locate(self._root, (*way, "use"))
        use = place.node
        if place.rest or not isinstance(use.value, str) or not use.value or place.refused:
            return
        try:
            reference = resolve_stage(use.value, self._folder, self._files)
        except ConfigurationError as error:
            # A file that does not load is reported once, however many cameras use it.
            if error.__cause__ is None or error.message not in self._failed:
                self._failed.add(error.message)
                self._problems.add_at(self._root, (*way, "use"), self._hide(error.message))
            return
        values = self._check_params(reference, way)
        self._check_constructor(reference, values, way)
        self.found[way] = (reference, values)

    def _check_params(self, reference: StageReference, way: Way) -> dict[str, Any]:
        place = locate(self._root, (*way, "params"))
        given = {} if place.rest or place.node.value is None else place.node.value
        if not isinstance(given, dict):
            return {}
        params = (*way, "params")
        specs = reference.stage.parameters()
        values = {}
        for name, entry in given.items():
            if name not in specs:
                known = ", ".join(specs) or "none"
                self._problems.add_at(
                    self._root,
                    (*params, name),
                    f"stage {reference.name} has no parameter {name!r}"
                    f"{did_you_mean(name, specs)} (it has: {known})",
                )
                continue
            try:
                values[name] = self._rooted(_check_value(specs[name], entry.node))
            except MismatchError as error:
                self._refuse_value(reference, specs[name], (*params, name), error)
        for name, spec in specs.items():
            if name not in given and spec.default is REQUIRED:
                about = f" ({spec.help})" if spec.help else ""
                self._problems.add_at(
                    self._root,
                    way,
                    f"stage {reference.name} needs the parameter {name!r}, "
                    f"{spec.describe_type()}{about}",
                )
        return values

    def _refuse_value(
        self, reference: StageReference, spec: ParamSpec, way: Way, error: MismatchError
    ) -> None:
        way = (*way, *error.place)
        node = locate(self._root, way).node
        if spec.secret and node.written is None:
            got = "another value"
        else:
            got = shown(plain(node, shown=True))
        unit = f" {spec.unit}" if spec.unit else ""
        self._problems.add_at(
            self._root,
            way,
            f"parameter {spec.name} of stage {reference.name} must be {error.wanted}{unit}, "
            f"got {got}",
        )

    def _check_constructor(
        self, reference: StageReference, values: dict[str, Any], way: Way
    ) -> None:
        """Refuse a stage whose own ``__init__`` could not be called with the parameters."""
        try:
            inspect.signature(reference.stage.__init__).bind(None, **values)
        except TypeError as error:
            self._problems.add_at(
                self._root,
                (*way, "use"),
                f"stage {reference.name} cannot be made from a pipeline: its __init__ takes other "
                f"arguments ({error}); declare settings with Param and prepare in start()",
            )

    def _rooted(self, value: Any) -> Any:
        """Return a parameter's value with relative paths made relative to the pipeline's file."""
        if isinstance(value, Path):
            path = value.expanduser()
            return path if path.is_absolute() else self._folder / path
        if isinstance(value, (list, tuple)):
            return type(value)(self._rooted(item) for item in value)
        if isinstance(value, dict):
            return {key: self._rooted(item) for key, item in value.items()}
        return value


def _check_value(spec: ParamSpec, node: Node) -> Any:
    """Return the parameter's value; MismatchError if it does not fit."""
    while True:
        try:
            return spec.kind.check(plain(node))
        except MismatchError as error:
            place = locate(node, tuple(error.place))
            if place.rest or not as_number(place.node):
                raise
