"""Look for what keeps a machine from working: ``edgevision doctor``.

- `edgevision.doctor.machine`: everything a check may look at, from a root folder that is given.
- `edgevision.doctor.checkup`: the checks by name, and running them.
- `edgevision.doctor.finding`: what a check says.

Each of the other modules holds one check, or two that belong together: a function that takes a
`Machine` and yields findings. No check prints, changes the machine or ends the others.
"""

from __future__ import annotations

from edgevision.doctor.checkup import CHECKS, examine
from edgevision.doctor.finding import Finding
from edgevision.doctor.machine import Machine

__all__ = ["CHECKS", "Finding", "Machine", "examine"]
