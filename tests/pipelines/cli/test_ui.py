import pytest

from model.errors import RunError
from pipelines.cli.ui import serve_ui


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [("http://user:secret@127.0.0.1:5000", "MLflow is a server already"), ("", "There is no MLflow database in")],
)
def test_where_there_is_nothing_to_open(uri, sentence, tmp_path, monkeypatch):
    monkeypatch.setenv("PINCLIP_HOME", str(tmp_path))
    monkeypatch.setenv("PINCLIP_MLFLOW_URI", uri)
    with pytest.raises(RunError, match=sentence) as error:
        serve_ui(None)
    assert "secret" not in str(error.value)
