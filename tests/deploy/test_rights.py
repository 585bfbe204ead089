"""The accounts that steps run under, and what they may do."""

import pytest
from manifests import objects, the

NAMESPACES = {
    "base": "pinclip",
    "overlays/dev": "pinclip-dev",
    "overlays/lab": "pinclip-lab",
    "overlays/prod": "pinclip",
}
STEPS = "pinclip-pipeline"


def bound(folder: str, role: str) -> set[tuple[str, str]]:
    """(account, namespace) of those that have the role."""
    return {
        (subject["name"], subject["namespace"])
        for node in objects(folder)
        if node["kind"] == "RoleBinding" and node["roleRef"]["name"] == role
        for subject in node["subjects"]
    }


@pytest.mark.parametrize("folder", NAMESPACES)
@pytest.mark.parametrize("role", ["pinclip-pipeline", "pinclip-runs"])
def test_the_account_of_recurring_runs_has_the_rights_of_a_submitted_run(folder, role):
    accounts = [STEPS] if folder == "base" else [STEPS, "default-editor"]
    assert bound(folder, role) == {(name, NAMESPACES[folder]) for name in accounts}
    for name in accounts:
        assert the(folder, "ServiceAccount", name)["metadata"]["namespace"] == NAMESPACES[folder]


def test_retrain_may_start_a_run_and_nothing_that_is_no_kfp_resource():
    rules = the("base", "Role", "pinclip-runs")["rules"]
    runs = next(rule for rule in rules if rule["apiGroups"] == ["pipelines.kubeflow.org"])
    assert {"runs", "experiments", "pipelines", "pipelines/versions"} == set(runs["resources"])
    assert {"create", "get", "list"} == set(runs["verbs"])
    (token,) = (rule for rule in rules if rule is not runs)
    assert token == {
        "apiGroups": [""],
        "resources": ["serviceaccounts/token"],
        "resourceNames": [STEPS, "default-editor"],
        "verbs": ["create"],
    }


def test_every_account_of_prod_may_pull_from_the_registry():
    accounts = [node for node in objects("overlays/prod") if node["kind"] == "ServiceAccount"]
    assert len(accounts) == 8
    assert all(one["imagePullSecrets"] == [{"name": "pinclip-registry"}] for one in accounts)
