"""platforms.yaml, read, checked and looked up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from edgevision.config.node import Node
from edgevision.config.problems import Problems
from edgevision.config.typed_file import read_typed
from edgevision.deploy.facts import MODES, DeviceSet, Download, Fact, Release, Table
from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean

__all__ = ["FILE", "LAYERS", "Platform", "Platforms", "load", "names", "platform", "rows"]

FILE = Path(__file__).with_name("platforms.yaml")
LAYERS = ("l4t", "cuda", "opencv", "module")
"""The images, each the base of the next; a platform without a driver layer begins at the second."""

Way = tuple[int | str, ...]


@dataclass(frozen=True)
class Platform:
    """A row of the table with all that it refers to, or a family of rows.

    Attributes:
        id: its name in the table, such as ``nano-r32.1``.
        name: what the board is sold as.
        members: the rows; one, or those of the family.
        soc: name of the chip.
        arch: Docker's name of the processor, ``amd64`` or ``arm64``.
        sm: compute capabilities of the GPU, such as ``("8.7",)``.
        ptx: those for which PTX is kept.
        release_id: name of the release, such as ``r36``.
        release: the driver stack.
        devices: the device nodes of the host.
    """

    id: str
    name: str
    members: tuple[str, ...]
    soc: str
    arch: str
    sm: tuple[str, ...]
    ptx: tuple[str, ...]
    release_id: str
    release: Release
    devices: DeviceSet

    @property
    def l4t(self) -> str | None:
        """Version of L4T, or None on a PC."""
        return self.release.l4t.value if self.release.l4t else None

    @property
    def is_jetson(self) -> bool:
        """True if the image holds the driver's libraries."""
        return self.release.driver.recipe.value != "none"

    @property
    def docker_platform(self) -> str:
        """What ``docker --platform`` takes."""
        return f"linux/{self.arch}"

    @property
    def base_image(self) -> str:
        """What the first layer is built on."""
        image: str = self.release.base_image[self.arch].value  # type: ignore[index]
        return image

    @property
    def layers(self) -> tuple[str, ...]:
        """Its images in the order in which they are built."""
        return LAYERS if self.is_jetson else LAYERS[1:]

    @property
    def opencv_version(self) -> str:
        """OpenCV's own version, three numbers."""
        return ".".join(self.release.opencv.version.value.split(".")[:3])

    @property
    def tag(self) -> str:
        """Tag of its images: ``<platform>-l4t<release>-cv<version>``."""
        stack = f"l4t{self.l4t}" if self.l4t else f"cuda{self.release.cuda.version.value}"
        return f"{self.id}-{stack}-cv{self.opencv_version}"

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups that the container's user needs on the host.

        The number of ``render`` differs from host to host, so a manifest needs the number there.
        """
        return tuple(self.release.groups.value)

    @property
    def modes(self) -> tuple[str, ...]:
        """Ways to the GPU that the host allows, of `edgevision.deploy.facts.MODES`."""
        return tuple(name for name in MODES if self.mode(name).value)

    def mode(self, name: str) -> Fact[bool]:
        """Return whether a way to the GPU is open, with the reason.

        Raises:
            ConfigurationError: there is no such way.
        """
        if name not in MODES:
            near = did_you_mean(name, MODES)
            known = ", ".join(MODES)
            raise ConfigurationError(f"no such way to a GPU: {name!r}{near} (there are: {known})")
        fact: Fact[bool] = getattr(self.release.modes, name)
        return fact

    @property
    def docker_devices(self) -> tuple[str, ...]:
        """The device nodes as plain Docker takes them: a path with a ``*`` becomes its folder.

        Docker takes no patterns, and maps every node below a folder (inferred, not tried on a
        device).
        """
        found: dict[str, None] = {}
        for node in self.devices.nodes:
            found[str(PurePosixPath(node).parent) if "*" in node else node] = None
        return tuple(found)

    @property
    def library_dirs(self) -> tuple[str, ...]:
        """Folders of the driver's libraries in the image."""
        driver = self.release.driver
        more = driver.gpu_library_dirs.get(self.soc)
        return (*(more.value if more else ()), *driver.library_dirs.value)

    @property
    def driver_packages(self) -> tuple[str, ...]:
        """Packages of the driver layer."""
        driver = self.release.driver
        more = driver.gpu_packages.get(self.soc)
        return (*(driver.packages.value if driver.packages else ()), *(more.value if more else ()))

    @property
    def repositories(self) -> tuple[str, ...]:
        """Folders of NVIDIA's repository for Jetson."""
        fact = self.release.driver.repositories.get(self.soc)
        return tuple(fact.value) if fact else ()

    @property
    def bsp(self) -> Download | None:
        """The driver package as one file, if there is one."""
        fact = self.release.driver.bsp.get(self.soc)
        return fact.value if fact else None

    @property
    def size_mb(self) -> dict[str, int]:
        """Size budget of each image, with all below it."""
        return {str(layer): size for layer, size in self.release.size_mb.value.items()}


