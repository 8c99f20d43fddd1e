"""The images of a platform: what each is built from, and with which arguments."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from edgevision.deploy.assets import docker_folder, module_dockerfile
from edgevision.deploy.facts import Download, Link
from edgevision.deploy.platforms import LAYERS, Platform
from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean

__all__ = ["APT_URL", "Plan", "Target", "downloads", "make_plan", "opencv_options"]

APT_URL = "JETSON_APT_URL"
"""Build argument and environment variable: the address of NVIDIA's repository for Jetson."""

# What OpenCV is compiled with; a bar stands between the names that it has on different Ubuntus.
_BUILD_PACKAGES = (
    "build-essential",
    "ca-certificates",
    "ccache",
    "libavcodec-dev",
    "libavformat-dev",
    "libavutil-dev",
    "libgstreamer-plugins-base1.0-dev",
    "libgstreamer1.0-dev",
    "libswscale-dev",
    "libv4l-dev",
    "nasm",
    "pkg-config",
)
_EXTRA_PACKAGES = {
    "GTK": "libgtk-3-dev",
    "TBB": "libtbb-dev",
    "1394": "libdc1394-dev|libdc1394-22-dev",
}
# GStreamer loads these by name, so no linker tells of them.
_RUNTIME_PACKAGES = ("gstreamer1.0-plugins-base", "gstreamer1.0-plugins-good")


@dataclass(frozen=True)
class Target:
    """One image.

    Attributes:
        name: ``l4t``, ``cuda``, ``cuda-devel``, ``opencv`` or ``module``.
        image: its reference, with tag.
        dockerfile: the Dockerfile.
        context: the build's folder.
        stage: the stage of the Dockerfile.
        args: build arguments.
        contexts: further contexts: a folder, or another target's name after ``target:``.
        kept: True if the image is a result, False if it serves others only.
    """

    name: str
    image: str
    dockerfile: Path
    context: Path
    stage: str
    args: dict[str, str]
    contexts: dict[str, str] = field(default_factory=dict)
    kept: bool = True


@dataclass(frozen=True)
class Plan:
    """What is built for one platform.

    Attributes:
        platform: the platform.
        targets: images, each after those that it needs.
        needed: files that the builder must bring for them.
    """

    platform: Platform
    targets: tuple[Target, ...]
    needed: tuple[Download, ...]

    @property
    def goals(self) -> tuple[Target, ...]:
        """The images that are results."""
        return tuple(target for target in self.targets if target.kept)

    @property
    def needs_apt_url(self) -> bool:
        """True if NVIDIA's repository for Jetson is used."""
        return any(APT_URL in target.args for target in self.targets)


def downloads(platform: Platform, layers: tuple[str, ...]) -> tuple[Download, ...]:
    """Return the files that the builder brings for these layers."""
    release = platform.release
    found: list[Download] = []
    if "l4t" in layers and release.driver.recipe.value == "tarball" and platform.bsp:
        found.append(platform.bsp)
    if "cuda" in layers and release.cuda.archive:
        found.append(release.cuda.archive.value)
    if "opencv" in layers and release.opencv.source.value == "archives":
        found += release.opencv.files.value
    return tuple(found)


