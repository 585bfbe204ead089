"""The DAG: its golden YAML, its tasks and what each waits for, and how thin the components are.

After a change that is meant, write the golden file anew and read its diff:
    UPDATE_GOLDEN=1 pytest tests/pipelines/test_training.py
"""

import ast
import os
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "training.yaml"
COMPONENTS = (
    *("prepare", "validate", "neighbours", "train", "embed"),
    *("quantize", "evaluate", "compare", "register", "render", "publish"),
)
DEPENDENCIES = {
    "prepare": set(),
    "validate": {"prepare"},
    "neighbours": {"prepare", "validate"},
    "train": {"prepare", "neighbours"},
    "train-baseline": {"prepare", "neighbours"},
    "embed": {"prepare", "train"},
    "embed-baseline": {"prepare", "train-baseline"},
    "quantize": {"embed", "neighbours"},
    "evaluate": {"prepare", "neighbours", "train", "embed", "embed-baseline", "quantize"},
    "compare": {"prepare", "neighbours", "train", "embed", "evaluate"},
    "register": {"prepare", "train", "evaluate", "compare", "validate"},
    "report": {"prepare", "validate", "neighbours", "train", "train-baseline", "evaluate", "compare", "register"},
    "publish": {"prepare", "quantize", "register", "report"},
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> str:
    from kfp import compiler

    from pipelines.training import training

    path = tmp_path_factory.mktemp("compiled") / "training.yaml"
    compiler.Compiler().compile(training, str(path))
    return path.read_text()


def test_the_compiled_pipeline_is_the_golden_one(compiled):
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(compiled)
    assert compiled == GOLDEN.read_text(), "meant? UPDATE_GOLDEN=1 pytest tests/pipelines/test_training.py"


def test_tasks_and_what_each_waits_for(compiled):
    tasks = yaml.safe_load(compiled)["root"]["dag"]["tasks"]
    names = {key: task["taskInfo"]["name"] for key, task in tasks.items()}
    found = {names[key]: {names[d] for d in task.get("dependentTasks", [])} for key, task in tasks.items()}
    assert found == DEPENDENCIES


def test_everything_that_learns_waits_for_validation():
    def before(name: str) -> set[str]:
        return DEPENDENCIES[name].union(*map(before, DEPENDENCIES[name]))

    behind = set(DEPENDENCIES) - {"prepare", "validate"}
    assert all("validate" in before(name) for name in behind)
    assert before("publish") == set(DEPENDENCIES) - {"publish"}


def test_the_baseline_is_the_same_component_with_one_switch(compiled):
    document = yaml.safe_load(compiled)
    assert (
        document["deploymentSpec"]["executors"]["exec-train"] == document["deploymentSpec"]["executors"]["exec-train-2"]
    )
    inputs = [document["root"]["dag"]["tasks"][key]["inputs"] for key in ("train", "train-2")]
    assert inputs[1]["parameters"].pop("baseline") == {"runtimeValue": {"constant": True}}
    assert inputs[0] == inputs[1]


def test_the_yaml_carries_no_paths_of_a_machine_and_no_conditions(compiled):
    assert not re.search(r"(?<![\w.$])/(home|root|tmp|work|Users|usr|opt|var)/", compiled)
    assert not re.search(r"password|secret|token", compiled, flags=re.IGNORECASE)
    tasks = yaml.safe_load(compiled)["root"]["dag"]["tasks"].values()
    assert not any({"triggerPolicy", "parameterIterator"} & set(task) for task in tasks)


def test_only_who_asks_for_the_champion_is_never_answered_from_the_cache(compiled):
    tasks = yaml.safe_load(compiled)["root"]["dag"]["tasks"].values()
    assert [t["taskInfo"]["name"] for t in tasks if not t["cachingOptions"].get("enableCache")] == ["compare"]


def test_nothing_is_installed_at_run_time(compiled):
    executors = yaml.safe_load(compiled)["deploymentSpec"]["executors"].values()
    assert not any("pip" in part for executor in executors for part in executor["container"]["command"][:3])


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_is_thin_and_imports_inside(name):
    tree = ast.parse((ROOT / "components" / f"{name}.py").read_text())
    imported = [ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert imported == ["from kfp import dsl", "from components.image import IMAGE"]
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    assert len([node for node in ast.walk(function) if isinstance(node, ast.stmt) and worth_counting(node)]) <= 10


def worth_counting(node: ast.stmt) -> bool:
    """A statement of its own: no import, no docstring."""
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return not docstring and not isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef))
