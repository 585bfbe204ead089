"""How many CPUs there are for this process."""

import math
import os
from pathlib import Path

LIMIT = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2: microseconds of CPU time in each period, or "max"


def cpus(limit: Path = LIMIT) -> int:
    """Of a pod or container its limit, rounded up, where os.cpu_count() tells what its machine has."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = limit.read_text(encoding="ascii").split()
    except (OSError, ValueError):  # no Linux, no cgroup v2
        return there
    return there if quota == "max" else min(there, math.ceil(int(quota) / int(period)))
