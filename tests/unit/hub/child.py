"""Runs the unmodified azure-iot-device in a process of its own.

The SDK's process-wide threads never end, so it must not run in the process of the tests. A test
writes the body of ``async def module(client)`` as text; what it prints as JSON lines is read back.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import textwrap
import threading
from collections.abc import Mapping
from typing import Any

__all__ = ["SdkModule"]

LIMIT_S = 40.0

_FRAME = """
import asyncio, json, sys
from azure.iot.device import Message, MethodResponse
from azure.iot.device.aio import IoTHubModuleClient

def say(**fields):
    print(json.dumps(fields), flush=True)

async def told():
    return json.loads(await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline))

async def module(client):
{body}

async def main():
    client = await asyncio.to_thread(
        IoTHubModuleClient.create_from_edge_environment, {options}
    )
    try:
        await module(client)
    finally:
        await asyncio.wait_for(client.shutdown(), 5)

asyncio.run(main())
"""


class SdkModule:
    """A module written with the bare SDK; a context manager, killed at the end of the block.

    Args:
        environment: the IOTEDGE_ variables.
        body: of ``async def module(client)``; it has ``say(**fields)`` and ``await told()``.
        **options: of ``create_from_edge_environment``.
    """

    def __init__(self, environment: Mapping[str, str], body: str, **options: Any) -> None:
        text = textwrap.indent(textwrap.dedent(body), "    ")
        arguments = ", ".join(f"{name}={value!r}" for name, value in options.items())
        self._process = subprocess.Popen(
            [sys.executable, "-c", _FRAME.format(body=text, options=arguments)],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> SdkModule:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def heard(self) -> dict[str, Any]:
        """Wait for what the module says next."""
        line = self._lines.get(timeout=LIMIT_S)
        assert line is not None, "the module has ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def tell(self, **fields: Any) -> None:
        """Say something to the module."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(fields) + "\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """Wait for the module's end and return its exit status."""
        return self._process.wait(LIMIT_S)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)
