"""The types of platforms.yaml; each value says where it comes from."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "MODES",
    "Component",
    "Cuda",
    "DeviceSet",
    "Download",
    "Driver",
    "Fact",
    "Family",
    "Host",
    "Link",
    "Modes",
    "Module",
    "OpenCV",
    "Python",
    "Release",
    "Row",
    "Soc",
    "Table",
    "TableModel",
]

T = TypeVar("T")

MODES = ("devices", "runtime", "cdi", "gpus")
"""How a container gets the GPU, in the order in which the documentation explains them."""

Recipe = Literal["tarball", "apt", "split", "none"]
Arch = Literal["amd64", "arm64"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Sm = Annotated[str, Field(pattern=r"^[0-9]{1,2}\.[0-9]$")]
DevicePath = Annotated[str, Field(pattern=r"^/dev/[^\s]+$")]


class TableModel(BaseModel):
    """Read-only part of the table; an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Fact(TableModel, Generic[T]):
    """A value and where it comes from: exactly one of `sourced` and `inferred` is given."""

    value: T
    """The value itself."""

    sourced: str | None = None
    """A key of `sources`, and where in it."""

    inferred: str | None = None
    """Why it is believed, where nobody says it."""

    @model_validator(mode="after")
    def _marked_once(self) -> Fact[T]:
        if (self.sourced is None) == (self.inferred is None):
            raise ValueError("a fact has exactly one of 'sourced' and 'inferred'")
        return self


class DeviceSet(TableModel):
    """Device nodes of a kind of host."""

    nodes: list[DevicePath] = Field(min_length=1)
    """Paths below /dev; they may hold a `*`."""

    sourced: str | None = None
    """A key of `sources`, and where in it."""

    inferred: str | None = None
    """Why it is believed, where nobody says it."""

    superset: bool = False
    """True if a host may lack some of them: Docker refuses a container whose node is missing."""

    note: str = ""
    """What else is known."""

    @model_validator(mode="after")
    def _sound(self) -> DeviceSet:
        if (self.sourced is None) == (self.inferred is None):
            raise ValueError("a set of devices has exactly one of 'sourced' and 'inferred'")
        if len(set(self.nodes)) != len(self.nodes):
            raise ValueError("a node is named twice")
        return self


class Soc(TableModel):
    """A system on a chip, or a class of cards."""

    sm: Fact[list[Sm]]
    """Compute capabilities that OpenCV is compiled for."""

    ptx: Fact[list[Sm]]
    """Those for which PTX is kept as well."""


class Module(TableModel):
    """A board that one can buy, or a class of machines."""

    name: Fact[str]
    """What it is sold as."""

    soc: Fact[str]
    """A key of `socs`."""

    arch: Arch = "arm64"
    """Docker's name of its processor."""


class Download(TableModel):
    """A file that the builder brings."""

    name: str = Field(pattern=r"^[\w.+-]+$")
    """Its name."""

    get: str = Field(min_length=1)
    """How to get it."""

    sha256: Sha256 | None = None
    """Checked if known."""

    sha1: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None
    """Checked if known."""

    md5: Annotated[str, Field(pattern="^[0-9a-f]{32}$")] | None = None
    """Checked if known."""

    size_bytes: int | None = Field(default=None, gt=0)
    """Its size, if known."""

    @model_validator(mode="after")
    def _has_a_sum(self) -> Download:
        if not self.sums:
            raise ValueError("a download has at least one of 'sha256', 'sha1' and 'md5'")
        return self

    @property
    def sums(self) -> dict[str, str]:
        """The known sums by algorithm, the strongest first."""
        known = {"sha256": self.sha256, "sha1": self.sha1, "md5": self.md5}
        return {name: digest for name, digest in known.items() if digest}


class Link(TableModel):
    """A symbolic link that the driver layer makes."""

    path: str = Field(pattern="^/")
    """Where it stands."""

    to: str = Field(min_length=1)
    """What it leads to, from its folder; a `*` is filled in from what is there."""


class Driver(TableModel):
    """How the driver's libraries come into the image."""

    recipe: Fact[Recipe]
    """`tarball`: the BSP is unpacked onto /. `apt`: packages. `split`: packages, those of the GPU
    chosen by the chip. `none`: the host's toolkit brings them."""

    library_dirs: Fact[list[str]]
    """Folders of the driver's libraries."""

    gpu_library_dirs: dict[str, Fact[list[str]]] = {}
    """More of them, by chip."""

    suite: Fact[str] | None = None
    """Suite of NVIDIA's repository for Jetson."""

    components: Fact[list[str]] | None = None
    """Components of that suite."""

    key_fingerprints: Fact[list[Annotated[str, Field(pattern="^[0-9A-F]{40}$")]]] | None = None
    """Keys that may sign it; any other is refused."""

    repositories: dict[str, Fact[list[str]]] = {}
    """Folders below the repository's address, by chip."""

    packages: Fact[list[str]] | None = None
    """Packages of every chip."""

    gpu_packages: dict[str, Fact[list[str]]] = {}
    """Packages of one chip."""

    bsp: dict[str, Fact[Download]] = {}
    """The driver package as one file, by chip."""

    links: Fact[list[Link]] | None = None
    """Links that are made afterwards."""

    @model_validator(mode="after")
    def _complete(self) -> Driver:
        recipe = self.recipe.value
        if recipe in ("apt", "split"):
            needed = ("suite", "components", "key_fingerprints", "repositories", "packages")
            lacking = [name for name in needed if not getattr(self, name)]
            if lacking:
                raise ValueError(f"the recipe {recipe!r} needs {', '.join(lacking)}")
        if recipe == "split" and not (self.gpu_packages and self.gpu_library_dirs):
            raise ValueError("the recipe 'split' needs gpu_packages and gpu_library_dirs")
        if recipe == "tarball" and not self.bsp:
            raise ValueError("the recipe 'tarball' needs bsp")
        return self


