"""The doctor's findings on machines of every kind."""

import platform
import socket
from pathlib import Path

import pytest

from components.configuration import load
from pipelines.local import doctor
from pipelines.local.devices import Devices, devices
from pipelines.local.ports import is_free


def test_this_environment_meets_the_floors():
    assert doctor.packages().state == "ok"


@pytest.mark.parametrize(
    ("version", "state"), [((3, 11, 7), "ok"), ((3, 13, 0), "ok"), ((3, 14, 0), "fail"), ((3, 10, 1), "fail")]
)
def test_python(version, state):
    assert doctor.python(version).state == state


@pytest.mark.parametrize(
    ("workers", "cpus", "state", "advice"),
    [
        (1, 2, "ok", ""),
        (1, 1, "warn", "nothing, if you can wait"),
        (2, 2, "warn", "--set train.workers=1, or wait: it works, only slower"),
        (8, 4, "warn", "--set train.workers=3, or wait: it works, only slower"),
    ],
)
def test_ray_needs_a_cpu_beside_its_workers(workers, cpus, state, advice):
    check = doctor.ray_cpus(load("demo", [f"train.workers={workers}"]), cpus)
    assert (check.state, check.advice) == (state, advice)


@pytest.mark.parametrize(("gib", "state"), [(8.0, "ok"), (4.0, "warn"), (2.9, "fail")])
def test_amounts(gib, state):
    check = doctor.check_free("memory", gib, warn=6, fail=3, advice="buy some")
    assert check.state == state
    assert bool(check.advice) == (state != "ok")


def test_memory_is_a_number_of_bytes():
    assert 2**24 < doctor.memory_bytes() < 2**50


def test_a_lock_that_differs_is_told_by_name(tmp_path: Path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("# comment\nrich==0.0.1 \\\n    --hash=sha256:0\nnot-installed-here==1.0\n")
    check = doctor.check_lock(lock)
    assert (check.state, check.found) == ("warn", "1 of 2 differ: rich")
    assert doctor.check_lock(tmp_path / "none").state == "warn"


def test_what_does_not_load_is_never_ok():
    assert doctor.imports("").state == "ok"
    check = doctor.imports("torch does not load (OSError: libcublasLt.so.13: cannot open shared object file)")
    assert (check.state, "libcublasLt" in check.found) == ("fail", True)


def test_what_hides_a_package_is_named(monkeypatch, tmp_path):
    for path, advice in ((str(doctor.CODE), "remove .venv"), (f"{doctor.CODE}:{tmp_path}", "unset PYTHONPATH")):
        monkeypatch.setenv("PYTHONPATH", path)
        assert doctor.imports("torch does not load (ImportError: no)").advice.startswith(advice)


@pytest.mark.parametrize(
    ("found", "state", "says", "advice"),
    [
        (Devices("2.13.0+cpu", ""), "ok", "the CPU, by torch 2.13.0+cpu", ""),
        (Devices("2.13.0+cpu", "", vectors="AVX512"), "ok", "the CPU, by torch 2.13.0+cpu", ""),
        (Devices("2.13.0+cpu", "", driver=True), "warn", "does not see", "make setup TORCH_BACKEND=cu130"),
        (Devices("2.13.0+cu130", "13.0", driver=True), "warn", "does not see", "update the driver"),
        (Devices("2.13.0", "13.0", ("H200",) * 2), "ok", "2 × H200, by torch 2.13.0; 2 of them train", ""),
        (Devices("2.13.0", "13.0", ("H200", "A10")), "ok", "1 × H200, 1 × A10", "every step waits for the slowest"),
        (Devices("2.13.0", "13.0", ("H200",)), "warn", "the CPU: 2 workers train, and GPUs are 1", "workers=1"),
    ],
)
def test_what_will_be_used(found, state, says, advice):
    (check,) = doctor.device(load("demo", ["train.workers=2"]), found)
    assert (check.state, says in check.found, advice in check.advice) == (state, True, True), check


def test_what_this_machine_computes_on_is_looked_up_in_a_process_of_its_own(monkeypatch, tmp_path):
    import torch

    found = devices()
    assert (found.torch, len(found.gpus)) == (torch.__version__, torch.cuda.device_count())
    (tmp_path / "torch.py").write_text("raise ImportError('broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert devices() is None
    assert list(doctor.device(load(), None)) == []


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors have no AVX2, and are not slow for it")
def test_a_processor_without_avx2_is_told(monkeypatch):
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    (check,) = doctor.device(load(), devices())
    assert (check.state, check.found.rpartition(", ")[2]) == ("warn", "without AVX2")


def test_a_taken_port_is_a_warning():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert not is_free(number)
        assert doctor.port(number).state == "warn"
    assert doctor.port(number).state == "ok"


def test_a_home_that_is_not_there_yet_is_judged_by_the_folder_above(tmp_path: Path):
    assert doctor.writable(tmp_path / "a" / "b").state == "ok"
    assert not (tmp_path / "a").exists()


def test_the_verdict_is_whether_anything_fails(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "all_checks", lambda config: [doctor.Check("port", "warn", "taken", "wait")])
    assert doctor.examine(load())
    monkeypatch.setattr(doctor, "all_checks", lambda config: [doctor.Check("Python", "fail", "2.7", "newer")])
    assert not doctor.examine(load())
    assert "newer" in capsys.readouterr().out
