"""Images built and looked into by buildah, without a registry, a daemon or a network of its own.

The base is Debian of this machine's mirror, made once and kept in /tmp: inside of the
checkout, setuptools would walk through every file of every image. Certificates of this machine are
put into it, so that pip reaches the index that this machine is set up for.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgevision.deploy.plan import Target

BASE = "localhost/edgevision-test-base"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_STORAGE = """\
[storage]
driver = "{driver}"
runroot = "{folder}/run"
graphroot = "{folder}/graph"
"""


class BuildFailedError(Exception):
    """A build ended with an error; the text is what it printed."""


@dataclass(frozen=True)
class Builder:
    """buildah with a store of its own.

    Attributes:
        folder: where images, layers and the base are kept.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path) -> Builder:
        """Return a builder in a folder that may hold images already."""
        folder.mkdir(parents=True, exist_ok=True)
        storage = folder / "storage.conf"
        storage.write_text(_STORAGE.format(driver="overlay", folder=folder))
        return cls(folder, {**os.environ, "CONTAINERS_STORAGE_CONF": str(storage)})

    @staticmethod
    def default_folder() -> Path:
        """Return where images are kept between runs.

        It must not lie below a folder in which a Dockerfile mounts something, such as /var or
        /root: buildah 1.28 then clears the wrong folder of the image after the step.
        """
        return Path("/tmp") / f"edgevision-test-images-{os.getuid()}"

    def run(self, *words: str, timeout_s: float = 1800) -> str:
        """Run buildah and return what it prints.

        Raises:
            BuildFailedError: it fails.
        """
        done = subprocess.run(
            ["buildah", *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
        if done.returncode:
            raise BuildFailedError(done.stdout)
        return done.stdout

    def base(self) -> str:
        """Return the base image, made if it is not there yet."""
        if BASE in self.run("images", "--format", "{{.Name}}"):
            return f"{BASE}:latest"
        rootfs = self.folder / "rootfs.tar"
        if not rootfs.exists():
            sources = Path("/etc/apt/sources.list.d/debian.sources")
            part = rootfs.with_name("part.tar")
            command = ["mmdebstrap", "--variant=minbase", "--include=ca-certificates", "bookworm"]
            given = [str(sources)] if sources.is_file() else []
            subprocess.run([*command, str(part), *given], check=True, capture_output=True)
            part.replace(rootfs)
        container = self.run("from", "scratch").strip()
        self.run("add", container, str(rootfs), "/")
        inside = "/etc/ssl/certs/build-ca.crt"
        if _CERTIFICATES.is_file():
            pip = self.folder / "pip.conf"
            pip.write_text(f"[global]\ncert = {inside}\n")
            self.run("copy", container, str(_CERTIFICATES), inside)
            self.run("copy", container, str(pip), "/etc/pip.conf")
            self.run("config", "--env", f"SSL_CERT_FILE={inside}", container)
        self.run("config", "--env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", container)
        self.run("commit", "--rm", container, BASE)
        return f"{BASE}:latest"

    def build(self, target: Target, changes: Mapping[str, str], contexts: Mapping[str, str]) -> str:
        """Build a target of a plan and return its image.

        Args:
            target: the target.
            changes: build arguments that differ here; an empty one is left out.
            contexts: further contexts that differ here.

        Raises:
            BuildFailedError: the build fails.
        """
        args = {**target.args, **changes}
        words = ["build", "--isolation=chroot", "--format", "docker", "--layers"]
        words += ["--file", str(target.dockerfile), "--target", target.stage]
        for name, value in args.items():
            words += ["--build-arg", f"{name}={value}"] if value else []
        places = {**target.contexts, **contexts}
        for name, place in places.items():
            if not place.startswith("target:"):
                words += ["--build-context", f"{name}={place}"]
        image = f"localhost/{target.image}"
        self.run(*words, "--tag", image, str(target.context))
        return image

    @contextlib.contextmanager
    def opened(self, image: str) -> Iterator[Image]:
        """Look into an image through a container that is removed at the end."""
        container = self.run("from", "--pull-never", image).strip()
        try:
            config = json.loads(self.run("inspect", "--type", "container", container))
            root = Path(self.run("mount", container).strip())
            yield Image(self, container, root, config["Docker"]["config"])
        finally:
            self.run("rm", container)

    def remove(self) -> None:
        """Remove the images and keep the base's archive."""
        with contextlib.suppress(BuildFailedError):
            self.run("rmi", "--all", "--force")
        shutil.rmtree(self.folder / "run", ignore_errors=True)


@dataclass(frozen=True)
class Image:
    """An image that can be looked into.

    Attributes:
        builder: its builder.
        container: the container that it is seen through.
        root: its root folder.
        config: user, environment, labels, entry point.
    """

    builder: Builder
    container: str
    root: Path
    config: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """The environment."""
        return dict(entry.split("=", 1) for entry in self.config["Env"])

    @property
    def labels(self) -> dict[str, str]:
        """The labels."""
        return self.config["Labels"] or {}

    def run(self, *words: str) -> str:
        """Run a command in it as its user and return what it prints.

        Raises:
            BuildFailedError: it fails.
        """
        return self.builder.run("run", "--isolation=chroot", self.container, "--", *words)

    def path(self, name: str) -> Path:
        """Return where a file of the image lies on this machine."""
        return self.root / name.lstrip("/")

    def resolved(self, name: str) -> str:
        """Return what a link leads to in the end, inside the image."""
        return self.run("readlink", "-f", name).strip()