class Cuda(TableModel):
    """The CUDA layer."""

    version: Fact[str]
    """Version of the toolkit."""

    home: Fact[str]
    """Where it is installed."""

    runtime: Fact[list[str]]
    """Packages of the image that runs."""

    devel: Fact[list[str]]
    """Packages of the image that compiles."""

    archive: Fact[Download] | None = None
    """A local repository as one deb, where no repository has these packages."""

    purge: Fact[list[str]] | None = None
    """Packages that must not stay."""

    pip: Fact[list[str]] | None = None
    """The same from PyPI, for a build outside of a container."""


class Component(TableModel):
    """cuDNN or TensorRT."""

    version: Fact[str]
    """Its version."""

    runtime: Fact[list[str]]
    """Packages of the image that runs."""

    devel: Fact[list[str]] | None = None
    """Packages of the image that compiles."""

    pip: Fact[list[str]] | None = None
    """The same from PyPI, for a build outside of a container."""


class OpenCV(TableModel):
    """How OpenCV is built."""

    version: Fact[str]
    """Version of the source distribution; its first three numbers are OpenCV's."""

    source: Fact[Literal["sdist", "archives"]] = Field(alias="from")
    """`sdist`: opencv-contrib-python from PyPI. `archives`: OpenCV's own two."""

    files: Fact[list[Download]]
    """The sources."""

    numpy: Fact[str]
    """Versions of NumPy that it builds against and runs with."""

    extra: Fact[list[Literal["GTK", "TBB", "1394"]]] | None = None
    """What else it is built with: a display, Intel's threads, FireWire cameras."""

    cudnn: Fact[bool]
    """True if the DNN module is built with cuDNN and CUDA."""

    cudacodec: Fact[bool]
    """True if video is decoded by CUDA."""


class Python(TableModel):
    """The image's interpreter."""

    version: Fact[str]
    """Major and minor version."""

    source: Fact[Literal["distribution", "standalone"]] = Field(alias="from")
    """The distribution's, or a stand-alone build through uv."""


class Modes(TableModel):
    """Which ways to the GPU a host allows."""

    devices: Fact[bool]
    """Device nodes are mapped; the driver's libraries are the image's."""

    runtime: Fact[bool]
    """Docker's runtime `nvidia`."""

    cdi: Fact[bool]
    """The Container Device Interface: `nvidia.com/gpu=all`."""

    gpus: Fact[bool]
    """Docker's `--gpus`, a DeviceRequest."""


class Host(TableModel):
    """Limits of what runs on the device itself."""

    iot_edge_below: Fact[str] | None = None
    """The first IoT Edge that the host's distribution cannot have; None: there is none yet."""

    docker: Fact[list[str]]
    """What is known of Docker on it."""


class Release(TableModel):
    """A release of the driver stack: L4T on a Jetson, CUDA elsewhere."""

    l4t: Fact[str] | None = None
    """Version of L4T; None on a PC."""

    jetpack: Fact[str] | None = None
    """Version of JetPack; None on a PC."""

    ubuntu: Fact[str]
    """Version of Ubuntu in the image."""

    base_image: dict[Arch, Fact[str]]
    """What the first layer is built on."""

    python: Python
    """The interpreter."""

    driver: Driver
    """The driver's libraries."""

    cuda: Cuda
    """The CUDA layer."""

    cudnn: Component
    """cuDNN."""

    tensorrt: Component
    """TensorRT; not installed unless asked for."""

    opencv: OpenCV
    """The OpenCV layer."""

    gcc: Fact[int]
    """The newest gcc that nvcc works with."""

    groups: Fact[list[str]]
    """Groups that the device nodes belong to on the host."""

    modes: Modes
    """Ways to the GPU."""

    host: Host
    """Limits of the host."""

    size_mb: Fact[dict[Literal["l4t", "cuda", "opencv", "module"], int]]
    """Size budget of each image, with all below it, in MB."""


class Row(TableModel):
    """A module with a release."""

    module: str
    """A key of `modules`."""

    release: str
    """A key of `releases`."""

    devices: str
    """A key of `device_sets`."""


class Family(TableModel):
    """Rows that differ in nothing but the board."""

    name: str
    """What they are called together."""

    members: list[str] = Field(min_length=2)
    """Keys of `platforms`."""


class Table(TableModel):
    """The whole of platforms.yaml."""

    version: Literal[1]
    """Version of this format."""

    sources: dict[str, str]
    """What the keys in `sourced` mean."""

    device_sets: dict[str, DeviceSet]
    """Device nodes by kind of host."""

    socs: dict[str, Soc]
    """Chips by name."""

    modules: dict[str, Module]
    """Boards by name."""

    releases: dict[str, Release]
    """Driver stacks by name."""

    platforms: dict[str, Row]
    """The rows."""

    families: dict[str, Family]
    """One name for several rows."""
