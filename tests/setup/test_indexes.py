"""A company's mirror, named once in pip's files or variables: pip, uv and the build of an image all get it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "setup"))
from indexes import for_a_container, indexes  # noqa: E402

MIRROR = "https://me:secret@mirror.example.org/simple"


@pytest.fixture
def bare(tmp_path) -> dict[str, str]:
    """The environment of a user without any setting."""
    return {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull}


def test_without_settings_there_are_none(bare):
    assert indexes(sys.executable, bare) == {}


def test_variables_reach_pip_and_uv(bare):
    named = bare | {"PIP_INDEX_URL": MIRROR, "PIP_EXTRA_INDEX_URL": "https://a/simple https://b/simple"}
    found = indexes(sys.executable, named | {"PIP_CERT": "/ca.pem", "PIP_PROXY": "http://proxy:3128"})
    assert found["UV_DEFAULT_INDEX"] == found["PIP_INDEX_URL"] == MIRROR
    assert (found["UV_INDEX"], found["UV_INDEX_STRATEGY"]) == ("https://a/simple https://b/simple", "unsafe-best-match")
    assert (found["SSL_CERT_FILE"], found["HTTPS_PROXY"]) == ("/ca.pem", "http://proxy:3128")


def test_a_file_of_pips_counts_without_what_leads_astray(bare, tmp_path):
    file = tmp_path / "pip.conf"
    file.write_text(
        f"[global]\nindex-url = {MIRROR}\nuser = true\ntimeout = 90\nextra-index-url =\n  https://a/simple\n  https://b\n"
    )
    found = indexes(sys.executable, bare | {"PIP_CONFIG_FILE": str(file)})
    assert found["UV_DEFAULT_INDEX"] == MIRROR
    assert (found["UV_HTTP_TIMEOUT"], found["UV_INDEX"]) == ("90", "https://a/simple https://b")
    assert "PIP_USER" not in found
    of_environment = indexes(sys.executable, bare | {"PIP_CONFIG_FILE": str(file), "PIP_INDEX_URL": "https://nearer"})
    assert of_environment["UV_DEFAULT_INDEX"] == "https://nearer"


def test_uvs_own_names_come_first_and_serve_pip_too(bare):
    both = indexes(sys.executable, bare | {"UV_DEFAULT_INDEX": "https://u", "PIP_INDEX_URL": "https://p"})
    assert (both["UV_DEFAULT_INDEX"], both["PIP_INDEX_URL"]) == ("https://u", "https://p")
    assert indexes(sys.executable, bare | {"UV_DEFAULT_INDEX": "https://u"})["PIP_INDEX_URL"] == "https://u"


def test_a_container_is_told_no_place_of_this_machine(bare):
    named = bare | {"PIP_INDEX_URL": MIRROR, "PIP_FIND_LINKS": "/wheels https://w", "PYTORCH_INDEX": "https://torch"}
    here = named | {"PIP_EXTRA_INDEX_URL": "file:///disk/simple", "PIP_CERT": "/ca.pem"}
    told = for_a_container(indexes(sys.executable, here), here)
    assert (told["UV_DEFAULT_INDEX"], told["PYTORCH_INDEX"]) == (MIRROR, "https://torch")
    assert told["PIP_FIND_LINKS"] == "https://w"
    assert not told.keys() & {"PIP_CERT", "SSL_CERT_FILE", "PIP_EXTRA_INDEX_URL", "UV_INDEX"}


def test_a_shell_reads_the_lines(bare):
    """As the Dockerfile does."""
    program = [sys.executable, str(ROOT / "setup" / "indexes.py")]
    lines = subprocess.run(program, env=bare | {"PIP_INDEX_URL": "https://a/$(x)'s"}, capture_output=True, text=True)
    read = subprocess.run(
        ["sh", "-c", f'{lines.stdout}\nprintf %s "$UV_DEFAULT_INDEX"'], capture_output=True, text=True
    )
    assert read.stdout == "https://a/$(x)'s"
