"""Read a pipeline.yaml and check everything in it that can be checked without a camera."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from edgevision.config.document import decode, parse_yaml, read_bytes
from edgevision.config.models import ConfigModel, PipelineConfig, StageConfig
from edgevision.config.node import Node, from_object, locate, plain
from edgevision.config.override import Override
from edgevision.config.problems import Problems
from edgevision.config.shape import write_out
from edgevision.config.stage_check import StageCheck
from edgevision.config.stage_files import StageFiles
from edgevision.config.substitution import Substitution, as_number
from edgevision.config.wording import explain, follow
from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean

__all__ = ["from_mapping", "load", "parse"]

_Model = TypeVar("_Model", bound=BaseModel)
Way = tuple[int | str, ...]
_WITH_PATH = ("outbox", "artifacts")
# Schemes whose address is a path of this machine.
_OF_PATHS = frozenset({"file", "images", "nvdec", "replay"})


def load(
    path: str | Path,
    *,
    environment: Mapping[str, str] | None = None,
    override: Override | None = None,
) -> PipelineConfig:
    """Read the pipeline.yaml at ``path``.

    Stage files are loaded as they are now, also if they were loaded before.

    Args:
        path: the file; relative paths in it are relative to its folder.
        environment: variables for ``${NAME}``; default those of this process.
        override: sources and parameters that replace those of the file.

    Raises:
        ConfigurationError: one line for each mistake, with file, line, path and what would be
            right; its ``problems`` has them one by one.
    """
    path = Path(path)
    text = decode(read_bytes(path), str(path))
    return parse(text, file=path, environment=environment, override=override)


def parse(
    text: str | bytes,
    *,
    file: str | Path | None = None,
    folder: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
    override: Override | None = None,
) -> PipelineConfig:
    """Read a pipeline from YAML text.

    Args:
        text: the document.
        file: where it came from, for messages.
        folder: what relative paths are relative to; default the file's folder or the current one.
        environment: variables for ``${NAME}``; default those of this process.
        override: sources and parameters that replace those of the document.

    Raises:
        ConfigurationError: see `load`.
    """
    name = None if file is None else str(file)
    problems = Problems(name)
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    root = parse_yaml(decode(content, name), problems)
    place = Path(folder) if folder is not None else Path(file).parent if file else Path()
    substitution = Substitution(os.environ if environment is None else environment, place)
    substitution.apply(root, problems)
    config = _Reader(root, problems, place, substitution.hide, override).read()
    config._file = None if file is None else Path(file)
    return config


def from_mapping(
    document: Mapping[str, Any],
    *,
    folder: str | Path = ".",
    override: Override | None = None,
    files: StageFiles | None = None,
) -> PipelineConfig:
    """Read a pipeline from dictionaries and lists, as JSON has them.

    Nothing is substituted: such a document may come from elsewhere, and must not reach this
    machine's secrets.

    Args:
        document: what a pipeline.yaml would say.
        folder: what relative paths are relative to.
        override: sources and parameters that replace those of the document.
        files: what has loaded stage files before; they are not loaded again.

    Raises:
        ConfigurationError: see `load`; there are no lines.
    """
    root = from_object(document)
    return _Reader(root, Problems(), Path(folder), str, override, files).read()


class _Reader:
    """Checks one document.

    Args:
        root: the document.
        problems: takes the mistakes.
        folder: what relative paths are relative to.
        hide: hides substituted values in a text.
        override: replaces parts of the document.
        files: loads stage files.
    """

    def __init__(
        self,
        root: Node,
        problems: Problems,
        folder: Path,
        hide: Callable[[str], str],
        override: Override | None,
        files: StageFiles | None = None,
    ) -> None:
        self._problems = problems
        self._folder = folder
        self._hide = hide
        if not isinstance(root.value, dict):
            what = "a list" if isinstance(root.value, list) else "a single value"
            problems.fail(
                f"a pipeline is a mapping that begins with 'cameras:', this is {what}",
                line=root.line,
            )
        self._root = write_out(root, problems)
        if override is not None:
            override.apply(self._root, problems)
        self._files = files or StageFiles()
        self._stages = StageCheck(self._root, problems, folder, self._files, hide)

    def read(self) -> PipelineConfig:
        """Return the pipeline, or raise everything that is wrong with it."""
        root = self._root
        upstreams = root.value.pop("upstream", None)
        config = self._validated(PipelineConfig, (), plain_root=root)
        sources = self._check_sources()
        self._check_stages()
        update: dict[str, Any] = {}
        if upstreams is not None:
            root.value["upstream"] = upstreams
            update["upstream"] = self._check_upstreams(upstreams.node)
        self._problems.raise_if_any()
        if config is None:
            raise AssertionError("a pipeline that is refused without a reason")
        update["module"] = config.module or self._default_module()
        config = config.model_copy(update=update)
        self._finish(config, sources)
        return config

    def _default_module(self) -> str:
        return self._folder.resolve().name[:128] or "pipeline"

    def _validated(
        self, model: type[_Model], way: Way, *, plain_root: Node | None = None
    ) -> _Model | None:
        """Return what stands at ``way`` as a model, or note why it is none."""
        node = plain_root or locate(self._root, way).node
        while True:
            text = to_json(plain(node), inf_nan_mode="constants")
            try:
                return model.model_validate_json(text, strict=True)
            except ValidationError as error:
                errors = error.errors(include_url=False, include_input=False)
                # All of them before the next try, hence the list.
                changed = [self._to_number((*way, *e["loc"])) for e in errors]
                if any(changed):
                    continue
                for found in errors:
                    self._explain(model, way, dict(found))
                return None

    def _to_number(self, way: Way) -> bool:
        """Give a substitution that is a whole value its second chance, as a number or truth value.

        It is text first, so that a password of digits stays text.
        """
        place = locate(self._root, way)
        return not place.rest and as_number(place.node)

    def _explain(self, model: type[BaseModel], base: Way, error: dict[str, Any]) -> None:
        way: Way = (*base, *error["loc"])
        place = locate(self._root, way)
        inside = way[len(base) : len(way) - len(place.rest)]
        part = follow(_schema(model), inside)
        # What is missing or unknown is shown with the mapping in which it should or should not be.
        if error["type"] not in ("missing", "extra_forbidden"):
            part = follow(_schema(model), way[len(base) :]) or part
        else:
            place = locate(self._root, way[:-1])
            part = follow(_schema(model), way[len(base) : -1])
        rest = place.rest or way[-1:]
        message = explain(error, place.node, rest, part)
        shown_way = way[:-1] if error["type"] == "missing" or rest[-1:] == ("[key]",) else way
        self._problems.add_at(self._root, shown_way, message)

    def _check_sources(self) -> dict[str, Callable[[], Any]]:
        """Note what is wrong with the sources; return by camera how each is made."""
        from edgevision.sources import open_source

        made: dict[str, Callable[[], Any]] = {}
        for camera, way in self._each_camera():
            source = locate(self._root, (*way, "source"))
            fields = plain(source.node)
            uri = fields.get("uri") if isinstance(fields, dict) else None
            if source.rest or not isinstance(uri, str) or not uri:
                continue
            if any(isinstance(value, (dict, type(None))) for value in fields.values()):
                continue
            options = {name: value for name, value in fields.items() if name != "uri"}
            made[camera] = partial(open_source, _located(uri, self._folder), **options)
            try:
                made[camera]()
            except ConfigurationError as error:
                named = [name for name in options if f"option {name!r}" in error.message]
                at = (*way, "source", *(named[:1] or ["uri"]))
                self._problems.add_at(self._root, at, self._hide(error.message))
        return made

    def _each_camera(self) -> list[tuple[str, Way]]:
        cameras = locate(self._root, ("cameras",))
        if cameras.rest or not isinstance(cameras.node.value, dict):
            return []
        return [(name, ("cameras", name)) for name in cameras.node.value]

    def _check_stages(self) -> None:
        self._stages.check(("stages",))
        for _, way in self._each_camera():
            self._stages.check((*way, "stages"))

    def _check_upstreams(self, node: Node) -> list[Any]:
        from edgevision.upstream.registry import upstream_kinds
        from edgevision.upstream.settings import IotEdgeSettings, JsonlSettings

        kinds = upstream_kinds()
        if not isinstance(node.value, list):
            self._problems.add_at(
                self._root, ("upstream",), "must be a list, such as [console]: write '- ' before it"
            )
            return []
        found: list[Any] = []
        for i in range(len(node.value)):
            way: Way = ("upstream", i)
            kind = locate(self._root, (*way, "type"))
            name = kind.node.value
            if kind.rest or not isinstance(name, str) or name not in kinds:
                near = did_you_mean(name, kinds) if isinstance(name, str) else ""
                message = (
                    f"an upstream is a name, or {{name: {{setting: value}}}}{near} "
                    f"(there are: {', '.join(kinds)})"
                )
                self._problems.add_at(self._root, way if kind.rest else (*way, "type"), message)
                continue
            settings = self._validated(kinds[name].settings, way)
            if isinstance(settings, JsonlSettings):
                settings = self._rooted(settings)
            elif isinstance(settings, IotEdgeSettings):
                update = {key: self._rooted(getattr(settings, key)) for key in _WITH_PATH}
                settings = settings.model_copy(update=update)
            found.append(settings)
        return found

    def _rooted(self, settings: Any) -> Any:
        """Return settings with their path relative to the pipeline's file."""
        path = os.path.join(self._folder, os.path.expanduser(settings.path))
        return settings.model_copy(update={"path": path})

    def _finish(self, config: PipelineConfig, sources: dict[str, Callable[[], Any]]) -> None:
        """Give the models what does not come from the document's text."""
        config._watched = self._files.files()
        self._show(config, self._root)
        for position, stage in enumerate(config.stages):
            self._bind(stage, ("stages", position))
        for name, camera in config.cameras.items():
            camera._open = sources[name]
            for position, stage in enumerate(camera.stages or ()):
                self._bind(stage, ("cameras", name, "stages", position))

    def _bind(self, stage: StageConfig, way: Way) -> None:
        reference, values = self._stages.found[way]
        stage._stage = reference.stage
        stage._values = values
        stage._default_name = reference.name

    def _show(self, value: Any, node: Node) -> None:
        """Make the ``repr`` of every model show what the document says."""
        if isinstance(value, ConfigModel):
            value._shown = plain(node, shown=True)
            if isinstance(node.value, dict):
                for name, entry in node.value.items():
                    self._show(getattr(value, name, None), entry.node)
        elif isinstance(value, dict) and isinstance(node.value, dict):
            for name, item in value.items():
                self._show(item, node.value[name].node)
        elif isinstance(value, list) and isinstance(node.value, list):
            for item, child in zip(value, node.value, strict=False):
                self._show(item, child)


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _located(uri: str, folder: Path) -> str:
    """Return a source's address with a relative path made relative to the pipeline's file."""
    from edgevision.sources import schemes
    from edgevision.sources.address import SCHEME

    match = SCHEME.fullmatch(uri)
    scheme = match["scheme"].lower() if match else ""
    path = uri
    if match and scheme in _OF_PATHS:
        path = match["address"]
        if "://" in path:
            return uri  # nvdec: reads cameras on the network, too
    elif scheme in schemes():
        return uri
    elif match and not (folder / uri).exists():
        return uri  # an unknown scheme, which open_source refuses
    else:
        scheme = ""
    if not path or path.isdecimal() or path.startswith(("/", "~")) or folder == Path():
        return uri
    return f"{scheme}:{folder / path}" if scheme else str(folder / path)
