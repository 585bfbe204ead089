import pytest

from components.settings import FILE, Settings
from model.errors import ConfigError


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes the settings' file and names it."""
    for name in ("HOME", "MLFLOW_URI", "REDIS"):
        monkeypatch.delenv(f"PINCLIP_{name}", raising=False)

    def write(text: str):
        (tmp_path / "settings.yaml").write_text(text)
        monkeypatch.setenv(FILE, str(tmp_path / "settings.yaml"))

    return write


def test_without_a_file_all_state_is_in_one_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(FILE, raising=False)
    settings = Settings(home=tmp_path)
    assert settings.mlflow_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert settings.redis == ""


def test_a_file_names_servers(file, tmp_path):
    file(f"home: {tmp_path}\nmlflow_uri: http://127.0.0.1:5000\nredis: 127.0.0.1:6379\n")
    settings = Settings()
    assert (settings.home, settings.mlflow_uri, settings.redis) == (
        tmp_path,
        "http://127.0.0.1:5000",
        "127.0.0.1:6379",
    )


def test_the_environment_comes_before_the_file(file, monkeypatch):
    file("redis: 127.0.0.1:6379\n")
    monkeypatch.setenv("PINCLIP_REDIS", "redis:6379,password=secret")
    assert Settings().redis == "redis:6379,password=secret"
    monkeypatch.setenv("PINCLIP_REDIS", "")
    assert Settings().redis == "127.0.0.1:6379"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hom: /data", "there is no setting hom; choose of experiment, home"),
        ("redis: redis:6379,password=secret", "redis holds a password"),
        ("mlflow_uri: https://me:secret@mlflow", "mlflow_uri holds a password"),
        ("- home", "is no list of settings"),
        ("redis: 6379", "is no list of settings"),
        ("home: [", "is no YAML"),
    ],
)
def test_mistakes_are_one_sentence(file, text, sentence):
    file(text)
    with pytest.raises(ConfigError, match=sentence) as error:
        Settings()
    assert "secret" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv(FILE, str(tmp_path / "nowhere.yaml"))
    with pytest.raises(ConfigError, match=r"Cannot read the settings .*nowhere.yaml \(No such file"):
        Settings()


def test_the_file_in_deploy_is_read(monkeypatch):
    from pathlib import Path

    monkeypatch.setenv(FILE, str(Path(__file__).parents[2] / "deploy" / "servers.yaml"))
    monkeypatch.delenv("PINCLIP_MLFLOW_URI", raising=False)
    assert Settings().mlflow_uri.startswith("http://")
