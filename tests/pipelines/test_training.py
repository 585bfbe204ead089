"""The DAG: its tasks, what each waits for and which settings each is given, and how thin the components are."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from components.configuration import load
from model.config import TRAINED
from pipelines.cluster.compilation import package
from pipelines.cluster.profiles import read_profile
from pipelines.training import KEPT

ROOT = Path(__file__).parents[2]
LOCAL = read_profile("local")
COMPONENTS = (
    *("prepare", "validate", "neighbours", "extract", "train", "embed"),
    *("quantize", "evaluate", "compare", "register", "report", "publish"),
)
DEPENDENCIES = {
    "prepare": set(),
    "validate": {"prepare"},
    "neighbours": {"prepare", "validate"},
    "extract": {"prepare", "validate"},
    "train": {"prepare", "neighbours", "extract"},
    "train-baseline": {"prepare", "neighbours", "extract"},
    "embed": {"prepare", "extract", "train"},
    "embed-baseline": {"prepare", "extract", "train-baseline"},
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


def parameters(document: dict) -> dict[str, set[str]]:
    """By step, the pipeline's parameters that it is given: with the artifacts its key in the cluster's cache."""
    tasks = document["root"]["dag"]["tasks"].values()
    return {
        task["taskInfo"]["name"]: {
            given.get("componentInputParameter", name) for name, given in task["inputs"].get("parameters", {}).items()
        }
        for task in tasks
    }


def test_a_section_reaches_the_parameter_of_its_name(compiled):
    tasks = yaml.safe_load(compiled)["root"]["dag"]["tasks"].values()
    pairs = {
        (name, given["componentInputParameter"])
        for task in tasks
        for name, given in task["inputs"].get("parameters", {}).items()
        if "componentInputParameter" in given
    }
    assert pairs
    assert all(name == given for name, given in pairs)


def test_each_step_is_given_the_sections_that_it_reads(compiled):
    train = {f"{name}_config" for name in TRAINED if name != "seed"} | {"seed"}
    everything = train | {"profile", "quantization_config", "evaluation_config", "gate_config"}
    assert parameters(yaml.safe_load(compiled)) == {
        "prepare": {"catalogue", "lineage", "prepare_config", "vision_config"},  # vision: the size of the pixels
        "validate": {"prepare_config"},
        "neighbours": {"seed", "split_config", "graph_config"},
        "extract": {"prepare_config", "vision_config", "text_config"},
        "train": train,
        "train-baseline": train | {"baseline"},
        "embed": set(),
        "embed-baseline": {"baseline"},
        "quantize": {"seed", "quantization_config"},
        "evaluate": {"seed", "quantization_config", "evaluation_config"},
        "compare": {"seed", "prepare_config", "quantization_config", "evaluation_config"},
        "register": everything | {"run", "lineage"},
        "report": everything,
        "publish": {"lineage", "prepare_config"},  # prepare: how tastes fade
    }


@pytest.mark.parametrize(
    ("setting", "first"),
    [
        ("prepare.min_board_pins=3", {"prepare"}),
        ("seed=7", {"neighbours"}),
        ("text.context=15", {"extract"}),
        ("train.epochs=3", {"train", "train-baseline"}),
        ("quantization.bits=4", {"quantize"}),
        ("evaluation.max_queries=9", {"evaluate"}),
        ("gate.min_retention=0.5", {"register"}),
        ("monitoring.pins=9", set()),
    ],
)
def test_a_changed_setting_runs_anew_from_the_first_step_that_reads_it(setting, first):
    """A step is anew where a parameter of its own has changed, or a step before it is anew; compare always is."""
    before, after = (package("training", load("smoke", sets), LOCAL).text for sets in ([], [setting]))
    old, new = (yaml.safe_load(text)["root"]["inputDefinitions"]["parameters"] for text in (before, after))
    changed = {name for name in new if old[name] != new[name]}
    anew = {step for step, given in parameters(yaml.safe_load(after)).items() if given & changed}
    assert {step for step in anew if not anew & ancestors(step)} == first


def test_tasks_and_what_each_waits_for(compiled):
    tasks = yaml.safe_load(compiled)["root"]["dag"]["tasks"]
    names = {key: task["taskInfo"]["name"] for key, task in tasks.items()}
    found = {names[key]: {names[d] for d in task.get("dependentTasks", [])} for key, task in tasks.items()}
    assert found == DEPENDENCIES


def test_a_run_keeps_what_the_steps_have_as_outputs(compiled):
    """What is not kept is big, or told already: the prepared catalogue, the baseline's folders, KFP's own figures."""
    document = yaml.safe_load(compiled)
    tasks, components = document["root"]["dag"]["tasks"], document["components"]
    outputs = {
        f"{key}/{name}"
        for key, task in tasks.items()
        for name in components[task["componentRef"]["name"]]["outputDefinitions"]["artifacts"]
    }
    kept = {"/".join(source.split("/")[:2]) for source in KEPT.values()}
    assert kept <= outputs
    told = {"evaluate/metrics", "register/verdict"}
    assert outputs - kept == {"train-2/model", "embed-2/vectors", "extract/extracted"} | told


def ancestors(name: str) -> set[str]:
    return DEPENDENCIES[name].union(*map(ancestors, DEPENDENCIES[name]))


def test_everything_that_learns_waits_for_validation():
    behind = set(DEPENDENCIES) - {"prepare", "validate"}
    assert all("validate" in ancestors(name) for name in behind)
    assert ancestors("publish") == set(DEPENDENCIES) - {"publish"}


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
    tree = ast.parse((ROOT / "components" / "steps" / f"{name}.py").read_text())
    imported = [ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert imported == ["from kfp import dsl", "from components.container_image import IMAGE"]
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    assert len([node for node in ast.walk(function) if isinstance(node, ast.stmt) and worth_counting(node)]) <= 10


def worth_counting(node: ast.stmt) -> bool:
    """A statement of its own: no import, no docstring."""
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return not docstring and not isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef))
