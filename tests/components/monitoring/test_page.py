"""The page: whole, quiet where nothing is over, and nothing of a catalogue's words is taken for HTML."""

import re
from html.parser import HTMLParser

import pytest

from components.monitoring.page import drift_headline, measure_name, write_page

VOID = {"meta", "br", "path"}


class Balanced(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.text = [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag):
        assert tag in VOID or self.open.pop() == tag

    def handle_data(self, data):
        self.text += " ".join(data.split()) + " "


@pytest.fixture
def page(tmp_path, drift):
    def written(*names: str, **changed) -> tuple[str, str]:
        write_page(drift(*names, **changed), tmp_path / "index.html")
        source = (tmp_path / "index.html").read_text()
        return source, Balanced(source).text

    return written


def test_what_has_drifted_comes_first(page):
    source, text = page("brightness", "script")
    assert "Over the threshold in brightness, script" in text
    assert text.index("What has moved most") < text.index("All measures") < text.index("Online against offline")
    assert source.count("<svg") == 2
    assert source.startswith("<!doctype html>")
    assert not re.search(r"https?:|@import|url\(|<script", source)


def test_words_of_others_are_only_words(page):
    source, _ = page(catalogue="<script>alert(1)</script>")
    assert "<script" not in source
    assert "&lt;b&gt;" in source  # a label of the histogram
    assert "<b>" not in source.replace('<b class="muted">', "")


def test_a_quiet_page(page):
    assert "Quiet: none of 2 measures is over its threshold" in page()[1]


def test_the_headline_names_four_and_counts_the_rest(drift):
    assert drift_headline(drift(*"abcde")) == "Over the threshold in a, b, c, d and 1 more"


@pytest.mark.parametrize(
    ("name", "scope", "expected"),
    [
        ("title_length", "all", "title length"),
        ("title_length", "new", "title length (new Pins)"),
        ("centroid", "all", "mean vector"),
        ("skew/pin_stats__saves", "all", "pin_stats saves, online against offline"),
    ],
)
def test_measures_by_the_names_that_people_use(name, scope, expected):
    assert measure_name({"name": name, "scope": scope}) == expected