@dataclass(frozen=True)
class Platforms:
    """A table that has been read.

    Attributes:
        table: everything in it.
    """

    table: Table

    def names(self) -> list[str]:
        """Return the names of rows and families."""
        return [*self.table.platforms, *self.table.families]

    def rows(self) -> list[Platform]:
        """Return every row."""
        return [self.platform(name) for name in self.table.platforms]

    def platform(self, name: str, release: str | None = None) -> Platform:
        """Return a row or a family.

        Args:
            name: its name; or, with ``release``, the part before the release.
            release: an L4T or CUDA version, or its beginning: ``36.5.0``, ``r36``.

        Raises:
            ConfigurationError: there is none; the message names the nearest.
        """
        if release is not None:
            return self._of_release(name, release)
        if name in self.table.platforms:
            return self._row(name)
        if name in self.table.families:
            family = self.table.families[name]
            first = self._row(family.members[0])
            shown = f"{family.name} ({', '.join(self._row(m).name for m in family.members)})"
            return Platform(
                **{**first.__dict__, "id": name, "name": shown, "members": tuple(family.members)}
            )
        near = did_you_mean(name, self.names())
        begin = [known for known in self.names() if known.startswith(f"{name}-")]
        choices = f" (there are: {', '.join(begin)})" if begin else ""
        more = "" if near or begin else "; edgevision build --list shows them all"
        raise ConfigurationError(f"no such platform: {name!r}{near}{choices}{more}")

    def _of_release(self, name: str, release: str) -> Platform:
        wanted = release.lower().removeprefix("l4t").removeprefix("r").removeprefix("cuda")
        every = [self.platform(known) for known in self.names()]
        same = [p for p in every if p.id == name or _stem(p) == name]
        if not same:
            stems = sorted({_stem(p) for p in every})
            raise ConfigurationError(f"no such platform: {name!r}{did_you_mean(name, stems)}")
        for found in same:
            version = found.l4t or found.release.cuda.version.value
            if f"{version}.".startswith(f"{wanted.strip('-')}."):
                return found
        versions = [p.l4t or p.release.cuda.version.value for p in same]
        near = did_you_mean(wanted, versions)
        raise ConfigurationError(
            f"no release {release!r} of the platform {name!r}{near} "
            f"(there are: {', '.join(versions)}; docs/images.md says how to add one)"
        )

    def _row(self, name: str) -> Platform:
        table, row = self.table, self.table.platforms[name]
        module, release = table.modules[row.module], table.releases[row.release]
        soc = table.socs[module.soc.value]
        return Platform(
            id=name,
            name=module.name.value,
            members=(name,),
            soc=module.soc.value,
            arch=module.arch,
            sm=tuple(soc.sm.value),
            ptx=tuple(soc.ptx.value),
            release_id=row.release,
            release=release,
            devices=table.device_sets[row.devices],
        )


def _stem(platform: Platform) -> str:
    return re.sub(r"-(r|cuda)[0-9.]+$", "", platform.id)


def load(path: str | Path = FILE) -> Platforms:
    """Read a table of platforms.

    Raises:
        ConfigurationError: one line for each mistake, with file, line and path.
    """
    table, file = read_typed(Path(path), Table)
    root, problems = file.root, file.problems
    _check_sources(root, table, problems)
    _check_references(root, table, problems)
    problems.raise_if_any()
    platforms = Platforms(table)
    _check_families(root, platforms, problems)
    problems.raise_if_any()
    return platforms


