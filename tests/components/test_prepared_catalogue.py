"""A prepared catalogue that stays on the volume: written once, checked by who reads it, removed when nobody does."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from components.prepared_catalogue import FILES, KEPT, prepared_folder, prepared_into
from components.settings import Settings
from model.errors import RunError


def settings(root: Path) -> Settings:
    return Settings(home=root / "home", prepared=root / "volume")


def prepared(root: Path, pixels: bytes = b"12345678", name: str = "artifact") -> Path:
    """The artifact of a step that has prepared these pixels."""
    artifact = root / name
    with prepared_into(artifact, settings(root)) as out:
        (out / "catalogue").mkdir(parents=True)
        (out / "catalogue/shard.parquet").write_bytes(b"a shard")
        (out / "pixels.u8").write_bytes(pixels)
    return artifact


def folders(root: Path) -> set[str]:
    return {one.name for one in (root / "volume").iterdir()}


def test_on_one_machine_the_artifact_is_the_folder(tmp_path):
    with prepared_into(tmp_path / "artifact", Settings(home=tmp_path)) as out:
        out.mkdir()
    assert out == tmp_path / "artifact" == prepared_folder(tmp_path / "artifact")


def test_the_artifact_names_the_folder_and_holds_none_of_it(tmp_path):
    artifact = prepared(tmp_path, b"0" * 100_000)
    assert artifact.stat().st_size < 500
    told = json.loads(artifact.read_text())
    folder = prepared_folder(artifact)
    assert folder == tmp_path / "volume" / told["digest"]
    assert told["bytes"] == 100_000 + len(b"a shard")
    assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == {
        *("catalogue/shard.parquet", "pixels.u8", FILES)
    }
    assert folders(tmp_path) == {told["digest"]}  # nothing half-written beside it


def test_the_same_bytes_are_kept_once_and_others_beside_them(tmp_path):
    first, again, other = prepared(tmp_path), prepared(tmp_path, name="again"), prepared(tmp_path, b"87654321", "other")
    assert prepared_folder(first) == prepared_folder(again) != prepared_folder(other)
    assert len(folders(tmp_path)) == 2


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (shutil.rmtree, r"is not there"),
        (lambda folder: (folder / "pixels.u8").unlink(), r"lacks pixels\.u8"),
        (lambda folder: (folder / "pixels.u8").write_bytes(b"123"), r"has 3 of the 8 bytes of pixels\.u8"),
        (lambda folder: (folder / FILES).write_text("{}"), r"is another one"),
    ],
)
def test_what_the_volume_has_lost_is_one_sentence_and_the_next_prepare_mends_it(tmp_path, damage, says):
    artifact = prepared(tmp_path)
    damage(prepared_folder(artifact))
    with pytest.raises(RunError, match=rf"^The prepared catalogue /\S+ {says}.*; prepare it anew with .*--no-cache"):
        prepared_folder(artifact)
    prepared(tmp_path, name="again")
    assert (prepared_folder(artifact) / "pixels.u8").read_bytes() == b"12345678"


def test_a_step_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="no Pins"), prepared_into(tmp_path / "artifact", settings(tmp_path)) as out:
        out.mkdir()
        raise ValueError("no Pins")
    assert folders(tmp_path) == set()
    assert not (tmp_path / "artifact").exists()


def test_what_nobody_has_read_for_days_goes_but_for_the_newest_two(tmp_path):
    artifacts = [prepared(tmp_path, bytes([number]), str(number)) for number in range(4)]
    (tmp_path / "volume/.killed").mkdir()
    for days, name in enumerate(
        [*(prepared_folder(one).name for one in artifacts), ".killed"], start=round(KEPT / 86400) + 1
    ):
        old = time.time() - days * 86400
        os.utime(tmp_path / "volume" / name, (old, old))
    in_use = prepared_folder(artifacts[3])  # a step begins to read the oldest
    newest = prepared(tmp_path, b"new", "new")
    assert folders(tmp_path) == {in_use.name, prepared_folder(newest).name}
    prepared(tmp_path, b"newer", "newer")
    assert len(folders(tmp_path)) == 3  # all three are young
