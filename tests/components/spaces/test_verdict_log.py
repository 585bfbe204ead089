"""What register and publish say last, for a version that passed and for one that was refused."""

import ast
from pathlib import Path

import pytest
from feature_home import CREATED, quantized

from components.gate import Verdict
from components.registry.versions import Registration
from components.settings import Settings
from components.spaces import verdict_log
from components.spaces.publish import Publication

REASON = "Search recall@10 on fresh Pins is 0.100, below the floor of 0.200."


def registration(passed):
    reasons = ("Everything is above its floor.",) if passed else (REASON, "There is no champion.")
    return Registration(7, Verdict(passed, reasons), "run", "models:/pinclip/7", CREATED.isoformat())


@pytest.fixture(scope="module")
def home(features_home, tmp_path_factory):
    return features_home.beside(tmp_path_factory.mktemp("outcome"))


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_register_says_verdict_reasons_and_that_nothing_serves_yet(tmp_path, capsys):
    verdict_log.log_registration(registration(passed=False), Settings(home=tmp_path))
    assert lines(capsys) == [
        "Version 7 (models:/pinclip/7): refused by the gate.",
        f"  - {REASON}",
        "  - There is no champion.",
        "Now serving: nothing yet.",
    ]


def test_the_metrics_of_the_run_say_the_same(tmp_path):
    told = verdict_log.verdict_metrics(registration(passed=False), Settings(home=tmp_path))
    assert told == {
        "version": 7,
        "gate_passed": 0,
        "verdict": "refused",
        "reasons": f"{REASON} There is no champion.",
        "serving": "nothing yet",
    }
    assert verdict_log.verdict_metrics(registration(passed=True), Settings(home=tmp_path))["gate_passed"] == 1


def test_publish_says_that_a_refused_version_is_not_published_and_what_serves_in_its_place(home, tmp_path, capsys):
    space, _ = home.new_space(seed=1)
    refused = home.registered(passed=False)
    publication = home.publish(quantized(tmp_path / "q", seed=2)[0], refused)
    capsys.readouterr()
    verdict_log.log_publication(refused, publication, home.settings)
    assert lines(capsys) == [
        f"Version {refused.version} (models:/pinclip/{refused.version}): refused by the gate.",
        "  - A reason.",
        f"Not published: version {refused.version} has no vectors online and no alias.",
        f"Now serving: {space}.",
    ]


@pytest.mark.parametrize("serving", [True, False])
def test_publish_says_what_it_published_and_how_it_comes_to_serve(serving, tmp_path, capsys):
    publication = Publication("v7", True, 230, 230, serving=serving)
    verdict_log.log_publication(registration(passed=True), publication, Settings(home=tmp_path))
    waits = "" if serving else " It serves once somebody promotes it: `pinclip promote 7`."
    assert lines(capsys)[-2:] == [
        f"Published as v7: 230 Pins, 230 of them read back equal; version 7 is the challenger.{waits}",
        "Now serving: nothing yet.",
    ]


def test_a_registry_that_cannot_be_read_fails_no_step(tmp_path):
    (tmp_path / "feast").mkdir()
    (tmp_path / "feast" / "registry.db").write_bytes(b"\xff not a registry")
    assert verdict_log.serving(Settings(home=tmp_path)).startswith("unknown (")


@pytest.mark.parametrize(("step", "word"), [("register", "log_registration"), ("publish", "log_publication")])
def test_the_steps_end_with_it(step, word):
    """Nothing is said after the verdict, which so stands in the last lines of the log."""
    tree = ast.parse((Path(__file__).parents[3] / "components" / "steps" / f"{step}.py").read_text())
    (work,) = (node for node in ast.walk(tree) if isinstance(node, ast.With))
    assert ast.unparse(work.body[-1]).startswith(f"verdict_log.{word}(registration, ")
