"""The sync pipeline: given its own section, never cached, thin, every hour."""

import ast
from pathlib import Path

import yaml

from components.configuration import load
from pipelines.cluster.compilation import package
from pipelines.cluster.profiles import read_profile
from pipelines.cluster.schedule_file import read_schedules, wanted
from pipelines.cluster.schedules import SCHEDULES

ROOT = Path(__file__).parents[2]


def compiled(profile: str) -> list[dict]:
    return list(yaml.safe_load_all(package("sync", load("smoke"), read_profile(profile)).text))


def test_the_step_is_given_its_section_alone():
    (task,) = compiled("local")[0]["root"]["dag"]["tasks"].values()
    assert set(task["inputs"]["parameters"]) == {"promotion_config"}


def test_the_step_is_never_answered_from_a_cache():
    (task,) = compiled("local")[0]["root"]["dag"]["tasks"].values()
    assert not task.get("cachingOptions", {}).get("enableCache", False)


def test_on_the_cluster_it_gets_the_secrets_of_both_stores():
    _, platform = compiled("cluster")
    (executor,) = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    assert {one["secretName"] for one in executor["secretAsEnv"]} == {"pinclip-mlflow", "pinclip-redis"}


def test_it_is_scheduled_every_hour():
    schedule = read_schedules(SCHEDULES).schedules["hourly-sync"]
    assert wanted("hourly-sync", schedule).arguments == {}
    assert schedule.cron.split()[2] == "*"


def test_the_component_is_thin_and_imports_inside():
    tree = ast.parse((ROOT / "components" / "steps" / "sync.py").read_text())
    imported = [ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert imported == ["from kfp import dsl", "from components.container_image import IMAGE"]
