"""The command line as a person meets it: mistakes get one sentence and exit code 2, never a traceback."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from model.config.arms import ARMS
from pipelines.cli import app
from pipelines.cli.forget import read_ids

PINCLIP = Path(sys.executable).with_name("pinclip")
# What would make `pinclip --help` slow.
HEAVY = ("torch", "numpy", "pyarrow", "kfp", "mlflow", "ray", "feast", "great_expectations", "pandas", "pydantic")

COMMANDS = {
    *("import", "generate", "run", "ablate", "scale", "tune", "monitor", "compile", "doctor", "lineage"),
    *("submit", "backfill", "schedule", "sync", "promote", "rollback", "retire", "history", "serve", "wait", "ui"),
    *("embed", "forget", "tag"),
}


def pinclip(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(PINCLIP), *map(str, arguments)]
    settings = os.environ | {"PINCLIP_HOME": str(cwd / "home"), "COLUMNS": "200"} | environment
    return subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, timeout=120, check=False)


def catalogue(folder: Path, **columns: list) -> Path:
    (folder / "pins").mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "pins" / "00000.parquet")
    return folder


def test_asking_for_help_loads_nothing_heavy():
    code = f"import sys, pipelines.cli.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.strip() == "[]"


def test_help_names_every_command(tmp_path):
    done = pinclip("--help", cwd=tmp_path)
    assert done.returncode == 0
    listed = done.stdout.partition("\nCommands:\n")[2]
    assert set(re.findall(r"^  (\w+)  ", listed, re.MULTILINE)) == COMMANDS


def test_the_help_of_ablate_names_every_arm(tmp_path):
    listed = pinclip("ablate", "--help", cwd=tmp_path).stdout.partition("Comma-separated [all]: ")[2].partition(".")[0]
    listed = re.sub(r"-\s+", "-", listed)  # a name may be broken at the end of a line
    assert listed.replace(",", " ").split() == list(ARMS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--catalogue", "nowhere"], "There is no catalogue at"),
        (
            ["run", "--catalogue", "nowhere", "--profile", "huge"],
            "no profile 'huge'; choose one of smoke, demo, pilot, full",
        ),
        (["run", "--catalogue", "nowhere", "--set", "train.epoch=2"], "did you mean train.epochs?"),
        (["run", "--catalogue", "nowhere", "--set", "train.epochs"], "write it as section.key=value"),
        (["run", "--catalogue", "nowhere", "--params", "nowhere.yaml"], "Cannot read the parameters nowhere.yaml"),
        (["import", "--spec", "nowhere.yaml", "--out", "catalogue"], "nowhere.yaml"),
        (["import", "--spec", "s.yaml", "--guess", "t.csv"], "take --spec s.yaml away, or --guess"),
        (["generate", "--pins", "1", "--out", "catalogue"], "Cannot generate a catalogue with pins 1"),
        (["forget"], "No Pin and no user is named; give ids, --file with one a line, --user, or --withdrawn."),
        (
            ["forget", "--user", "a\tb"],
            "another control character, so it is no user's; check it.",
        ),
        (["generate", "--boards", "2", "--users", "3", "--out", "catalogue"], "with users 3; choose 0 for none"),
        (["forget", "p1", " "], "An id is empty; take it out."),
        (["forget", "p1\np2"], r"The id 'p1\np2' holds a line break or another control character"),
        (["forget", "x" * 513], "is longer than 512 characters, so it is no Pin's; check it."),
        (["forget", "--file", "nowhere.txt"], "nowhere.txt: No such file or directory"),
        (["generate", "--out", "."], "is no catalogue; choose another --out"),
        (["compile", "--out", "."], "is a folder; name the YAML file to write"),
        (["compile", "--out", "file/pipeline.yaml"], "file"),
        (["doctor", "--set", "train.workers=-1"], "choose at least 1"),
        (["ui"], "There is no MLflow database in"),
        (["compile", "--deploy-profile", "moon"], "There is no deploy profile moon"),
        (["submit", "--catalogue", "/data", "--host", "http://127.0.0.1:1"], "does not answer (Connection refused)"),
        (["schedule", "list", "--host", "kubeflow"], "The host 'kubeflow' is no address"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path, arguments, says):
    (tmp_path / "file").write_text("a file where a folder should be")
    done = pinclip(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("pinclip: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_full_disk_is_one_sentence_also_where_the_error_names_no_file(monkeypatch, capsys):
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(app, "app", full)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("pinclip: A disk is full: make room in PINCLIP_HOME")


def test_a_file_of_ids_has_one_a_line(tmp_path):
    (tmp_path / "ids.txt").write_bytes("\ufeffp1\r\n\n p2 \na\u2028b\x0bc\n".encode())
    assert read_ids(tmp_path / "ids.txt") == ["p1", "p2", "a\u2028b\x0bc"]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"pin_id": ["1"]}, "lacks the column 'image'"),
        ({"pin_id": pa.array([], pa.string()), "image": pa.array([], pa.binary())}, "is empty"),
    ],
)
def test_a_catalogue_that_cannot_be_used_is_told_before_anything_starts(tmp_path, columns, says):
    done = pinclip("run", "--catalogue", catalogue(tmp_path / "catalogue", **columns), cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalogue"]


def test_a_mistake_met_inside_a_step_reads_the_same(tmp_path):
    broken = catalogue(tmp_path / "catalogue", pin_id=["1", "2"], image=[b"no image", b"neither"])
    done = pinclip("run", "--catalogue", broken, "--profile", "smoke", "--out", "runs/a", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    sentence, where = done.stderr.splitlines()
    assert sentence.startswith("pinclip: ")
    assert where.endswith("runs/a.failed/pipeline.log")
    assert (tmp_path / "runs" / "a.failed" / "pipeline.log").is_file()
    assert not (tmp_path / "runs" / "latest").is_symlink()
    assert not (tmp_path / "home").exists()


def test_compile_writes_the_settings_into_the_yaml(tmp_path):
    done = pinclip("compile", "--profile", "smoke", "--set", "train.epochs=3", "--out", "p.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    parameters = yaml.safe_load((tmp_path / "p.yaml").read_text())["root"]["inputDefinitions"]["parameters"]
    assert parameters["train_config"]["defaultValue"]["epochs"] == 3


def test_generate_writes_a_catalogue_and_says_what_next(tmp_path):
    done = pinclip("generate", "--pins", 12, "--boards", 2, "--out", "catalogue", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "12 pins" in done.stdout
    assert "next: pinclip run --catalogue catalogue" in done.stdout
