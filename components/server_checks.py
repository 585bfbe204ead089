"""Checks before a run that the servers of the settings answer and accept the password."""

import os
from collections.abc import Iterator
from pathlib import Path

from components.mlflow_client import connect
from components.ray.cluster import check_cluster, has_cluster
from components.settings import Settings
from model.errors import PinclipError, ServerAway, StoreError

RUN_ID = "MLFLOW_RUN_ID"  # KFP sets it where it has opened the run itself
PATIENCE = 10.0  # seconds for a server to answer


def check_servers(settings: Settings) -> None:
    """Asks every server once, and for the MLflow run that MLFLOW_RUN_ID wants joined.

    Raises:
        ServerAway: one does not answer; no sentence has a password in it.
        StoreError: one refuses the user, or has no such run.
        RunError: the Ray of RAY_ADDRESS does not answer, or is of another version.
    """
    for _ in answering(settings):
        pass


def is_unreachable(settings: Settings) -> bool:
    """Whether any server does not answer; a refusal counts as an answer."""
    try:
        check_servers(settings)
    except ServerAway:
        return True
    except PinclipError:
        return False
    return False


def answering(settings: Settings) -> Iterator[str]:
    """Names every server of the settings as it answers; raises as check_servers()."""
    if settings.mlflow_uri.startswith(("http://", "https://")):
        _ask_mlflow(settings.mlflow_uri)
        yield "MLflow"
    if run := os.environ.get(RUN_ID):
        _find_run(run, settings)
        yield f"the MLflow run {run}"
    if has_cluster():
        check_cluster()
        yield "Ray"
    if settings.redis:
        _ask_redis(settings.redis)
        yield "Redis"


def _ask_mlflow(uri: str) -> None:
    """Asks as MLflow's own client does, without its minutes of retries."""
    import requests

    token, user = os.environ.get("MLFLOW_TRACKING_TOKEN"), os.environ.get("MLFLOW_TRACKING_USERNAME")
    headers = {"Authorization": f"Bearer {token}"} if token and not user else {}
    auth = (user, os.environ.get("MLFLOW_TRACKING_PASSWORD", "")) if user else None
    url = f"{uri.rstrip('/')}/api/2.0/mlflow/registered-models/search?max_results=1"
    try:
        answer = requests.get(url, headers=headers, auth=auth, timeout=PATIENCE)
    except requests.RequestException as error:
        raise ServerAway(
            f"MLflow does not answer ({type(error).__name__}); see that the server of PINCLIP_MLFLOW_URI runs, then "
            "try again."
        ) from None
    if answer.status_code in (401, 403):
        raise StoreError(
            f"MLflow refuses the password or token ({answer.status_code}); set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, anew."
        )
    if answer.status_code >= 500:
        raise ServerAway(f"MLflow answers with {answer.status_code}; see that its database runs, then try again.")
    if not answer.ok:
        raise StoreError(
            f"MLflow answers with {answer.status_code}; check that PINCLIP_MLFLOW_URI names an MLflow server."
        )


def _find_run(run: str, settings: Settings) -> None:
    """Looks the run up now, because a step joins it only after hours of training."""
    advice = f"unset {RUN_ID}, or name a run of PINCLIP_MLFLOW_URI"
    missing = StoreError(f"MLflow has no run {run}, which {RUN_ID} names; {advice}.")
    local = settings.mlflow_uri.removeprefix("sqlite:///")
    if settings.mlflow_uri.startswith("sqlite:///") and not Path(local).exists():
        raise missing
    from mlflow.entities import LifecycleStage
    from mlflow.exceptions import MlflowException

    try:
        stage = connect(settings).get_run(run).info.lifecycle_stage
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise missing from None
        raise StoreError(f"MLflow did not look for the run of {RUN_ID} ({error.error_code}); {advice}.") from None
    if stage == LifecycleStage.DELETED:
        raise StoreError(f"The run {run} of {RUN_ID} is deleted in MLflow; restore it there, or {advice}.")


def _ask_redis(connection: str) -> None:
    from feast.infra.online_stores.redis import RedisOnlineStore
    from redis import Redis
    from redis.exceptions import AuthenticationError, RedisError

    try:
        nodes, options = RedisOnlineStore._parse_connection_string(connection)
        Redis(**nodes[0], **options, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE).ping()
    except AuthenticationError:
        raise StoreError(
            "Redis refuses the password; write it anew into PINCLIP_REDIS, as in host:6379,password=…"
        ) from None
    except (RedisError, OSError, TypeError, ValueError, IndexError) as error:
        raise ServerAway(
            f"Redis does not answer ({type(error).__name__}); see that PINCLIP_REDIS names one that runs."
        ) from None
