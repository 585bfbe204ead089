"""What torch computes on here.   python -m pipelines.local.devices prints it as JSON, in a process of its own."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/version")  # there where NVIDIA's driver is loaded


@dataclass(frozen=True)
class Devices:
    torch: str  # its version; +cpu: built without CUDA
    cuda: str  # of the build; "": none
    gpus: tuple[str, ...] = ()  # the names of those that torch sees
    driver: bool = False  # whether the machine has a GPU's driver, seen by torch or not
    vectors: str = ""  # AVX2, AVX512, …: the widest instructions that torch uses; DEFAULT: none


def devices() -> Devices | None:
    """None where torch does not load."""
    done = subprocess.run(
        [sys.executable, "-m", __name__], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        return None
    found = json.loads(done.stdout.splitlines()[-1])
    return Devices(**found | {"gpus": tuple(found["gpus"])})


def _look() -> Devices:
    import torch

    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    driver = DRIVER.is_file() or shutil.which("nvidia-smi") is not None
    vectors = torch.backends.cpu.get_cpu_capability()
    return Devices(torch.__version__, torch.version.cuda or "", tuple(names), driver, vectors)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(_look())) + "\n")
