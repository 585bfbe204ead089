"""The number of CPUs that this process may use."""

import math
import os
from pathlib import Path

LIMIT = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2: microseconds of CPU time in each period, or "max"


def cpus(limit: Path = LIMIT) -> int:
    """The CPU limit of the pod or container, rounded up; os.cpu_count() would give the CPUs of the whole machine."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = limit.read_text(encoding="ascii").split()
    except (OSError, ValueError):  # no Linux, no cgroup v2
        return there
    return there if quota == "max" else min(there, math.ceil(int(quota) / int(period)))