def make_plan(
    platform: Platform,
    *,
    layer: str = "module",
    only: bool = False,
    repository: str = "edgevision",
    files: Path | None = None,
    module: Path | None = None,
    wheels: Path | None = None,
    jobs: int | None = None,
    module_image: str = "",
    version: str = "",
) -> Plan:
    """Return the plan of a layer and of what is below it.

    Args:
        platform: the platform.
        layer: the topmost image, of `edgevision.deploy.platforms.LAYERS`.
        only: leave out what is below: it has been built or pushed before.
        repository: what the images' names begin with, such as ``registry.example/vision``.
        files: folder of the files that the builder brings; default an empty one.
        module: folder of the module; default the current one.
        wheels: folder that holds edgevision's wheel, for the module.
        jobs: compilations at a time; default one for each processor.
        module_image: name and tag of the module's image; default ``repository/module``.
        version: the module's own version.

    Raises:
        ConfigurationError: there is no such layer.
    """
    if layer not in platform.layers:
        near = did_you_mean(layer, LAYERS)
        why = ", it has no driver layer" if layer in LAYERS else near
        known = ", ".join(platform.layers)
        raise ConfigurationError(f"no layer {layer!r} of {platform.id}{why} (there are: {known})")
    below = platform.layers[: platform.layers.index(layer)]
    layers = (layer,) if only else (*below, layer)
    maker = _Maker(platform, repository, layers, files or docker_folder() / "files")
    targets: list[Target] = []
    for name in layers:
        if name == "l4t":
            targets.append(maker.l4t())
        elif name == "cuda":
            targets.append(maker.cuda())
        elif name == "opencv":
            targets += maker.opencv(jobs)
        else:
            made = maker.module(module or Path(), wheels or Path("dist"), version)
            targets.append(replace(made, image=module_image) if module_image else made)
    return Plan(platform, tuple(targets), downloads(platform, layers))


@dataclass(frozen=True)
class _Maker:
    platform: Platform
    repository: str
    layers: tuple[str, ...]
    files: Path

    def image(self, layer: str) -> str:
        return f"{self.repository}/{layer}:{self.platform.tag}"

    def base(self, layer: str) -> tuple[str, dict[str, str]]:
        """Return the image that a layer begins with, and the contexts that stand for it."""
        order = self.platform.layers
        position = order.index(layer)
        if position == 0:
            return self.platform.base_image, {}
        below = order[position - 1]
        image = self.image(below)
        return image, {image: f"target:{below}"} if below in self.layers else {}

    def l4t(self) -> Target:
        platform, driver = self.platform, self.platform.release.driver
        args = {
            "BASE_IMAGE": platform.base_image,
            "ARCH": platform.arch,
            "PLATFORM": platform.id,
            "L4T_RELEASE": platform.l4t or "",
            "DRIVER_RECIPE": driver.recipe.value,
            "DRIVER_LIBRARY_PATH": ":".join(platform.library_dirs),
            "DRIVER_LINKS": _links(driver.links.value if driver.links else []),
        }
        if driver.recipe.value == "tarball" and platform.bsp:
            args["BSP_FILE"] = platform.bsp.name
            args["BSP_SUMS"] = _sums(platform.bsp)
        else:
            suite, components = driver.suite, driver.components
            keys = driver.key_fingerprints
            args["DRIVER_PACKAGES"] = " ".join(platform.driver_packages)
            args[APT_URL] = f"${{{APT_URL}}}"
            args["JETSON_APT_REPOSITORIES"] = " ".join(platform.repositories)
            args["JETSON_APT_SUITE"] = suite.value if suite else ""
            args["JETSON_APT_COMPONENTS"] = " ".join(components.value if components else ())
            args["JETSON_KEY_FINGERPRINTS"] = " ".join(keys.value if keys else ())
        return self._target("l4t", "l4t", args, {"files": str(self.files)})

    def _cuda_args(self) -> dict[str, str]:
        platform, release = self.platform, self.platform.release
        base, _ = self.base("cuda")
        cuda, cudnn = release.cuda, release.cudnn
        home = cuda.home.value
        library_path = (f"{home}/lib64", f"{home}/extras/CUPTI/lib64", *platform.library_dirs)
        args = {
            "BASE_IMAGE": base,
            "ARCH": platform.arch,
            "PLATFORM": platform.id,
            "CUDA_VERSION": cuda.version.value,
            "CUDNN_VERSION": cudnn.version.value if cudnn.runtime.value else "",
            "CUDA_HOME": home,
            "LIBRARY_PATH": ":".join(library_path),
            "CUDA_PACKAGES": " ".join((*cuda.runtime.value, *cudnn.runtime.value)),
            "CUDA_PURGE": " ".join(cuda.purge.value if cuda.purge else ()),
        }
        if cuda.archive:
            args["CUDA_ARCHIVE"] = cuda.archive.value.name
            args["CUDA_ARCHIVE_SUMS"] = _sums(cuda.archive.value)
        return args

    def cuda(self) -> Target:
        contexts = {"files": str(self.files), **self.base("cuda")[1]}
        return self._target("cuda", "runtime", self._cuda_args(), contexts)

    def opencv(self, jobs: int | None) -> list[Target]:
        platform, release = self.platform, self.platform.release
        cuda, cudnn, opencv = release.cuda, release.cudnn, release.opencv
        more = cudnn.devel.value if cudnn.devel else []
        devel_args = {
            **self._cuda_args(),
            "CUDA_DEVEL_PACKAGES": " ".join((*cuda.devel.value, *more)),
        }
        files = {"files": str(self.files)}
        # It begins below the CUDA layer, whose stages it shares.
        below = self.base("cuda")[1] if "cuda" in self.layers else {}
        devel = self._target("cuda-devel", "devel", devel_args, {**files, **below}, folder="cuda")
        base, contexts = self.base("opencv")
        extra = opencv.extra.value if opencv.extra else []
        args = {
            "BASE_IMAGE": base,
            "DEVEL_IMAGE": devel.image,
            "PLATFORM": platform.id,
            "PYTHON_SOURCE": release.python.source.value,
            "PYTHON_VERSION": release.python.version.value,
            "OPENCV_VERSION": opencv.version.value,
            "OPENCV_SM": " ".join(platform.sm),
            "OPENCV_OPTIONS": " ".join(opencv_options(platform)),
            "OPENCV_BUILD_PACKAGES": " ".join(
                (*_BUILD_PACKAGES, *(_EXTRA_PACKAGES[name] for name in extra))
            ),
            "OPENCV_RUNTIME_PACKAGES": " ".join(_RUNTIME_PACKAGES),
        }
        if jobs:
            args["OPENCV_JOBS"] = str(jobs)
        contexts = {**files, **contexts, devel.image: "target:cuda-devel"}
        return [devel, self._target("opencv", "opencv", args, contexts)]

    def module(self, folder: Path, wheels: Path, version: str) -> Target:
        base, contexts = self.base("module")
        own = folder / "Dockerfile"
        args = {"BASE_IMAGE": base, "PLATFORM": self.platform.id}
        if version:
            args["MODULE_VERSION"] = version
        return Target(
            name="module",
            image=self.image("module"),
            dockerfile=own if own.is_file() else module_dockerfile(),
            context=folder,
            stage="module",
            args=args,
            contexts={"wheels": str(wheels), **contexts},
        )

    def _target(
        self,
        name: str,
        stage: str,
        args: dict[str, str],
        contexts: dict[str, str],
        folder: str = "",
    ) -> Target:
        return Target(
            name=name,
            image=self.image(name),
            dockerfile=docker_folder() / (folder or name) / "Dockerfile",
            context=docker_folder(),
            stage=stage,
            args={key: value for key, value in args.items() if value},
            contexts=contexts,
            kept=not folder,
        )


