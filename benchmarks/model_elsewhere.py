"""What the registered model costs whoever has nothing of this project: size of the environment, time to load.

    python benchmarks/model_elsewhere.py models:/pinclip@challenger

A fresh environment with the version's requirements.txt and no more, then three processes in an empty folder: the first
compiles what it imports; the last come after the environment is compiled whole, as pip leaves it. Each loads the
version from disk and predicts; `rows` are queries of three words. MiB as `du` counts.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mlflow

from components.mlflow_client import connect
from components.settings import Settings

LOADS = """
import resource, sys, time

def since(before):
    return f"{time.perf_counter() - before[0]:.2f} s ({time.process_time() - before[1]:.2f} of CPU)"

def now():
    return time.perf_counter(), time.process_time()

start = now()
import mlflow.pyfunc
print("import mlflow", since(start), end=" | ")
start = now()
model = mlflow.pyfunc.load_model(sys.argv[1])
print("load", since(start), end=" | ")
model.predict([{"query": "a red bicycle"}])
print("with the first answer", since(start), end=" | ")
start = now()
model.predict({"query": ["a red bicycle"] * 1000})
print("1,000 rows", since(start), f"| peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("uri", help="of a version")
    uri = parser.parse_args().uri
    connect(Settings())
    with tempfile.TemporaryDirectory(prefix="pinclip-") as scratch:
        version = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(Path(scratch, "version"))))
        python, empty = Path(scratch, "env", "bin", "python"), Path(scratch, "empty")
        empty.mkdir()
        uv = [sys.executable, "-m", "uv", "-q"]
        subprocess.run([*uv, "venv", "--python", sys.executable, str(python.parents[1])], check=True)
        asked = ["--python", str(python), "-r", str(version / "requirements.txt")]
        subprocess.run([*uv, "pip", "install", *asked], check=True)
        print(f"version {mebibytes(version)} MiB, environment as uv installs it {mebibytes(python.parents[1])} MiB")
        names = (name for name in os.environ if not name.startswith(("PYTHON", "PINCLIP", "OMP")))
        environment = {name: os.environ[name] for name in names} | {"MLFLOW_DISABLE_TELEMETRY": "true"}
        load = [str(python), "-c", LOADS, str(version)]
        subprocess.run(load, cwd=empty, env=environment, check=True)
        subprocess.run([str(python), "-m", "compileall", "-q", str(python.parents[1])], env=environment, check=False)
        print(f"environment compiled whole, as pip leaves it {mebibytes(python.parents[1])} MiB")
        for _ in range(2):
            subprocess.run(load, cwd=empty, env=environment, check=True)


def mebibytes(folder: Path) -> int:
    told = subprocess.run(["du", "-sm", str(folder)], check=True, capture_output=True, text=True).stdout
    return int(told.split()[0])


if __name__ == "__main__":
    main()