def _check_sources(root: Node, table: Table, problems: Problems) -> None:
    """Every ``sourced`` begins with a key of ``sources``."""
    for way, node in _mappings(root, ()):
        entry = node.value.get("sourced")
        if entry is None:
            continue
        key = str(entry.node.value).split()[0].rstrip(",;:") if entry.node.value else ""
        if key not in table.sources:
            near = did_you_mean(key, table.sources)
            known = ", ".join(table.sources)
            problems.add_at(
                root,
                (*way, "sourced"),
                f"{key!r} is no key of sources{near} (there are: {known})",
            )


def _mappings(node: Node, way: Way) -> Iterator[tuple[Way, Node]]:
    if isinstance(node.value, dict):
        yield way, node
        for name, entry in node.value.items():
            yield from _mappings(entry.node, (*way, name))
    elif isinstance(node.value, list):
        for position, child in enumerate(node.value):
            yield from _mappings(child, (*way, position))


def _check_references(root: Node, table: Table, problems: Problems) -> None:
    """Every name of something else exists, and what a row needs of its release is there."""

    def known(way: Way, name: str, names: Any) -> bool:
        if name in names:
            return True
        near = did_you_mean(name, names)
        problems.add_at(root, way, f"no such name: {name!r}{near} (there are: {', '.join(names)})")
        return False

    for name, module in table.modules.items():
        known(("modules", name, "soc", "value"), module.soc.value, table.socs)
    for name, row in table.platforms.items():
        way = ("platforms", name)
        found = [
            known((*way, "module"), row.module, table.modules),
            known((*way, "release"), row.release, table.releases),
            known((*way, "devices"), row.devices, table.device_sets),
        ]
        if all(found):
            _check_row(root, table, name, problems)
    for name, family in table.families.items():
        if name in table.platforms:
            problems.add_at(root, ("families", name), "a row has this name already")
        for position, member in enumerate(family.members):
            known(("families", name, "members", position), member, table.platforms)


def _check_row(root: Node, table: Table, name: str, problems: Problems) -> None:
    row = table.platforms[name]
    module, release = table.modules[row.module], table.releases[row.release]
    driver, soc = release.driver, module.soc.value
    way = ("platforms", name, "release")
    if module.arch not in release.base_image:
        problems.add_at(root, way, f"{row.release} has no base_image for {module.arch}")
    recipe = driver.recipe.value
    needed = {
        "tarball": ("bsp",),
        "apt": ("repositories",),
        "split": ("repositories", "gpu_packages", "gpu_library_dirs"),
        "none": (),
    }[recipe]
    for field in needed:
        if soc not in getattr(driver, field):
            problems.add_at(
                root, way, f"the recipe {recipe!r} of {row.release} has no {field} for {soc}"
            )


def _check_families(root: Node, platforms: Platforms, problems: Problems) -> None:
    for name, family in platforms.table.families.items():
        first, *others = [platforms.platform(member) for member in family.members]
        for position, other in enumerate(others, 1):
            differing = [
                field
                for field in ("soc", "arch", "release_id", "devices")
                if getattr(first, field) != getattr(other, field)
            ]
            if differing:
                problems.add_at(
                    root,
                    ("families", name, "members", position),
                    f"{other.id} differs from {first.id} in {', '.join(differing)}",
                )


@cache
def _own() -> Platforms:
    return load()


def names() -> list[str]:
    """Return the names of rows and families of this package's table."""
    return _own().names()


def rows() -> list[Platform]:
    """Return every row of this package's table."""
    return _own().rows()


def platform(name: str, release: str | None = None) -> Platform:
    """Return a row or a family of this package's table.

    Args:
        name: its name, such as ``orin-r36``; or, with ``release``, the part before the release.
        release: an L4T or CUDA version, or its beginning: ``36.5.0``, ``r36``.

    Raises:
        ConfigurationError: there is none; the message names the nearest.
    """
    return _own().platform(name, release)