def opencv_options(platform: Platform) -> list[str]:
    """Return the options of build_wheel.py in the image, none of them with a space inside."""
    opencv, cuda = platform.release.opencv, platform.release.cuda
    options = ["--version", opencv.version.value]
    if opencv.source.value == "sdist":
        (source,) = opencv.files.value
        requirement = f"opencv-contrib-python=={opencv.version.value}"
        options += ["--sdist", f"{requirement}@sha256:{source.sha256}"]
    else:
        for source in opencv.files.value:
            options += ["--source", f"/files/{source.name}@sha256:{source.sha256}"]
    options += ["--cuda", cuda.version.value, "--cuda-home", cuda.home.value]
    options += ["--sm", *platform.sm]
    options += ["--ptx", *platform.ptx] if platform.ptx else []
    options += ["--numpy", opencv.numpy.value]
    options += ["--cudnn"] if opencv.cudnn.value else []
    options += ["--cudacodec"] if opencv.cudacodec.value else []
    options += ["--extra", *opencv.extra.value] if opencv.extra else []
    return options


def _sums(file: Download) -> str:
    return " ".join(f"{algorithm}:{digest}" for algorithm, digest in file.sums.items())


def _links(links: list[Link]) -> str:
    return " ".join(f"{link.path}={link.to}" for link in links)
