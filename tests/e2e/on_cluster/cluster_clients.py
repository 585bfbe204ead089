"""The cluster under test, spoken to by the `kubernetes` client and by kubectl, both with the same KUBECONFIG."""

import json
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from model.errors import ConfigError
from tests.e2e.on_cluster.steps import PAUSE, Clock, Failed

T = TypeVar("T")
ROOT = Path(__file__).parents[3]
MINE = "pinclip.dev/e2e"  # label of all that this command makes beside the overlay; annotation of a namespace it made
NAMESPACE = "pinclip-lab"  # of deploy/kustomize/overlays/lab
READER, STRANGER = "pinclip-e2e-reader", "pinclip-e2e-stranger"
ANSWER = (10, 60)  # seconds to connect and between two bytes
GREETINGS = 5  # tries before the API is taken for away
AWAY = 60.0  # seconds that the API may be away
ARGO = {"group": "argoproj.io", "version": "v1alpha1", "plural": "workflows"}
RAY = {"group": "ray.io", "version": "v1", "plural": "rayjobs"}
Object = dict[str, Any]


@dataclass
class Site:
    """What the steps share. `parts` are the versions of what was found: "Kueue" -> "0.17.8"."""

    image: str
    clock: Clock
    folder: Path  # of the report, of written profiles and schedules
    namespace: str = NAMESPACE
    parts: dict[str, str] = field(default_factory=dict)
    told: dict[str, float] = field(
        default_factory=dict
    )  # step that trains -> seconds from its training's end to its own
    shown: dict[str, dict[str, str]] = field(default_factory=dict)  # run -> step -> the phase that was told last
    folders: bool = False  # no storage class is the default: volumes are folders of the only node
    applied: Any = None  # the schedule that is at work (schedules.Applied)
    endless: str = ""  # the run with a training that never ends by itself, which several steps share
    closing: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        from kubernetes import client, config

        logging.getLogger("urllib3").setLevel(logging.ERROR)  # an API that is away is said once
        try:
            config.load_kube_config(config_file=os.environ.get("KUBECONFIG"))  # as it is now, not at the import
        except Exception as error:  # a file that is no kubeconfig breaks the client in many ways
            reason = (
                str(error).splitlines()[0] if isinstance(error, config.ConfigException | OSError) else "no kubeconfig"
            )
            raise ConfigError(f"There is no way to a cluster ({reason}); set KUBECONFIG, as for kubectl.") from None
        api = client.ApiClient()
        self.address = str(api.configuration.host)
        self.core, self.apps, self.batch = client.CoreV1Api(api), client.AppsV1Api(api), client.BatchV1Api(api)
        self.custom, self.storage = client.CustomObjectsApi(api), client.StorageV1Api(api)
        self.rights, self.groups, self.version = (
            client.AuthorizationV1Api(api),
            client.ApisApi(api),
            client.VersionApi(api),
        )

    def greet(self) -> None:
        """Before anything else, asks for what every user may see.

        Raises:
            ConfigError: kubectl is missing, or the API does not answer or takes none of the credentials.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        if shutil.which("kubectl") is None:
            raise ConfigError("kubectl is not installed, or not on PATH; install 1.27 or newer.")
        for left in reversed(range(GREETINGS)):
            try:
                self.groups.get_api_versions(_request_timeout=ANSWER)
                return
            except ApiException as error:
                if error.status and error.status < 500:
                    raise ConfigError(
                        f"{self.address} refuses the credentials of KUBECONFIG ({error.status}: {said(error)}); "
                        "use those of an administrator."
                    ) from None
                reason = f"{error.status}: {said(error)}"
            except HTTPError as error:
                reason = str(error).rpartition(": ")[2].strip("'\")")[:200]
            if not left:
                raise ConfigError(f"{self.address} does not answer ({reason}); does KUBECONFIG name the right cluster?")
            time.sleep(PAUSE)

    def ask(self, call: Callable[..., T], *arguments: Any, none_for: Collection[int] = (), **named: Any) -> T | None:
        """One call of the client, asked again for a minute while the API does not answer; None for these statuses.

        Raises:
            Failed: the API refuses, or stays away.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        reason: list[str] = []

        def once() -> tuple[T | None] | None:
            try:
                return (call(*arguments, _request_timeout=ANSWER, **named),)
            except ApiException as error:
                if error.status in none_for:
                    return (None,)
                reason[:] = [f"{error.status}: {said(error)}"]
                if error.status and error.status != 429 and error.status < 500:
                    raise Failed(f"Kubernetes refused ({reason[0]}).") from None
            except HTTPError as error:
                reason[:] = [str(error)[:200]]
            return None

        return self.clock.until(once, AWAY, "The Kubernetes API did not answer", lambda: reason)[0]

    def rayjobs(self) -> list[Object]:
        found = self.ask(self.custom.list_namespaced_custom_object, **RAY, namespace=self.namespace, none_for={404})
        return list((found or {}).get("items", []))

    def pods(self, selector: str, namespace: str = "") -> list[Any]:
        found = self.ask(self.core.list_namespaced_pod, namespace or self.namespace, label_selector=selector)
        return list(found.items) if found else []

    def close(self) -> None:
        while self.closing:
            self.closing.pop()()


def kubectl(*arguments: str, stdin: str | None = None, seconds: float = 120) -> str:
    """What kubectl prints.

    Raises:
        Failed: it is not installed, takes longer, or ends with an error; its last words are the sentence.
    """
    return program(("kubectl", *arguments), stdin, seconds)


def program(
    command: Sequence[str], stdin: str | None = None, seconds: float = 120, environment: dict[str, str] | None = None
) -> str:
    """As kubectl(), of any program."""
    shown = " ".join(command)[:200]
    try:
        done = subprocess.run(
            command,
            **{"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL},
            env=os.environ | (environment or {}),
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=ROOT,
        )
    except FileNotFoundError:
        raise Failed(f"{command[0]} is not installed, or not on PATH.") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"`{shown}` did not end within {seconds:.0f} s.") from None
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise Failed(f"`{shown}` ended with {done.returncode}: {lines[-1] if lines else 'no word'}", lines[-6:-1])
    return done.stdout


def said(error: Any) -> str:
    """The reason that the API gave, on one line."""
    try:
        text = json.loads(error.body)["message"]
    except (ValueError, KeyError, TypeError):
        text = error.reason
    return " ".join(str(text).split())[:300]
