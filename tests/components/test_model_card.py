"""The model card of a made-up run (conftest.py): what it states, what it does not invent, that it stays Markdown."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from components.configuration import load
from components.model_card.card import DESCRIPTION, described, model_card
from model.data.catalogue import CatalogueWriter
from model.errors import RunError

LINEAGE = {"catalogue": "catalogues/emoji", "catalogue_digest": "c" * 64, "git_rev": "abc123", "dvc_md5": ""}
HEADINGS = [
    *("Intended use", "Out of scope", "Figures", "Slices", "Limits", "Data", "Licence", "Training", "Quantization"),
]


@pytest.fixture
def given(run) -> dict:
    """The arguments of model_card()."""
    folder = run["evaluation"].parent
    (folder / "model").mkdir()
    (folder / "curves.jsonl").rename(folder / "model/curves.jsonl")
    files = {"prepared": folder / "prepared", "evaluation": folder / "evaluation", "comparison": run["comparison"]}
    files["model_folder"] = folder / "model"
    return {"run_id": "20261121-0945", "config": run["config"], "lineage": LINEAGE, **files}


def changed(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def tables(card: str) -> list[list[str]]:
    """Every table as its rows."""
    return [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", card, flags=re.MULTILINE)]


def test_it_has_every_section_and_whole_tables(given):
    card = model_card(**given)
    assert re.findall(r"^## (.*)", card, flags=re.MULTILINE) == HEADINGS
    assert len(tables(card)) == 5
    for table in tables(card):
        bars = [len(re.findall(r"(?<!\\)\|", row)) for row in table]
        assert len(set(bars)) == 1
    assert "None" not in card
    assert "\n\n\n" not in card


def test_figures_stand_beside_the_baseline(given):
    card = model_card(**given)
    assert "| Related Pins | recall@10 | **0.371** | 0.247 | +50.0 % | 0.412 | 0.330 |" in card
    assert "On fresh Pins weaker than the CLIP objective at: Search recall@10." in card
    assert "The last logged step is 392" in card
    assert "Set apart from the profile: train.epochs = 77." in card
    assert "| Search | 99.4 % |" in card
    assert "| int4 | Search | fresh | 94.0 % | 92.0 % to 96.0 % | 98.0 % | missed |" in card


def test_the_verdict_says_whom_it_was_compared_with(given):
    assert "- Compared with the champion, version 3, which was trained on none" in model_card(**given)


def test_the_largest_gap_is_named(given):
    card = model_card(**given)
    assert "on fresh Pins, Search recall@10 of **region = far $1$** is 0.100 (0.050 to 0.150, 31 queries)" in card
    assert "| Search | region | far $1$ | 31 | 0.100 | 0.050 to 0.150 | 0.400 |" in card


def test_data_consent_and_what_was_refused(given):
    card = model_card(**given)
    assert f"digest {'ab12' * 16}: 60 Pins (12 fresh)" in card
    assert "| pins | 66 | 60 | 4 | 2 |" in card
    assert "- pins: truncated, 3 quarantined" in card
    assert "the catalogue has no consent column; its owner vouches for all of it." in card
    with CatalogueWriter(given["prepared"] / "catalogue") as writer:
        writer.write("pins", pa.table({"pin_id": ["a"], "image": [b"x"], "consent": [True]}))
    assert "only Pins whose consent column says true were used." in model_card(**given)


def test_a_licence_is_not_invented(given):
    card = model_card(**given)
    assert "Of the data: not stated" in card
    assert "whose terms hold too" not in card
    config = load("demo", ["text.pretrained=google/siglip2"])
    assert "The towers started from google/siglip2, whose terms hold too." in model_card(**given | {"config": config})


def test_names_of_users_stay_names(given):
    """A pipe would break a table, a tag would be rendered."""
    slices = json.loads((given["evaluation"] / "slices.json").read_text())
    for row in slices["scopes"]["fresh"]["search"]["columns"]["region"]["slices"]:
        row["slice"] = "<img src=x> | **b**\n# c"
    changed(given["evaluation"] / "slices.json", **slices)
    card = model_card(**given)
    assert "<img" not in card
    assert r"&lt;img src=x> \| \*\*b\*\* \# c" in card
    assert re.findall(r"^## (.*)", card, flags=re.MULTILINE) == HEADINGS


def test_a_run_that_measured_little_says_so(given):
    nothing = dict.fromkeys(("pintext", "related_pins", "search", "fresh", "baseline_clip"))
    changed(given["evaluation"] / "metrics.json", **nothing, slices={"largest": None})
    changed(given["evaluation"] / "slices.json", scopes={"all": {}, "fresh": {}}, largest=None)
    changed(given["evaluation"] / "quantization_study.json", codes=[], targets=[])
    (given["model_folder"] / "curves.jsonl").write_text("")
    card = model_card(**given | {"lineage": LINEAGE | {"git_rev": ""}})
    assert "- Not measured: Related Pins" in card
    assert "Not measured: the catalogue has no slice columns" in card
    assert "Revision of the code: not stated." in card
    assert "| Search | recall@10 | **not measured** | not measured | – |" in card


def test_a_missing_file_is_named(given):
    (given["evaluation"] / "slices.json").unlink()
    with pytest.raises(RunError, match=r"The model card needs .*slices\.json"):
        model_card(**given)


def test_the_description_is_whole_sections(given):
    card = model_card(**given)
    assert described(card[:DESCRIPTION]) == card[:DESCRIPTION]
    short = described(card + "\n## More\n" + "x" * DESCRIPTION)
    assert len(short) <= DESCRIPTION
    body, rest = short.rsplit("\n*The whole card", 1)
    assert card.startswith(body)
    assert card[len(body) :].startswith("\n## ")
    assert "model_card.md" in rest
