"""Foreign models of a study: what is no image–text model is refused before anything is prepared or trained."""

import json
import shutil
from pathlib import Path

import pytest
from tiny_checkpoints import write
from tiny_towers import write_texts, write_vision

from components.studies.foreign import foreign_trials, is_foreign
from components.studies.trials import TrialTask, work_on
from model.errors import ConfigError, ModelError


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return write(tmp_path_factory.mktemp("checkpoints"))


def test_as_it_is_and_with_heads_by_every_seed(checkpoints, config, data):
    trials = foreign_trials([str(checkpoints["clip"]), str(checkpoints["siglip2"])], config, 2)
    names = ["clip, as it is", "clip, heads alone", "siglip2, as it is", "siglip2, heads alone"]
    assert [(trial.name, trial.seed) for trial in trials] == [(name, seed) for seed in (0, 1) for name in names]
    assert all(is_foreign(trial.name) for trial in trials)
    assert not is_foreign("no-image-tower")
    assert len({trial.key(data) for trial in trials}) == 8
    heads = trials[0].config
    assert (heads.vision.image_size, heads.text.context, heads.text.layers) == (32, 20, 0)
    assert not heads.objective.trains_fusion
    assert heads.train == config.train


def test_one_is_judged_without_training(checkpoints, config, data, tmp_path):
    """What a trial's process does, without a cluster."""
    trial = foreign_trials([str(checkpoints["siglip"])], config, 1)[0]
    task = TrialTask(
        trial,
        data.prepared(trial.config),
        data.neighbours(trial.config),
        data.extracted(trial.config, tmp_path / "store"),
        tmp_path / "work",
        tmp_path / "record.json",
        {"catalogue_digest": data.digest, "git_rev": "abc"},
    )
    record = work_on(task)
    assert record == json.loads(task.record.read_text())
    assert (record["name"], record["steps"]) == ("siglip, as it is", 0)
    assert record["fresh"].keys() == {"related_pins", "search", "image_to_text", "text_to_image", "pintext"}


def refused(name: str | Path, config) -> str:
    with pytest.raises(ModelError) as raised:
        foreign_trials([str(name)], config, 1)
    assert str(raised.value).startswith(f"--against {name} cannot be compared: ")
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_half_a_model(config, tmp_path):
    """A backbone of images, a sentence encoder, and one tower of SigLIP's alone."""
    from transformers import SiglipVisionConfig, SiglipVisionModel

    vit, bert = write_vision(tmp_path / "vision")["vit"], write_texts(tmp_path / "text")["bert"]
    assert "is a 'vit'; choose a checkpoint of clip, siglip, siglip2." in refused(vit, config)
    assert "is a 'bert'; choose a checkpoint of clip, siglip, siglip2." in refused(bert, config)
    assert "is a 'efficientnet_lite'; choose" in refused("efficientnet-lite0", config)
    settings = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    alone = SiglipVisionModel(SiglipVisionConfig(**settings, image_size=32, patch_size=8))
    alone.save_pretrained(tmp_path / "alone")
    shutil.copy(vit / "preprocessor_config.json", tmp_path / "alone")
    assert "is a 'siglip_vision_model'; choose" in refused(tmp_path / "alone", config)


def test_towers_of_two_spaces_files_that_are_missing_and_a_name_twice(checkpoints, config, tmp_path):
    folder = Path(shutil.copytree(checkpoints["siglip"], tmp_path / "siglip"))
    with pytest.raises(ConfigError, match=r"^Two models of --against have the same name \(.*\); name each once\.$"):
        foreign_trials([str(folder), str(checkpoints["siglip"])], config, 1)
    assert refused(tmp_path / "nowhere", config).endswith("into a folder and name it, --against /folder.")
    (folder / "model.safetensors").unlink()
    assert "has no model.safetensors; put the checkpoint's beside" in refused(folder, config)
    said = json.loads((folder / "config.json").read_text())
    said["text_config"]["projection_size"] = 24
    (folder / "config.json").write_text(json.dumps(said))
    assert "images become 40 numbers and texts 24, so they share no space." in refused(folder, config)
