"""Tables of trials worked by hand: means, gains paired by seed, and what the intervals allow to say."""

import pytest

from components.studies.markdown_report import ablation_page, scaling_page
from components.studies.plots import ablation_plot, scaling_plot
from components.studies.scaling import by_pins
from components.studies.tables import gain_over, mean, recall_table, study_figures, trials_by_name
from model.config import load


def record(name: str, seed: int, recall: float, **more) -> dict:
    tasks = ("related_pins", "search", "pintext", "image_to_text", "text_to_image")
    facts = {"git_rev": "abc", "catalogue_digest": "d" * 64, "train_seconds": 10.0, "parameters": 1000}
    return {"name": name, "seed": seed, "fresh": dict.fromkeys(tasks, recall), "training_pins": 100, **facts, **more}


FAILED = {"name": "softmax", "seed": 0, "error": "no luck", "git_rev": "abc", "catalogue_digest": "d" * 64}
RECORDS = [
    record("pinclip", 1, 0.32),
    record("clip", 1, 0.20),
    record("no-funnel", 1, 0.16),
    record("pinclip", 0, 0.30),
    record("clip", 0, 0.20),
    record("no-funnel", 0, 0.15),
    FAILED,
]


def test_trials_are_grouped_by_name_and_ordered_by_seed():
    groups = trials_by_name(RECORDS)
    assert list(groups) == ["pinclip", "clip", "no-funnel"]
    assert [trial["seed"] for trial in groups["pinclip"]] == [0, 1]


def test_gains_pair_the_seeds():
    """0.30 over 0.20 and 0.32 over 0.20: +55 % ± 63.5 %."""
    groups = trials_by_name(RECORDS)
    assert mean(groups["pinclip"], "search").mean == pytest.approx(0.31)
    found = gain_over(groups["pinclip"], groups["clip"], "search")
    assert found.text("+.1%") == "+55.0% ± 63.5%"
    assert gain_over(groups["pinclip"], groups["clip"][1:], "search").text("+.1%") == "+60.0%"
    assert study_figures(groups)["pinclip"]["search"]["gain"] == pytest.approx(0.55)
    assert "gain" not in study_figures(groups)["clip"]["search"]


def test_a_task_that_nobody_asked_is_a_dash():
    silent = record("pinclip", 0, 0.3) | {"fresh": {"related_pins": 0.3}}
    row = recall_table({"pinclip": [silent]}, "arm").splitlines()[-1]
    assert row == "| pinclip | 0.300 | – | – | – | – | 1 | 10 | 1,000 |"


def test_the_page_names_what_is_sure_and_what_failed():
    """Without the funnel both seeds lose exactly half: an interval of no width."""
    page = ablation_page(load("demo"), trials_by_name(RECORDS), RECORDS)
    assert "- no-funnel: worse at Related Pins, Search, PinText." in page
    assert "- softmax, seed 0: no luck" in page
    assert "| no-funnel | -50.0% ± 0.0% |" in page
    assert "over 2 seed(s)" in page


def test_one_seed_is_never_sure():
    page = ablation_page(load("demo"), trials_by_name(RECORDS[:3]), RECORDS[:3])
    assert "- no-funnel: no difference beyond the intervals." in page


def test_a_foreign_model_is_no_idea_that_was_taken_away():
    """0.30 over 0.15: PinCLIP finds twice as much."""
    records = [record("pinclip", 0, 0.30), record("clip, as it is", 0, 0.15), record("no-funnel", 0, 0.16)]
    page = ablation_page(load("demo"), trials_by_name(records), records)
    others, ideas = page.split("## Gain of PinCLIP over other models")[1].split("## Change of PinCLIP")
    assert "| clip, as it is | +100.0% |" in others
    assert "as it is" not in ideas
    assert "no-funnel" not in others


def test_arms_that_were_not_trained_leave_their_tables_out():
    page = ablation_page(load("demo"), trials_by_name(RECORDS[1:2]), RECORDS[1:2])
    assert "Gain over" not in page
    assert "Change of PinCLIP" not in page


def test_scaling_is_ordered_by_pins():
    records = [record(n, 0, r, training_pins=p) for p, n, r in [(80, "pinclip", 0.3), (80, "clip", 0.2)]]
    records += [record(n, 0, r, training_pins=p) for p, n, r in [(10, "pinclip", 0.1), (10, "clip", 0.1)]]
    shares = by_pins([*records, FAILED])
    assert list(shares) == [10, 80]
    page = scaling_page(load("demo"), shares, [*records, FAILED])
    assert page.index("| 10 | +0.0% |") < page.index("| 80 | +50.0% |")


def test_plots_are_pictures(tmp_path):
    silent = [record("pinclip", 0, 0.3) | {"fresh": {"related_pins": 0.3}}]
    for records in (RECORDS, silent):
        ablation_plot(trials_by_name(records), tmp_path / "arms.png")
        scaling_plot(by_pins(records), tmp_path / "scaling.png")
        for path in tmp_path.iterdir():
            assert path.read_bytes().startswith(b"\x89PNG")
            assert path.stat().st_size > 5000
