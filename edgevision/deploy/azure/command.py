"""The ``az`` command: found, run under a time limit, its answers decoded."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from edgevision.errors import EdgeVisionError
from edgevision.redaction import redact

__all__ = ["Az", "AzError"]

_NOT_FOUND = ("NotFound", "404", "does not exist", "ModuleNotFound", "ConfigurationNotFound")
_SHOWN = 600


class AzError(EdgeVisionError):
    """``az`` is missing, not logged in, or failed.

    Attributes:
        missing: True if what was asked for does not exist.
    """

    def __init__(self, message: str, *, missing: bool = False) -> None:
        self.missing = missing
        super().__init__(message)


class Az:
    """Runs ``az``.

    Args:
        program: name or path of the command.
        timeout_s: limit of each call.
    """

    def __init__(self, program: str = "az", timeout_s: float = 300.0) -> None:
        self._program = program
        self._timeout_s = timeout_s

    def shown(self, arguments: Sequence[str]) -> str:
        """Return a command line to look at or to paste."""
        return shlex.join([self._program, *arguments])

    def run(self, arguments: Sequence[str]) -> Any:
        """Run ``az ARGUMENTS --output json`` and return the decoded answer; None for no answer.

        Raises:
            AzError: it did not work; the message says what to do where that is known.
        """
        program = shutil.which(self._program)
        if program is None:
            raise AzError(
                f"the command {self._program!r} is not installed; Microsoft's page 'Install the "
                "Azure CLI' says how, and then: az extension add --name azure-iot"
            )
        try:
            done = subprocess.run(
                [program, *arguments, "--only-show-errors", "--output", "json"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise AzError(
                f"no answer within {self._timeout_s:g} s: {self.shown(arguments)}"
            ) from error
        except OSError as error:
            raise AzError(f"{program} cannot be run: {error.strerror}") from error
        if done.returncode != 0:
            raise self._failure(arguments, done.returncode, done.stderr)
        if not done.stdout.strip():
            return None
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError as error:
            raise AzError(
                f"az answered something that is no JSON: {self.shown(arguments)}"
            ) from error

    def _failure(self, arguments: Sequence[str], code: int, said: str) -> AzError:
        text = redact(said.strip())[-_SHOWN:]
        if "az login" in said or "AADSTS" in said:
            return AzError(f"az is not logged in: run 'az login'. It said: {text}")
        if "is misspelled or not recognized" in said or "azure-iot" in said:
            return AzError(
                "az lacks its extension for IoT: run 'az extension add --name azure-iot'. It said: "
                f"{text}"
            )
        missing = any(word in said for word in _NOT_FOUND)
        return AzError(
            f"az ended with {code}: {self.shown(arguments)}\n{text}".rstrip(), missing=missing
        )
