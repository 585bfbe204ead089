"""What a process pays before its first useful second: CPU seconds of imports, of steps, of commands in an empty home.

    python benchmarks/starts.py --against ../earlier

Each line is a process of its own, in turns with that of an earlier checkout; the least of --rounds counts, user and
system seconds together. A step is what its function imports (components/steps); a command ends with a sentence.
`loads` names what is heavy and was imported.
"""

import argparse
import ast
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

HEAVY = ("torch", "ray", "feast", "mlflow", "kfp", "pandas", "great_expectations", "scipy")
IMPORTS = ("torch", "ray.train", "ray.serve", "feast", "mlflow", "kfp.dsl.executor_main", "great_expectations")
STEPS = ("prepare", "neighbours", "train", "embed", "quantize", "evaluate", "register", "publish", "sync")
COMMANDS = ("--help", "history", "lineage 1", "promote 1", "rollback", "retire nothing", "forget nobody")
LOADS = f"\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
COMMAND = """
import sys
sys.argv = ["pinclip", *{arguments!r}]
import pinclip_entry
try:
    pinclip_entry.main()
except SystemExit:
    pass
"""
HERE = Path(__file__).resolve().parents[1]


def programs(checkout: Path) -> dict[str, str]:
    """Python text by the line's name."""
    lines = {f"import {name}": f"import {name}" for name in IMPORTS}
    lines["import feast, as this project does"] = "from serving.feast_import import import_feast\nimport_feast()"
    lines |= {f"step {name}": _imports(checkout / "components" / "steps" / f"{name}.py") for name in STEPS}
    return lines | {f"pinclip {text}": COMMAND.format(arguments=text.split()) for text in COMMANDS}


def _imports(step: Path) -> str:
    functions = (node for node in ast.parse(step.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef))
    inside = (node for function in functions for node in ast.walk(function))
    return "\n".join(ast.unparse(node) for node in inside if isinstance(node, ast.Import | ast.ImportFrom))


def cpu_seconds(program: str, checkout: Path) -> tuple[float, str]:
    """(user and system seconds, what it loaded)"""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "PYTHONPATH": str(checkout), "PINCLIP_HOME": home}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", program + LOADS],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return spent, done.stdout.splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout of this project")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", nargs="+", default=[""], help="only those whose names begin so")
    args = parser.parse_args()
    checkouts = [HERE, *([args.against.resolve()] if args.against else [])]
    print(f"| | CPU s | loads |{' CPU s earlier | loaded |' if args.against else ''}")
    print("| --- | ---: | --- |" + " ---: | --- |" * (len(checkouts) - 1))
    texts = [programs(checkout) for checkout in checkouts]
    for name in (name for name in texts[0] if name.startswith(tuple(args.lines))):
        runs = [
            [cpu_seconds(text[name], one) for text, one in zip(texts, checkouts, strict=True)]
            for _ in range(args.rounds)
        ]
        least = [min(column) for column in zip(*runs, strict=True)]
        print(f"| {name} | " + " | ".join(f"{spent:.2f} | {loads}" for spent, loads in least) + " |", flush=True)


if __name__ == "__main__":
    main()
