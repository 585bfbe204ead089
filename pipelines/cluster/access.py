"""How to reach a Kubeflow Pipelines server, and its refusals in one sentence.

A token has to be made for KFP: in multi-user mode it takes those alone whose audience is pipelines.kubeflow.org
(backend/src/apiserver/common/const.go, DefaultTokenReviewAudience). In a pod one is asked of Kubernetes, for an hour
and for the pod's own account; elsewhere it is in PINCLIP_KFP_TOKEN.
"""

import base64
import json
import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from model.errors import ClusterError

TIMEOUT = 15  # seconds a server has for its first answer
AUDIENCE = "pipelines.kubeflow.org"
POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # what Kubernetes mounts of a pod's account
LIFETIME = 3600  # seconds


class Access(BaseSettings):
    """PINCLIP_KFP_HOST, PINCLIP_KFP_TOKEN and PINCLIP_KFP_NAMESPACE; the token is read from nowhere else."""

    model_config = SettingsConfigDict(env_prefix="PINCLIP_KFP_", env_ignore_empty=True, frozen=True)

    host: str = ""  # https://kubeflow.example.com/pipeline
    token: SecretStr | None = None
    namespace: str = ""  # where several users share the server; in a pod, its own

    def bearer(self) -> str | None:
        """Raises ClusterError where this pod's account may not ask for a token of its own."""
        if self.token:
            return self.token.get_secret_value()
        return _own_token() if (POD / "token").is_file() else None

    def place(self) -> str:
        """The namespace that is named, else that of this pod, else ""."""
        own = POD / "namespace"
        return self.namespace or (own.read_text(encoding="utf-8").strip() if own.is_file() else "")


def _own_token() -> str:
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    account = account_of_token((POD / "token").read_text(encoding="utf-8"))
    namespace, _, name = account.partition(":")
    settings = client.Configuration()
    settings.retries = 0
    try:
        config.load_incluster_config(client_configuration=settings)
        asked = client.AuthenticationV1TokenRequest(
            spec=client.V1TokenRequestSpec(audiences=[AUDIENCE], expiration_seconds=LIFETIME)
        )
        api = client.CoreV1Api(client.ApiClient(settings))
        made = api.create_namespaced_service_account_token(name, namespace, asked, _request_timeout=TIMEOUT)
    except client.ApiException as error:
        raise ClusterError(
            f"Kubernetes gives {name} no token for KFP ({error.status}); let it `create` serviceaccounts/token of its "
            "own name, or put a token into PINCLIP_KFP_TOKEN."
        ) from None
    except (config.ConfigException, HTTPError) as error:
        raise ClusterError(f"Kubernetes was asked for a token and does not answer ({type(error).__name__}).") from None
    return str(made.status.token)


def account_of_token(token: str) -> str:
    """namespace:name, out of a pod's token; nobody has to check it here, Kubernetes mounted it."""
    middle = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return str(claims["sub"]).removeprefix("system:serviceaccount:")


def health(host: str, token: str | None) -> dict[str, Any]:
    """What a server says of itself: tag_name, multi_user.

    Asked first, and once: kfp.Client would try a dead or refusing server for half a minute, and log every try.

    Raises:
        ClusterError: something answers that is no KFP server.
        ApiException, HTTPError: as the client raises them.
    """
    import kfp_server_api

    logging.getLogger("urllib3").setLevel(logging.ERROR)
    configuration = kfp_server_api.Configuration(host=host)
    configuration.retries = False
    if token:
        configuration.api_key, configuration.api_key_prefix = {"authorization": token}, {"authorization": "Bearer"}
    service = kfp_server_api.HealthzServiceApi(kfp_server_api.ApiClient(configuration))
    answer = service.healthz_service_get_healthz(_preload_content=False, _request_timeout=TIMEOUT)
    try:
        said: dict[str, Any] = dict(json.loads(answer.data))
    except (ValueError, TypeError):
        raise ClusterError(
            f"{host} answers with a page, not as a KFP server; check --host, and PINCLIP_KFP_TOKEN if it is a login."
        ) from None
    return said


def http_refusal(host: str, error: Any) -> str:
    """One sentence for an answer that is none of 2xx."""
    said = error.body or error.reason
    with suppress(ValueError, TypeError, KeyError):
        said = json.loads(error.body)["message"]
    said = " ".join(str(said).split())
    if error.status == 401:
        return _unknown_token(host, said)
    if error.status == 403:
        return _forbidden(host, said)
    if "empty namespace" in said:
        return f"{host} is shared by several namespaces, and none was named; set PINCLIP_KFP_NAMESPACE."
    return f"{host} refused with {error.status}: {said[:300]}"


def _unknown_token(host: str, said: str) -> str:
    if "target audiences" in said:
        return (
            f"{host} does not take a token that is made for others (401); make one with `kubectl create token ACCOUNT "
            f"--audience {AUDIENCE}` and put it into PINCLIP_KFP_TOKEN."
        )
    return f"{host} does not know the token (401); put a valid one into PINCLIP_KFP_TOKEN."


def _forbidden(host: str, said: str) -> str:
    who = re.search(r"User '([^']+)'", said)
    what = re.search(r"Namespace:([^,]*),Verb:([^,]*),.*?Resource:([^,]*)", said)
    if not (who and what):
        return f"{host} does not let the owner of the token do this (403); ask for the right, or use another token."
    namespace, verb, resource = what.groups()
    return (
        f"{host} does not let {who[1]} {verb} {resource} in the namespace {namespace} (403); bind it to the "
        "ClusterRole kubeflow-pipelines-edit there, or check PINCLIP_KFP_NAMESPACE."
    )


def reason(error: BaseException) -> str:
    """The innermost words: "Connection refused" of a connection error of a retry error."""
    text = str(getattr(error, "reason", None) or error)
    return text.rpartition("] ")[2].rpartition(": ")[2].rstrip(")'\" ")
