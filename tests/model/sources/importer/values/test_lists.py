"""Lists of words, as columns and as text that a table had to write them as."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.sources.importer.values.cells import BadValue
from model.sources.importer.values.lists import looks_like_a_list, texts


@pytest.mark.parametrize(
    ("cell", "separator", "expected"),
    [
        ("a; b;;a", ";", ["a", "b"]),
        ("a; b", None, ["a; b"]),
        (["x", None, "x ", b"y", "None"], None, ["x", "y"]),
        (None, None, []),
        ('["red lamp", "desk"]', None, ["red lamp", "desk"]),
        ('["red lamp", "desk"]', ",", ["red lamp", "desk"]),
        ("['red lamp', 'desk']", None, ["red lamp", "desk"]),
        ("['red lamp' 'desk']", None, ["red lamp", "desk"]),
        ("['it\\'s'\n \"d'or\"]", None, ["it's", "d'or"]),
        ("array(['red lamp', 'desk'], dtype=object)", None, ["red lamp", "desk"]),
        ("['a', None, nan]", None, ["a"]),
        ("[1, 2.0]", None, ["1", "2"]),
        ("[]", None, []),
        ("None", None, []),
        ("NULL", ",", []),
        ("oak|table|wood", "|", ["oak", "table", "wood"]),
        ("[oak, table]", None, ["[oak, table]"]),  # bare words: whose list that is, nobody can know
        ("[sic]", None, ["[sic]"]),
        ("('red lamp', 'desk')", None, ["red lamp", "desk"]),
        ("('oak',)", None, ["oak"]),
        ("{'oak', 'red, lamp'}", None, ["oak", "red, lamp"]),
        ('{"red lamp","desk"}', None, ["red lamp", "desk"]),
        ("()", None, []),
        ("{}", None, []),
        ("{oak,table}", None, ["{oak,table}"]),
        ('{"a": "b"}', None, ['{"a": "b"}']),
        ("(new)", None, ["(new)"]),
        ("('open", None, ["('open"]),
    ],
)
def test_words(cell, separator, expected):
    assert texts(cell, separator) == expected


def test_a_named_format_is_kept_to():
    assert texts('["a", null, 1]', format="json") == ["a", "1"]
    assert texts("['a' 'b']", format="python") == ["a", "b"]
    for cell, format in (("['a']", "json"), ('{"a": 1}', "json"), ("a, b", "python"), ("[['a']]", "json")):
        with pytest.raises(BadValue, match=f"no list in the format {format}"):
            texts(cell, format=format)


def test_what_looks_like_a_list():
    suspicious = ["oak|table", "oak; table", "oak, table", "{oak,table}", "[oak, table]", "(oak, table)"]
    assert [cell for cell in suspicious if not looks_like_a_list(cell)] == []
    fine = ["oak", "", "[]", '["a"]', "['a' 'b']", ["a|b"], None, "a|", "smile :)"]
    assert [cell for cell in fine if looks_like_a_list(cell)] == []


words = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).map(str.strip).filter(bool))


@given(words)
def test_what_json_and_python_write_comes_back(some):
    expected = texts(some)
    assert texts(json.dumps(some)) == expected
    assert texts(repr(some)) == expected
    if len(some) > 1:
        assert texts(str(np.array(some, dtype=object))) == expected
