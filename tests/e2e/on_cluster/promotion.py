"""A version becomes the champion in MLflow, a sync makes it serve, and who may ask the encoder gets answers from it."""

import json
from typing import Any

from tests.e2e.on_cluster import failure_details, jobs, overlay, profile
from tests.e2e.on_cluster.cluster_clients import MINE, READER, STRANGER, Site
from tests.e2e.on_cluster.schedules import aliases, versions
from tests.e2e.on_cluster.steps import Failed

SECRET, KEY = "pinclip-encoder", "token"
LABEL = {"pinclip.dev/reads-features": "true"}
SET_CHAMPION = """
import sys
from components.mlflow_client import connect
from components.settings import Settings
settings = Settings()
connect(settings).set_registered_model_alias(settings.model_name, "champion", sys.argv[1])
"""
# Exit code 0 with what the encoder found, 3 where nothing answers, 1 for all else.
SEARCH = """
import json, os, sys, urllib.error, urllib.request
body = json.dumps({"text": "a red chair", "k": 5}).encode()
headers = {"Authorization": "Bearer " + os.environ.get("TOKEN", ""), "Content-Type": "application/json"}
request = urllib.request.Request(sys.argv[1] + "/v1/search", body, headers)
try:
    print("FOUND", urllib.request.urlopen(request, timeout=20).read().decode())
except urllib.error.HTTPError as error:
    print("STATUS", error.code, error.read()[:300])
except OSError as error:
    print("NOTHING", error)
"""


def services(site: Site) -> str:
    """features and encoder wait for the first publication; now they come up."""
    for name in ("deployment/features", "deployment/encoder"):
        overlay.ready(site, name, 600)
        site.clock.tell(f"{name} is ready")
    return "features and encoder are ready."


def promote(site: Site) -> str:
    """The alias moves in MLflow, as a person moves it there; `pinclip sync` does the rest."""
    passed = [one for one in versions(site) if one.get("pinclip.gate") == "passed"]
    if not passed:
        raise Failed("MLflow has no version that passed its gate.")
    newest = passed[-1]["version"]
    as_sync = jobs.of_step(profile.read(site), "sync", "sync")
    jobs.run(site, "e2e-champion", ["python", "-c", SET_CHAMPION, str(newest)], 300, as_sync)
    if (champion := aliases(site).get("champion")) != newest:
        raise Failed(f"The alias champion was set to version {newest} in MLflow, which says {champion}.")
    told = jobs.run(site, "e2e-sync", ["pinclip", "sync", "--profile", "smoke"], 600, as_sync)
    return f"Version {newest} is the champion; sync said: {told.strip().splitlines()[-1][:160]}"


def search(site: Site) -> str:
    """From a namespace with the label: an answer from the champion's space."""
    secret: Any = site.ask(site.core.read_namespaced_secret, SECRET, site.namespace)
    namespace(site, READER, LABEL)
    copy = {"metadata": {"name": SECRET, "labels": {MINE: "true"}}, "data": {KEY: secret.data[KEY]}}
    site.ask(site.core.delete_namespaced_secret, SECRET, READER, none_for={404})
    site.ask(site.core.create_namespaced_secret, READER, copy)
    champion = aliases(site).get("champion")

    def answered() -> dict[str, Any] | None:
        found = asked(site, READER)
        if not found.startswith("FOUND "):
            last[:] = [found, *failure_details.of_pods(site, "app.kubernetes.io/name=encoder")]
            return None
        answer: dict[str, Any] = json.loads(found.removeprefix("FOUND "))
        last[:] = [f"It answers from the space {answer['space']} with {len(answer['results'])} Pins."]
        return answer if answer["results"] and answer["space"] == f"v{champion}" else None

    last: list[str] = []
    what = f"The encoder did not answer {READER} from the champion's space v{champion}"
    answer = site.clock.until(answered, 300, what, lambda: last)
    best = answer["results"][0]
    first = f"{best['pin_id']} ({best['score']:.2f})"
    return f"{READER} found {len(answer['results'])} Pins in {answer['space']}, first {first}."


def refused(site: Site) -> str:
    """From a namespace without the label: no answer at all, not even a refusal."""
    namespace(site, STRANGER, {})
    found = asked(site, STRANGER)
    if not found.startswith("NOTHING"):
        raise Failed(
            f"The encoder answered {STRANGER}, which has no label: {found[:120]}. The network plugin of this cluster "
            "enforces no NetworkPolicies, or one of ours lets too much in."
        )
    return f"{STRANGER} got no answer ({found.removeprefix('NOTHING').strip()[:100]})."


def asked(site: Site, where: str) -> str:
    """What a pod in the namespace gets from the encoder: FOUND …, STATUS … or NOTHING …"""
    address = f"http://encoder.{site.namespace}.svc:8000"
    reference = {"secretKeyRef": {"name": SECRET, "key": KEY, "optional": True}}
    pod = jobs.alone([{"name": "TOKEN", "valueFrom": reference}])
    return jobs.run(site, "e2e-search", ["python", "-c", SEARCH, address], 120, pod, where).strip()


def namespace(site: Site, name: str, labels: dict[str, str]) -> None:
    """Made where it is missing, with our mark, and with the labels."""
    body = {"metadata": {"name": name, "labels": {MINE: "true", **labels}, "annotations": {MINE: "made"}}}
    if site.ask(site.core.read_namespace, name, none_for={404}) is None:
        site.ask(site.core.create_namespace, body)

    def there() -> Any:
        return site.ask(site.core.read_namespaced_service_account, "default", name, none_for={404})

    site.clock.until(there, 60, f"The account default did not come up in {name}")
