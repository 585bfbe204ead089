"""Does every large package load, and does it compute?   python -m pipelines.local.import_checks [package …]

Prints the first that does not as one line and leaves with 1. `make setup` and `pinclip doctor` run it as a process of
its own, for a broken library may end the process that loads it.
"""

import importlib
import subprocess
import sys
from collections.abc import Sequence

PACKAGES = (
    "torch",
    "ray",
    "faiss",
    "onnxruntime",
    "feast",
    "duckdb",
    "transformers",
    "mlflow",
    "kfp",
    "great_expectations",
)


def problem(packages: Sequence[str] = PACKAGES) -> str:
    """Tries in a process of its own: "" where all packages load, else which does not and why."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, *packages], capture_output=True, text=True, errors="replace", check=False
    )
    return "" if done.returncode == 0 else done.stdout.strip().splitlines()[-1]


def _main() -> None:
    for name in sys.argv[1:] or PACKAGES:
        sys.stdout.write(f"{name} ended the process that imports it\n")
        sys.stdout.flush()
        try:
            importlib.import_module(name)
            if name == "torch":
                _multiply()
        except Exception as error:  # whatever a broken package raises
            sys.stdout.write(f"{name} does not load ({type(error).__name__}: {' '.join(str(error).split())[:200]})\n")
            sys.exit(1)


def _multiply() -> None:
    import torch

    ones = torch.ones(64, 64)
    if not bool(((ones @ ones) == 64).all()):
        raise ArithmeticError("64 ones times 64 ones is not 64")


if __name__ == "__main__":
    _main()
