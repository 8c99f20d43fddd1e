"""A plan as a bake file, and as commands that one can paste."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from edgevision.deploy.plan import APT_URL, Plan, Target

__all__ = ["bake_file", "build_commands", "write_bake_file"]


_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")


def bake_file(plan: Plan, *, push: bool = False, cache: str = "") -> dict[str, Any]:
    """Return what ``docker buildx bake`` reads.

    Args:
        plan: the plan.
        push: push the images instead of loading them into the engine.
        cache: where layers are kept and looked for, such as
            ``type=registry,ref=registry.example/cache``.
    """
    document: dict[str, Any] = {
        "group": {"default": {"targets": [target.name for target in plan.goals]}},
        "target": {
            target.name: _target(plan, target, push=push, cache=cache) for target in plan.targets
        },
    }
    variables = [APT_URL] if plan.needs_apt_url else []
    for target in plan.targets:
        variables += _VARIABLE.findall(target.image)
    if variables:
        # The environment's values take their place.
        document = {"variable": {name: {"default": ""} for name in variables}, **document}
    return document


def _target(plan: Plan, target: Target, *, push: bool, cache: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "context": str(target.context),
        "dockerfile": str(target.dockerfile.absolute()),
        "target": target.stage,
        "platforms": [plan.platform.docker_platform],
        "args": target.args,
    }
    if target.contexts:
        made["contexts"] = target.contexts
    if target.kept:
        made["tags"] = [target.image]
        made["output"] = ["type=registry" if push else "type=docker"]
    else:
        made["output"] = ["type=cacheonly"]
    if cache:
        made["cache-from"] = [cache]
        made["cache-to"] = [f"{cache},mode=max"]
    return made


def build_commands(plan: Plan, *, push: bool = False) -> list[str]:
    """Return one ``docker buildx build`` for each image, to be pasted one after the other.

    An image is found by the next one under its tag, so the builder must be the engine itself, or
    the images must be pushed.
    """
    return [_command(plan, target, push=push) for target in plan.targets]


def _command(plan: Plan, target: Target, *, push: bool) -> str:
    words = ["docker", "buildx", "build", "--platform", plan.platform.docker_platform]
    words += ["--file", str(target.dockerfile), "--target", target.stage]
    for name, value in target.args.items():
        words += ["--build-arg", name if name == APT_URL else f"{name}={value}"]
    for name, place in target.contexts.items():
        if not place.startswith("target:"):
            words += ["--build-context", f"{name}={place}"]
    # The shell puts variables into the image's name, where nothing else needs quotes.
    image = f'"{target.image}"' if "$" in target.image else shlex.quote(target.image)
    rest = shlex.join(["--push" if push else "--load", str(target.context)])
    return f"{shlex.join(words)} --tag {image} {rest}"


def write_bake_file(plan: Plan, path: Path, *, push: bool = False, cache: str = "") -> Path:
    """Write the bake file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bake_file(plan, push=push, cache=cache), indent=2) + "\n")
    return path
