"""``edgevision devicequery``: what NVIDIA's deviceQuery prints."""

from __future__ import annotations

from edgevision.cli.output import Output

__all__ = ["device_query"]


def device_query(output: Output) -> int:
    """Print the devices, and return 0 if there is one that CUDA's runtime can use, else 1.

    Programs that read deviceQuery's output read this as well, so text is the default on pipes, too.
    """
    from edgevision.cuda.cudart import find
    from edgevision.cuda.device_query import query

    found = query(runtime=find())
    if output.as_json:
        output.data(found.to_json())
    else:
        print(found, flush=True)
    return 0 if found.passed else 1
