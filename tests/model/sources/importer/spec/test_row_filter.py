"""The filter language against plain Python over the same rows."""

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import SpecError
from model.sources.importer.spec.row_filter import parse, parse_mapping

SIGNS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
COLUMNS = {
    "kind": ["keyword", "species", None, "keyword", ""],
    "clicks": ["3", "10", "", "2", "1"],  # text, as CSV has it
    "score": [0.5, None, 2.0, 3.0, float("nan")],
    "ok": ["t", "false", None, True, "1"],
}


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ('kind == "keyword"', [0, 3]),
        ("kind != 'keyword'", [1, 2, 4]),
        ("clicks >= 3", [0, 1]),
        ('clicks >= "3"', [0]),  # compared as text: "10" < "3"
        ("score > 0.5", [2, 3]),
        ("score < -1", []),
        ("kind is null", [2, 4]),
        ("score is not null and kind is not null", [0, 3]),
        ('kind in ["keyword", "species"]', [0, 1, 3]),
        ('kind not in ["keyword"]', [1, 2, 4]),
        ("clicks in [1, 2]", [3, 4]),
        ("ok == true", [0, 3, 4]),
        ("ok != true", [1, 2]),
        ('kind == "keyword" and clicks > 2 or score >= 2', [0, 2, 3]),  # and binds closer than or
        ('kind == "keyword" and (clicks > 2 or score >= 2)', [0, 3]),
        ('not kind == "keyword" and not (score > 1)', [1, 4]),
        ('`kind` == "keyword"', [0, 3]),
    ],
)
def test_rows_taken(where, rows):
    keep = parse(where).keep(COLUMNS)
    assert [row for row, kept in enumerate(keep) if kept] == rows


def test_columns_are_named_once_in_order():
    assert parse("b == 1 and (a == 2 or b > 3)").columns == ("b", "a")
    assert parse("`my column` is null").columns == ("my column",)


@pytest.mark.parametrize("where", [{"kind": "keyword"}, {"kind": ["keyword"], "ok": [True, False]}])
def test_mapping(where):
    assert parse_mapping(where).keep(COLUMNS) == [True, False, False, True, False]


def test_quotes_and_backslashes_in_text():
    columns = {"a": ['say "hi"', "back\\slash"]}
    assert parse(r'a == "say \"hi\""').keep(columns) == [True, False]
    assert parse(r"a == 'back\\slash'").keep(columns) == [False, True]


@pytest.mark.parametrize(
    "where",
    [
        "",
        "kind",
        'kind = "keyword"',
        "kind == keyword",
        'kind == "keyword',
        'kind == "a" kind == "b"',
        "kind in []",
        "kind in ['a'",
        "kind is empty",
        "kind not == 'a'",
        "(kind == 'a'",
        "__import__('os').system('true')",
        "clicks == 1e5x",
        "not " * 5000 + "a == 1",
    ],
)
def test_what_does_not_parse_is_one_sentence(where):
    with pytest.raises(SpecError, match="where") as caught:
        parse(where)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="ab \"'`()[],=<>!.-019notindsrul\\", max_size=40))
def test_any_text_parses_or_is_refused(where):
    try:
        parsed = parse(where)
    except SpecError:
        return
    assert parsed.columns


@given(st.lists(st.integers(-5, 5) | st.none()), st.integers(-5, 5), st.sampled_from(list(SIGNS)))
def test_comparison_against_python(cells, literal, sign):
    expected = [sign == "!=" if cell is None else SIGNS[sign](cell, literal) for cell in cells]
    assert parse(f"a {sign} {literal}").keep({"a": cells}) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("n >= 2", [False, True, None, False]),
        ("n != 2", [True, False, None, True]),
        ("not n >= 2", [True, False, None, True]),
        ("n in [2, 3]", [False, True, None, False]),
        ("n >= 2 or k == 'a'", [True, True, True, False]),
        ("n >= 2 or k == 'b'", [False, True, None, False]),
        ("n >= 2 and k == 'b'", [False, False, False, False]),
        ("n >= 2 and k == 'a'", [False, True, None, False]),
        ("n == true", [True, None, None, False]),
        ("n is null", [False, False, False, True]),
    ],
)
def test_a_cell_that_cannot_be_compared_is_unknown(where, expected):
    assert parse(where).keep({"n": ["1", "2", "x", None], "k": ["a", "a", "a", "c"]}) == expected


def test_mapping_of_wrong_values():
    with pytest.raises(SpecError, match="kind must be a text"):
        parse_mapping({"kind": None})
    with pytest.raises(SpecError, match="kind must be a text"):
        parse_mapping({"kind": []})
