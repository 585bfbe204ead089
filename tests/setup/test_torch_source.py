"""Where torch is taken from, against folders and an index of tiny wheels: the first that has the one that fits."""

import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "setup"))
from torch_source import Machine, NoTorch, choose, locked_version  # noqa: E402

LINUX = Machine("2.13.0", "cp311", "linux", "x86_64")
FITS = "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"
CUDA = "torch-2.13.0+cu130-cp311-cp311-manylinux_2_28_x86_64.whl"
NOWHERE = "http://127.0.0.1:9/whl"


def folder(path: Path, *names: str) -> str:
    path.mkdir(parents=True)
    for name in names:
        (path / name).touch()
    return str(path)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """PyTorch's index as far as it goes: <backend>/torch/ with a link to each wheel."""
    root = tmp_path / "index"
    folder(root / "cpu" / "torch", FITS, "torch-2.12.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl")
    folder(root / "cu126" / "torch", FITS.replace("cpu", "cu126"))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_wheel_in_a_folder_comes_first(tmp_path, index):
    place = folder(tmp_path / "wheels", FITS)
    for named in (place, f"{tmp_path / 'none'} {place}", f"file://{place}"):
        choice = choose({"PIP_FIND_LINKS": named, "PYTORCH_INDEX": index}, LINUX)
        assert (choice.options[0], choice.exact, choice.cuda) == ("--find-links", "2.13.0+cpu", False)
        assert choice.options[1].endswith(place)
        assert choice.arguments == [*choice.options, "torch==2.13.0+cpu"]
        assert choice.sentence == f"torch 2.13.0+cpu: a wheel in {choice.options[1]}."


@pytest.mark.parametrize(
    "name",
    [
        FITS.replace("2.13.0", "2.12.0"),
        FITS.replace("cp311", "cp312"),
        FITS.replace("x86_64", "aarch64"),
        FITS.replace("manylinux_2_28", "win"),
        FITS.replace("cp311-cp311", "cp311-cp311t"),
        "torchvision-0.28.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl",  # PyPI's build, for CUDA
        CUDA,
    ],
)
def test_another_wheel_there_is_none(tmp_path, index, name):
    place = folder(tmp_path / "wheels", name)
    choice = choose({"PIP_FIND_LINKS": place, "PYTORCH_INDEX": index}, LINUX)
    assert choice.options == ["--find-links", f"{index}/cpu/torch/"]
    assert choice.sentence.startswith(f"torch 2.13.0+cpu: PyTorch's index (no wheel for cpu and cp311 in {place}; ")


def test_without_an_index_it_is_pypis_with_its_libraries_and_says_so(tmp_path):
    empty = folder(tmp_path / "empty")
    choice = choose({"PIP_FIND_LINKS": empty, "PYTORCH_INDEX": NOWHERE}, LINUX)
    assert (choice.options, choice.exact, choice.cuda) == ([], "2.13.0", True)
    for part in ("PyPI's build for cu130", "GB to download", f"{NOWHERE}/cpu/torch/ does not answer", "PIP_FIND_LINKS"):
        assert part in choice.sentence


def test_the_backend_asked_for_is_never_another(tmp_path, index):
    cpu = {"PIP_FIND_LINKS": folder(tmp_path / "cpu", FITS)}
    assert choose(cpu | {"TORCH_BACKEND": "cu126", "PYTORCH_INDEX": index}, LINUX).exact == "2.13.0+cu126"
    assert choose(cpu | {"TORCH_BACKEND": "cu130", "PYTORCH_INDEX": NOWHERE}, LINUX).exact == "2.13.0"  # PyPI's is that
    for place in (index, NOWHERE):
        with pytest.raises(NoTorch, match=r"There is no torch for TORCH_BACKEND=rocm6\.4"):
            choose(cpu | {"TORCH_BACKEND": "rocm6.4", "PYTORCH_INDEX": place}, LINUX)
    cuda = {"PIP_FIND_LINKS": folder(tmp_path / "cuda", CUDA)}
    assert choose(cuda | {"TORCH_BACKEND": "cu130", "PYTORCH_INDEX": NOWHERE}, LINUX).exact == "2.13.0+cu130"
    assert choose(cuda | {"PYTORCH_INDEX": NOWHERE}, LINUX).exact == "2.13.0"


def test_a_password_reaches_the_mirror_and_no_log(tmp_path):
    """A server that shows its links to one user alone."""

    class Guarded(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            known = self.headers["Authorization"] == "Basic bWU6cEB3"  # me:p@w
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(FITS.encode() if known else b"")

    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        mirror = f"127.0.0.1:{server.server_port}"
        found = choose({"PYTORCH_INDEX": f"http://me:p%40w@{mirror}"}, LINUX)
        kept_out = choose({"PYTORCH_INDEX": f"http://me:wrong@{mirror}"}, LINUX)
        server.shutdown()
        thread.join()
    assert found.exact == "2.13.0+cpu"
    assert found.options == ["--find-links", f"http://me:p%40w@{mirror}/cpu/torch/"]
    assert found.sentence == f"torch 2.13.0+cpu: PyTorch's index (http://…@{mirror}/cpu/torch/)."
    assert (kept_out.exact, "wrong" in kept_out.sentence) == ("2.13.0", False)


def test_uvs_own_names_count_too(tmp_path):
    cuda = {"UV_FIND_LINKS": folder(tmp_path / "cuda", CUDA), "PYTORCH_INDEX": NOWHERE}
    assert choose(cuda | {"UV_TORCH_BACKEND": "cu130"}, LINUX).exact == "2.13.0+cu130"


def test_a_mac_has_pypis_build_alone():
    mac = LINUX._replace(system="darwin", processor="arm64")
    choice = choose({}, mac)
    assert (choice.options, choice.cuda) == ([], False)


def test_the_lock_names_torch_with_its_version_alone():
    lock = (ROOT / "requirements.lock").read_text()
    assert f"\ntorch=={locked_version()}\n    # via" in lock
    assert not [line for line in lock.splitlines() if line.startswith(("nvidia-", "cuda-", "triton"))]
