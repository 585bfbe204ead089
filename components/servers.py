"""Do the servers of the settings answer, and do they take our password? Asked before a run spends its hours."""

import os
from collections.abc import Iterator

from components.settings import Settings
from model.errors import ServerAway, StoreError

PATIENCE = 10.0  # seconds for a server to answer


def check_servers(settings: Settings) -> None:
    """Asks every server once.

    Raises:
        ServerAway: one does not answer; the sentence has no password in it.
        StoreError: one refuses the user.
    """
    for _ in answering(settings):
        pass


def is_away(settings: Settings) -> bool:
    """Whether one does not answer; a refusal is an answer."""
    try:
        check_servers(settings)
    except ServerAway:
        return True
    except StoreError:
        return False
    return False


def answering(settings: Settings) -> Iterator[str]:
    """Names every server of the settings as it answers; raises as check_servers()."""
    if settings.mlflow_uri.startswith(("http://", "https://")):
        _ask_mlflow(settings.mlflow_uri)
        yield "MLflow"
    if settings.redis:
        _ask_redis(settings.redis)
        yield "Redis"


def _ask_mlflow(uri: str) -> None:
    """As MLflow's own client asks, without its minutes of trying again."""
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
