"""Load users' stage files, such as ``./stages.py``, as modules of their own."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import linecache
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import CodeType, ModuleType

from edgevision.config.import_error import describe
from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean

__all__ = ["StageFiles"]

# Guards sys.path and sys.modules while a file is loaded.
_lock = threading.RLock()
# What any StageFiles has put into sys.modules under a plain name, such as ``helpers``.
_owned: dict[str, ModuleType] = {}


class _FileLoader(importlib.machinery.SourceFileLoader):
    """Compiles the source each time: compiled files are compared by whole seconds and size."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def _finder(place: Path) -> importlib.machinery.FileFinder:
    """Return what finds the modules of a folder, and compiles them each time."""
    return importlib.machinery.FileFinder(
        str(place),
        (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
        (_FileLoader, importlib.machinery.SOURCE_SUFFIXES),
    )


class StageFiles:
    """Stage files, and the modules that they import from beside them, each loaded once.

    A new object loads everything again, so whoever wants what is on the disk now makes one. What
    an older object has loaded goes on working.

    A file's module has a name of its own, made from its path, so two files called ``stages.py`` do
    not clash. While it is loaded, modules in its folder can be imported, and those of the same name
    in other folders are kept apart. Afterwards ``sys.path`` is as it was: a file imports its
    neighbours at its top.
    """

    def __init__(self) -> None:
        self._modules: dict[Path, ModuleType] = {}
        self._neighbours: dict[Path, dict[str, ModuleType]] = {}

    def load(self, path: Path) -> ModuleType:
        """Return the module of the file ``path``.

        Raises:
            ConfigurationError: there is no such file, it has a syntax error, or its code raised;
                the message has file, line and source line.
        """
        file = path.resolve()
        if file not in self._modules:
            if not file.is_file():
                raise ConfigurationError(_missing(path))
            with self._importing(file.parent):
                self._modules[file] = _execute(path, file)
        return self._modules[file]

    def import_module(self, name: str, folder: Path) -> ModuleType:
        """Return the module ``name``, looked for in ``folder`` and where Python looks.

        Raises:
            ConfigurationError: there is none, or its code raised.
        """
        place = folder.resolve()
        try:
            with self._importing(place):
                return importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if name != missing and not name.startswith(f"{missing}."):
                raise ConfigurationError(
                    f"module {name} cannot be loaded: {describe(error, place)}"
                ) from error
            raise ConfigurationError(
                f"there is no module {missing!r}{_nearest(missing, place)} (looked in "
                f"{str(place)!r} and where Python looks)"
            ) from error
        except (Exception, SystemExit) as error:
            raise ConfigurationError(
                f"module {name} cannot be loaded: {describe(error, place)}"
            ) from error

    def files(self) -> list[Path]:
        """Return every file that was loaded, sorted."""
        found = set(self._modules)
        for modules in self._neighbours.values():
            for module in modules.values():
                if file := getattr(module, "__file__", None):
                    found.add(Path(file))
        return sorted(found)

    @contextmanager
    def _importing(self, place: Path) -> Iterator[None]:
        """Let modules of the folder ``place`` be imported, and remember them."""
        known = self._neighbours.setdefault(place, {})
        with _lock:
            hidden = {n: m for n, m in _owned.items() if sys.modules.get(n) is m}
            for name in hidden:
                del sys.modules[name]
            before = set(sys.modules)
            sys.modules.update(known)
            sys.path.insert(0, str(place))
            importlib.invalidate_caches()
            sys.path_importer_cache[str(place)] = _finder(place)
            new: dict[str, ModuleType] = {}
            try:
                yield
                new = _inside(place, set(sys.modules) - before)
            finally:
                if str(place) in sys.path:
                    sys.path.remove(str(place))
                sys.path_importer_cache.pop(str(place), None)
                for name in _inside(place, set(sys.modules) - before):
                    del sys.modules[name]
                sys.modules.update({**hidden, **new})
            known.update(new)
            _owned.update(new)


def _inside(place: Path, names: set[str]) -> dict[str, ModuleType]:
    """Return those of the loaded modules that were found directly in ``place``.

    Looking at the files of submodules would not do: an installation of Python may be in a folder
    below, and NumPy cannot be loaded twice.
    """
    return {name: sys.modules[name] for name in names if _is_in(place, name.partition(".")[0])}


def _is_in(place: Path, top: str) -> bool:
    module = sys.modules.get(top)
    if module is None or top == "edgevision" or top.startswith("edgevision_file_"):
        return False
    if file := getattr(module, "__file__", None):
        return Path(file) in (place / f"{top}.py", place / top / "__init__.py")
    return str(place / top) in list(getattr(module, "__path__", ()))


def _execute(path: Path, file: Path) -> ModuleType:
    name = f"edgevision_file_{sha256(str(file).encode()).hexdigest()[:8]}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file, loader=_FileLoader(name, str(file)))
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    # Annotations of a stage are looked up in sys.modules while its class is made.
    before = sys.modules.get(name)
    sys.modules[name] = module
    linecache.checkcache(str(file))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise ConfigurationError(
            f"{path} cannot be loaded: {describe(error, file.parent)}"
        ) from error
    return module


def _missing(path: Path) -> str:
    if path.is_dir():
        return f"{str(path)!r} is a folder, not a Python file"
    if not path.parent.is_dir():
        return f"there is no file {str(path)!r}: the folder {str(path.parent)!r} does not exist"
    names = sorted(p.name for p in path.parent.glob("*.py"))
    near = did_you_mean(path.name, names)
    beside = f"; the folder has {', '.join(names[:5])}" if names and not near else ""
    return f"there is no file {str(path)!r}{near}{beside}"


def _nearest(missing: str, folder: Path) -> str:
    last = missing.rpartition(".")[2]
    if (folder / f"{last}.py").is_file():
        return f", did you mean './{last}.py:...'?"
    if "." in missing:
        return ""
    known = {name.partition(".")[0] for name in sys.modules if not name.startswith("_")}
    return did_you_mean(missing, sorted(known | {path.stem for path in folder.glob("*.py")}))
