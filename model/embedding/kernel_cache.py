"""Limits the compiled kernels that oneDNN keeps in memory.

On a CPU oneDNN compiles a kernel for every shape that it meets, and it and its caller in torch each keep the last
1,024. Packed texts have another number of tokens in every batch, so both fill up with kernels that no batch meets
again: embedding 15,360 Pins with the demo network peaked at 1,142 MiB, with 64 kernels kept at 743 MiB and as fast.
64 hold all that recur, those of the image tower.
"""

import os

KEPT = "64"
SETTINGS = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


def keep_few_kernels() -> None:
    """To be called before the first forward pass of the process: the settings are read once. Settings made by the user
    are kept."""
    for name in SETTINGS:
        os.environ.setdefault(name, KEPT)
