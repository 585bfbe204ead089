"""Real servers on free ports of this machine, ended with their block: PostgreSQL, S3 (moto's), MLflow, Redis."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2

from model.errors import RunError

START = 300  # seconds a server has until it answers
BUCKETS = ("mlflow", "dvc")
PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Servers:
    """Where they answer, and the secrets made up for this run; `environment` is what their users need."""

    folder: Path
    postgres: int = field(default_factory=lambda: free_port())
    s3: int = field(default_factory=lambda: free_port())
    mlflow: int = field(default_factory=lambda: free_port())
    redis: int = field(default_factory=lambda: free_port())
    secret: dict[str, str] = field(
        default_factory=lambda: {name: secrets.token_hex(16) for name in ("postgres", "s3", "mlflow", "redis", "flask")}
    )

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PINCLIP_SETTINGS": str(self.folder / "servers.yaml"),
            "PINCLIP_REDIS": f"127.0.0.1:{self.redis},password={self.secret['redis']}",
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": self.secret["mlflow"],
            **self.aws,
        }

    @property
    def aws(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "pinclip",
            "AWS_SECRET_ACCESS_KEY": self.secret["s3"],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.s3}",
        }

    def connect(self, database: str) -> "psycopg2.extensions.connection":
        return psycopg2.connect(
            host="127.0.0.1", port=self.postgres, user="pinclip", password=self.secret["postgres"], dbname=database
        )

    def dump(self, database: str) -> bytes:
        """Everything in it, as SQL."""
        where = ["-h", "127.0.0.1", "-p", str(self.postgres), "-U", "pinclip", database]
        environment = os.environ | {"PGPASSWORD": self.secret["postgres"]}
        command = [str(_newest_postgres() / "pg_dump"), *where]
        return subprocess.run(command, env=environment, check=True, capture_output=True).stdout

    def database(self, name: str) -> str:
        """As MLflow takes it. SQLAlchemy 2.1 takes a bare postgresql:// for another driver, which is not installed."""
        return f"postgresql+psycopg2://pinclip:{self.secret['postgres']}@127.0.0.1:{self.postgres}/{name}"


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Servers]:
    """All four, answering; their data and logs in the folder.

    Raises:
        RunError: a program is not installed, or a server does not come up; the end of its log is in it.
    """
    servers = Servers(folder)
    write_settings(servers)
    with postgres(servers), s3(servers), mlflow(servers), redis(servers):
        yield servers


def write_settings(servers: Servers) -> None:
    """The one file that switches `pinclip` from its own folder to these servers."""
    lines = (f"home: {servers.folder / 'home'}", f"mlflow_uri: http://127.0.0.1:{servers.mlflow}")
    (servers.folder / "servers.yaml").write_text("\n".join(lines) + "\n")


@contextlib.contextmanager
def postgres(servers: Servers) -> Iterator[None]:
    """A cluster of its own. PostgreSQL refuses to run as root, who hands it to the user `postgres`."""
    data, programs = servers.folder / "postgres", _newest_postgres()
    data.mkdir(mode=0o700)
    as_user = []
    if os.getuid() == 0:
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(data, "postgres", "postgres")
        for parent in servers.folder.parents:
            if parent.stat().st_uid == 0 and parent.stat().st_mode & 0o001 == 0:
                raise RunError(f"The user postgres cannot enter {parent}; choose another TMPDIR.")
        servers.folder.chmod(0o711)
    password = servers.folder / "postgres.password"
    password.write_text(servers.secret["postgres"])
    password.chmod(0o644 if as_user else 0o600)
    command = [str(programs / "initdb"), "-D", str(data), "-U", "pinclip", "-A", "scram-sha-256"]
    subprocess.run([*as_user, *command, f"--pwfile={password}"], check=True, stdout=subprocess.DEVNULL, cwd="/")
    password.unlink()
    options = ["-h", "127.0.0.1", "-p", str(servers.postgres), "-k", str(data), "-F"]
    command = [*as_user, str(programs / "postgres"), "-D", str(data), *options]
    with _running("postgres", command, servers, {}) as process:
        _await("postgres", lambda: _takes_connections(servers.postgres), process, servers)
        _create_databases(servers)
        yield


def _create_databases(servers: Servers) -> None:
    deadline = time.monotonic() + START
    while True:
        try:
            connection = servers.connect("postgres")
            break
        except psycopg2.OperationalError:  # it listens before it takes connections
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        for name in ("mlflow", "mlflow_users"):
            cursor.execute(f"CREATE DATABASE {name}")


@contextlib.contextmanager
def s3(servers: Servers) -> Iterator[None]:
    import boto3

    command = [str(PROGRAMS / "moto_server"), "-H", "127.0.0.1", "-p", str(servers.s3)]
    with _running("s3", command, servers, {}) as process:
        _await("s3", lambda: _takes_connections(servers.s3), process, servers)
        aws = servers.aws
        client = boto3.client(
            "s3",
            endpoint_url=aws["AWS_ENDPOINT_URL"],
            region_name=aws["AWS_DEFAULT_REGION"],
            aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
        )
        for bucket in BUCKETS:
            client.create_bucket(Bucket=bucket)
        yield


@contextlib.contextmanager
def mlflow(servers: Servers) -> Iterator[None]:
    """As deploy/kustomize/base/mlflow.yaml starts it: users and passwords, PostgreSQL, files in S3."""
    users = servers.folder / "basic_auth.ini"
    users.touch(mode=0o600)
    database = servers.database("mlflow_users")
    users.write_text(f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {database}\nadmin_username = admin\n")
    environment = servers.aws | {
        "MLFLOW_BACKEND_STORE_URI": servers.database("mlflow"),
        "MLFLOW_AUTH_CONFIG_PATH": str(users),
        "MLFLOW_AUTH_ADMIN_PASSWORD": servers.secret["mlflow"],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": servers.secret["flask"],
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(servers.mlflow)]
    command += ["--artifacts-destination", "s3://mlflow", "--app-name", "basic-auth", "--workers", "1"]
    with _running("mlflow", command, servers, environment) as process:
        _await("mlflow", lambda: _is_healthy(f"http://127.0.0.1:{servers.mlflow}/health"), process, servers)
        yield


@contextlib.contextmanager
def redis(servers: Servers) -> Iterator[None]:
    configuration = servers.folder / "redis.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f"port {servers.redis}\nbind 127.0.0.1\nrequirepass {servers.secret['redis']}\nsave ''\ndir {servers.folder}\n"
    )
    command = [_program("redis-server", "redis-server"), str(configuration)]
    with _running("redis", command, servers, {}) as process:
        _await("redis", lambda: _takes_connections(servers.redis), process, servers)
        yield


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def _running(
    name: str, command: Sequence[str], servers: Servers, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with (servers.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | environment, cwd=servers.folder
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(name: str, answers: Callable[[], bool], process: subprocess.Popen[bytes], servers: Servers) -> None:
    deadline = time.monotonic() + START
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            log = (servers.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
            raise RunError(f"{name} did not start. Its log ends:\n{log[-2000:]}")
        time.sleep(0.1)


def _takes_connections(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _is_healthy(url: str) -> bool:
    with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


def _newest_postgres() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    path = found[-1] if found else Path(_program("postgres", "postgresql"))
    return path.parent


def _program(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise RunError(f"{name} is not installed: apt-get install -y --no-install-recommends {package}")
    return path
