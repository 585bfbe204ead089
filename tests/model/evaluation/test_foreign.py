"""A frozen image–text model as it is, and below heads that learn: judged by its own vectors, with nothing of ours."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModel, AutoTokenizer

from model.config.arms import heads_alone
from model.config.overrides import override
from model.data.catalogue import Catalogue
from model.data.pixels import Pixels
from model.evaluation.foreign import foreign_vectors
from model.evaluation.tasks import evaluation_scope
from model.evaluation.trial import judge_as_it_is, run_trial
from model.extraction.extract import extract


@pytest.fixture(scope="module")
def heads(config, checkpoints):
    return override(heads_alone(config, str(checkpoints["siglip"]), 32, 20), {"train": {"epochs": 1}})


@pytest.fixture(scope="module")
def extracted(walked, heads, tmp_path_factory):
    root = tmp_path_factory.mktemp("foreign")
    extract(walked[0], root / "store", root / "extraction.json", heads)
    return root / "extraction.json"


@torch.no_grad()
def test_the_vectors_are_those_of_transformers(walked, extracted, checkpoints):
    """But for their bf16: the records are rounded."""
    found, whole = foreign_vectors(walked[0], extracted), AutoModel.from_pretrained(checkpoints["siglip"]).eval()
    texts = evaluation_scope(*walked, only_fresh=False).texts
    tokenizer = AutoTokenizer.from_pretrained(checkpoints["siglip"])
    pixels = torch.from_numpy(Pixels(walked[0] / "pixels.u8", 32, len(texts)).read(range(20)))
    ids = tokenizer(
        [t.lower() for t in texts[:20]], padding="max_length", truncation=True, max_length=20, return_tensors="pt"
    )
    images = whole.get_image_features(pixel_values=(pixels / 127.5 - 1).permute(0, 3, 1, 2)).pooler_output
    words = whole.get_text_features(input_ids=ids["input_ids"]).pooler_output
    for column, expected in ((found.image, images), (found.text, words)):
        assert len(column) == len(texts)
        mine, theirs = column[np.arange(20)], F.normalize(expected, dim=-1).numpy()
        assert np.einsum("ne,ne->n", mine, theirs).min() > 0.9999
    asked = Catalogue(walked[0] / "catalogue").read("queries", ["query"])["query"].to_pylist()
    assert found.queries == sorted(set(asked))
    assert len(found.pins) == 3


def test_judged_without_training(walked, extracted, heads):
    record = judge_as_it_is(*walked, heads, extracted)
    assert (record["steps"], record["training_pins"], record["train_seconds"]) == (0, 0, 0)
    assert {"related_pins", "search", "pintext"} <= record["fresh"].keys()
    assert record["parameters"] > 50_000


def test_heads_learn_above_what_is_frozen(walked, extracted, heads, tmp_path):
    record = run_trial(*walked, tmp_path, heads, 0, extracted=extracted)
    assert record["steps"] > 0
    assert record["fresh"] != judge_as_it_is(*walked, heads, extracted)["fresh"]
