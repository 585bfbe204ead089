"""A tower that cannot be used is one sentence, said before any data is read."""

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from model.config import load
from model.errors import ModelError
from model.network.towers.checks import check_towers

ROOT = Path(__file__).resolve().parents[4]
SIZES = ("vision.width=32", "text.width=32", "text.context=16", "vision.depths=1")


def said(*settings: str) -> str:
    with pytest.raises(ModelError) as raised:
        check_towers(load("smoke", [*SIZES, *settings]))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def vision(tmp_path, vision_towers):
    """A copy that may be spoilt."""
    return Path(shutil.copytree(vision_towers["vit"], tmp_path / "vit"))


@pytest.fixture
def text(tmp_path, text_towers):
    return Path(shutil.copytree(text_towers["bert"], tmp_path / "bert"))


def change(file: Path, **values) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_good_ones_pass(vision, text):
    check_towers(load("smoke", [*SIZES, f"vision.pretrained={vision}", f"text.pretrained={text}"]))
    check_towers(load("smoke", ["vision.pretrained=efficientnet-lite0", "vision.image_size=128", "text.pretrained="]))


def test_without_weights(vision, text):
    for folder, kind in ((vision, "vision"), (text, "text")):
        (folder / "model.safetensors").unlink()
        found = said(f"{kind}.pretrained={folder}")
        assert f"{kind}.pretrained '{folder}' has no model.safetensors; put the checkpoint's beside" in found


def test_weights_cut_short(vision):
    whole = (vision / "model.safetensors").read_bytes()
    (vision / "model.safetensors").write_bytes(whole[:-100])
    assert "cannot be loaded (" in said(f"vision.pretrained={vision}")


def test_an_unknown_family(vision):
    change(vision / "config.json", model_type="resnet")
    assert "is a 'resnet'; choose a checkpoint of clip, convnext," in said(f"vision.pretrained={vision}")
    change(vision / "config.json", model_type=None)
    assert "is a None; choose a checkpoint of" in said(f"vision.pretrained={vision}")
    (vision / "config.json").write_text("{")
    assert "cannot be loaded (" in said(f"vision.pretrained={vision}")


def test_an_image_processor_of_another_tower(vision, vision_towers, tmp_path):
    for size in ({"height": 224, "width": 224}, 224):
        change(vision / "preprocessor_config.json", size=size)
        found = said(f"vision.pretrained={vision}")
        assert "makes images of 224 pixels a side, but its tower reads 32 pixels a side; copy both from one" in found
    convnext = Path(shutil.copytree(vision_towers["convnext"], tmp_path / "convnext"))
    change(convnext / "preprocessor_config.json", do_center_crop=True, crop_size={"height": 36, "width": 36})
    assert "of 36 pixels a side, but its tower reads multiples of 8 pixels" in said(f"vision.pretrained={convnext}")


def test_sizes_and_stages_that_the_tower_does_not_take(vision):
    tower = f"vision.pretrained={vision}"
    assert "vision.image_size is 64, but the tower" in said(tower, "vision.image_size=64")
    assert "4 x 4 patches cannot be halved so often; shorten vision.depths" in said(tower, "vision.depths=1,1,1")
    found = said("vision.pretrained=efficientnet-lite0", "vision.image_size=100")
    assert "vision.image_size 100 does not divide by the tower's patch of 32; choose a multiple" in found


def test_a_context_too_long(text):
    found = said(f"text.pretrained={text}", "text.context=25")
    assert "text.context is 25, but the tower" in found
    assert "reads 24 tokens; set text.context=24." in found


def test_a_tokenizer_of_another_model(text, text_towers):
    shutil.copy(text_towers["roberta"] / "tokenizer.json", text / "tokenizer.json")
    shutil.copy(text_towers["roberta"] / "tokenizer_config.json", text / "tokenizer_config.json")
    assert "knows more tokens than its weights (" in said(f"text.pretrained={text}")


def test_a_small_tokenizer_beside_large_weights(text):
    change(text / "config.json", vocab_size=250_002)
    assert "tokens of the 250002 of its weights, so it is another model's" in said(f"text.pretrained={text}")


def test_a_pooling_that_is_not_known(text):
    (text / "1_Pooling").mkdir()
    file = text / "1_Pooling" / "config.json"
    file.write_text(json.dumps({"word_embedding_dimension": 24, "pooling_mode_max_tokens": True}))
    assert "pools its tokens by max_tokens; choose a sentence encoder" in said(f"text.pretrained={text}")


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does, whose models are gated or missing."""

    asked: list[str]

    def do_HEAD(self):
        self.asked.append(self.path)
        gated = "/gated/" in self.path
        self.send_response(403 if gated else 404)
        self.send_header("X-Error-Code", "GatedRepo" if gated else "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    """(its address, the paths that it was asked for)."""
    handler = type("Handler", (Hub,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler.asked
        server.shutdown()
        thread.join()


PROGRAM = """
import sys
from model.config import load
from model.errors import ModelError
from model.network.towers.checks import check_towers
for setting in sys.argv[1:]:
    try:
        check_towers(load("smoke", [setting]))
    except ModelError as error:
        print(str(error))
"""


def asking(endpoint: str, home: Path, *settings: str, **more: str) -> list[str]:
    """What a process of its own says, to which the hub is at that address."""
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), **more}
    command = [sys.executable, "-c", PROGRAM, *settings]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_hub_that_says_no(hub, tmp_path):
    found = asking(
        hub[0], tmp_path, "vision.pretrained=gated/tower", "text.pretrained=no/tower", "text.pretrained=dino"
    )
    assert len(found) == 3
    assert "vision.pretrained 'gated/tower' is a gated model; accept its terms on its page of the hub" in found[0]
    assert "text.pretrained 'no/tower' is no folder, no model on the hub that this machine may read" in found[1]
    assert "none of the packaged efficientnet-lite0, all-minilm-l6-v2; correct the name." in found[2]


def test_offline_nothing_is_asked_for(hub, tmp_path):
    found = asking(hub[0], tmp_path, "vision.pretrained=some/tower", "text.pretrained=some/tower", HF_HUB_OFFLINE="1")
    files = ("preprocessor_config.json", "tokenizer.json")
    for line, kind, file in zip(found, ("vision", "text"), files, strict=True):
        assert line == (
            f"{kind}.pretrained 'some/tower' is not on this machine, and the hub does not answer or HF_HUB_OFFLINE is "
            f"set; put config.json, model.safetensors and {file} of one checkpoint into a folder and name it, "
            f"{kind}.pretrained=/folder."
        )
    assert hub[1] == []


def test_a_hub_that_does_not_answer(tmp_path):
    assert "and the hub does not answer" in asking("http://127.0.0.1:9", tmp_path, "text.pretrained=some/tower")[0]
