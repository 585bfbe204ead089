"""Run folders: whose they are, what is in them, and what a kill at any moment leaves."""

import json
from pathlib import Path

import pytest

from model.errors import RunError
from pipelines.local.runs import claimed, fresh_name, keep_evidence, publish

KEPT = {
    "metrics.json": "evaluate/metrics.json",
    "version.json": "register/version",
    "validation.json": "validate/validation",
    "model": "train/model",
}
EVIDENCE = {"validation": "validate/docs", "prepared.json": "prepare/prepared/summary.json"}
VERDICT = {"success": True, "failures": [], "warnings": ["few boards"]}


def fill(work: Path) -> None:
    """What a pipeline leaves in its work folder."""
    outputs = work / "artifacts" / "pinclip-training-2026"
    files = {
        "evaluate/metrics.json": '{"model": {"parameters": 5}, "search": {"recall@10": 0.5}}',
        "register/version": '{"version": 3}',
        "validate/validation": json.dumps(VERDICT | {"expectations": [1, 2]}),
        "train/model/model.safetensors": "weights",
        "prepare/prepared/summary.json": '{"read": 7}',
        "validate/docs/index.html": "<p>docs</p>",
    }
    for name, text in files.items():
        (outputs / name).parent.mkdir(parents=True, exist_ok=True)
        (outputs / name).write_text(text)
    (work / "request.json").write_text(json.dumps({"config": {"seed": 1}}))
    (work / "pipeline.log").write_text("log")
    ends = [{"event": "end", "step": name, "seconds": 2.5, "peak_bytes": 100} for name in ("prepare", "train")]
    (work / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in [{"event": "plan"}, *ends]))


def finish(out: Path, **lineage: str) -> None:
    with claimed(out) as work:
        fill(work)
        publish(work, out, lineage, KEPT)


def test_a_finished_run_is_whole_and_latest(tmp_path):
    finish(tmp_path / "a", git_rev="abc")
    run = tmp_path / "latest"
    assert run.readlink() == Path("a")
    assert json.loads((run / "metrics.json").read_text()) == {
        "model": {"parameters": 5, "version": 3},
        "search": {"recall@10": 0.5},
        "timing_s": {"prepare": 2.5, "train": 2.5},
        "peak_memory_bytes": {"prepare": 100, "train": 100},
    }
    assert json.loads((run / "lineage.json").read_text()) == {
        "git_rev": "abc",
        "config": {"seed": 1},
        "validation": VERDICT,
        "model": {"version": 3},
    }
    assert json.loads((run / "config.json").read_text()) == {"seed": 1}
    assert (run / "model" / "model.safetensors").read_text() == "weights"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "latest"]


def test_latest_moves_on_and_a_run_may_replace_itself(tmp_path):
    for name, revision in (("a", "1"), ("b", "2"), ("a", "3")):
        finish(tmp_path / name, git_rev=revision)
        assert (tmp_path / "latest").readlink() == Path(name)
    assert json.loads((tmp_path / "a" / "lineage.json").read_text())["git_rev"] == "3"


def test_an_error_while_publishing_changes_nothing(tmp_path):
    finish(tmp_path / "a", git_rev="1")
    with pytest.raises(FileNotFoundError), claimed(tmp_path / "a") as work:
        fill(work)
        publish(work, tmp_path / "a", {"git_rev": "2"}, {"model": "train/model"})
    assert json.loads((tmp_path / "latest" / "lineage.json").read_text())["git_rev"] == "1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "latest"]


def test_a_failed_run_leaves_its_evidence_beside_and_success_clears_it(tmp_path):
    with pytest.raises(ValueError, match="stop"), claimed(tmp_path / "a") as work:
        fill(work)
        assert keep_evidence(work, tmp_path / "a", KEPT | EVIDENCE) == tmp_path / "a.failed"
        raise ValueError("stop")
    names = sorted(path.name for path in (tmp_path / "a.failed").iterdir())
    assert names == ["events.jsonl", "pipeline.log", "prepared.json", "request.json", "validation", "validation.json"]
    assert (tmp_path / "a.failed" / "validation" / "index.html").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.failed"]
    finish(tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "latest"]


def test_a_folder_that_is_no_run_is_never_replaced(tmp_path):
    mine = tmp_path / "holiday"
    mine.mkdir()
    (mine / "photo.jpg").write_text("precious")
    with pytest.raises(RunError, match="something else than a run"), claimed(mine):
        pass
    with pytest.raises(RunError, match="something else than a run"), claimed(mine / "photo.jpg"):
        pass
    assert (mine / "photo.jpg").read_text() == "precious"
    (tmp_path / "empty").mkdir()
    finish(tmp_path / "empty")


def test_the_name_of_the_link_is_no_name_for_a_run(tmp_path):
    finish(tmp_path / "a")
    with pytest.raises(RunError, match="latest"), claimed(tmp_path / "latest"):
        pass
    assert (tmp_path / "latest").readlink() == Path("a")


def test_a_real_folder_called_latest_is_left_alone(tmp_path):
    (tmp_path / "latest").mkdir()
    with pytest.raises(RunError, match="in the way"), claimed(tmp_path / "a"):
        pass


def test_a_claim_excludes_others_and_spares_their_work(tmp_path):
    with claimed(tmp_path / "a") as work:
        (work / "half").write_text("x")
        with pytest.raises(RunError, match="Another run"), claimed(tmp_path / "a"):
            pass
        with claimed(tmp_path / "b"):
            pass
        assert (work / "half").read_text() == "x"
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_is_cleared(tmp_path):
    for left in (".work/a/artifacts", ".work/old/artifacts", ".a.99.partial/model", ".b.99.partial/model"):
        (tmp_path / left).mkdir(parents=True)
    with claimed(tmp_path / "a") as work:
        assert list(work.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.99.partial"]


def test_a_kill_between_the_two_renames_loses_no_run(tmp_path):
    finish(tmp_path / "a", git_rev="1")
    (tmp_path / "a").rename(tmp_path / ".a.99.retired")
    with claimed(tmp_path / "a"):
        assert json.loads((tmp_path / "latest" / "lineage.json").read_text())["git_rev"] == "1"


def test_names_by_time_do_not_collide(tmp_path):
    first = fresh_name(tmp_path)
    first.mkdir()
    second = fresh_name(tmp_path)
    assert first != second
    assert not second.exists()
