"""The suites: what must hold before a run goes on (hard), and what is only reported (soft).

A rule is a sentence, an expectation of Great Expectations and what to do where it does not hold.
"""

from dataclasses import dataclass
from typing import Any

from model.config import PrepareConfig
from model.data.catalogue import SCHEMAS
from model.data.images.formats import FORMATS

BETWEEN, MAXIMUM = "ExpectColumnValuesToBeBetween", "ExpectColumnMaxToBeBetween"
UNIQUE, IN_SET, PRESENT = "ExpectColumnValuesToBeUnique", "ExpectColumnValuesToBeInSet", "ExpectColumnValuesToNotBeNull"
ROWS = "ExpectTableRowCountToBeBetween"

_COUNT = "there are {}"
_AGAIN = "run the prepare step again"
_EMBED_AGAIN = "run the embed step again, or train again with a lower train.learning_rate"


@dataclass(frozen=True)
class Rule:
    table: str  # of validation/tables.py or validation/vectors.py
    says: str
    expectation: str  # class in great_expectations.expectations
    arguments: dict[str, Any]
    fix: str
    hard: bool
    told: str = "it is {}"  # how an observed value is worded
    percent: bool = False


def catalogue_rules(config: PrepareConfig, summary: dict[str, Any]) -> list[Rule]:
    """The rules for a prepared catalogue; `summary` is the prepare step's."""
    rules = _intake(config, summary) + _pins(config) + _boards(config) + _queries()
    return rules + _users(config) + _preferences()


def embedding_rules(dim: int, pins: int | None) -> list[Rule]:
    """The rules for a vectors folder of dimension `dim` that should hold `pins` Pins (None: any number)."""
    counted = {"column": "pins", "min_value": pins, "max_value": pins}
    all_there = Rule("space", f"All {pins or 0:,} Pins have vectors", MAXIMUM, counted, _EMBED_AGAIN, True, _COUNT)
    return [
        _hard("vectors", "Every Pin has one vector", UNIQUE, _EMBED_AGAIN, column="pin_id"),
        *_vectors("vectors", "Pin vectors", dim),
        *_vectors("queries", "Query vectors", dim),
        _soft(
            "space",
            "Pins have different vectors",
            MAXIMUM,
            "train longer and look at the loss curve",
            told="the length of the mean vector is {}",
            column="mean_length",
            max_value=0.9,
        ),
        *([] if pins is None else [all_there]),
    ]


def _hard(table: str, says: str, expectation: str, fix: str, told: str = "it is {}", **arguments: Any) -> Rule:
    return Rule(table, says, expectation, arguments, fix, True, told)


def _soft(table: str, says: str, expectation: str, fix: str, told: str = "it is {}", **arguments: Any) -> Rule:
    return Rule(table, says, expectation, arguments, fix, False, told)


def _intake(config: PrepareConfig, summary: dict[str, Any]) -> list[Rule]:
    share = config.max_quarantined
    fix = "fix the rows listed in quarantine.parquet, or raise prepare.max_quarantined"
    return [
        Rule(
            "intake",
            f"At most {100 * share:.3g}% of the rows of {table} may be quarantined",
            MAXIMUM,
            {"column": table, "max_value": share},
            _main_reasons(summary[table]["quarantined"]) + fix,
            hard=True,
            told="{} are",
            percent=True,
        )
        for table in SCHEMAS
        if table in summary
    ]


def _main_reasons(counts: dict[str, int]) -> str:
    main = ", ".join(f"{reason} ({rows:,})" for reason, rows in list(counts.items())[:3])
    return f"mostly for: {main}; " if main else ""


def _pins(config: PrepareConfig) -> list[Rule]:
    side, pixels, size = config.min_image_side, config.max_image_pixels, config.max_image_bytes
    map_texts = "map title, description, caption or annotations in the import spec"
    most = "the largest number of texts is {}"
    return [
        _hard("pins", "Training needs 2 Pins", ROWS, "import more Pins", _COUNT, min_value=2),
        _hard("pins", "Every pin_id is unique", UNIQUE, _AGAIN, column="pin_id"),
        _hard("pins", "Formats are known", IN_SET, _AGAIN, column="format", value_set=list(FORMATS)),
        _hard("pins", f"Images are {side} pixels wide or more", BETWEEN, _AGAIN, column="width", min_value=side),
        _hard("pins", f"Images are {side} pixels high or more", BETWEEN, _AGAIN, column="height", min_value=side),
        _hard("pins", f"Images have {pixels:,} pixels or less", BETWEEN, _AGAIN, column="pixels", max_value=pixels),
        _hard("pins", f"Images have {size:,} bytes or less", BETWEEN, _AGAIN, column="bytes", max_value=size),
        _hard("pins", "Every image was measured", PRESENT, _AGAIN, column="contrast"),
        _hard("pins", "Some Pin has a text", MAXIMUM, map_texts, most, column="texts", min_value=1),
        _soft("pins", "Pins have a text", BETWEEN, map_texts, column="texts", min_value=1, mostly=0.9),
        _soft("pins", "Images are not blank", BETWEEN, "find them", column="contrast", min_value=0.01, mostly=0.99),
        _soft("pins", "Images are not repeated", BETWEEN, "merge Pins", column="copies", max_value=1, mostly=0.9),
        _soft("pins", "Images are no long strips", BETWEEN, "crop them", column="aspect", max_value=4, mostly=0.95),
        _soft("pins", "Pins are on a board", BETWEEN, "import more boards", column="boards", min_value=1, mostly=0.5),
    ]


def _boards(config: PrepareConfig) -> list[Rule]:
    least, anonymous = config.min_board_pins, f"Every board has {config.min_board_pins} Pins or more (k-anonymity)"
    alone = "without boards no neighbours are learned"
    name_them = "map the boards' title, a text about their Pins"
    return [
        _soft("boards", "There should be boards", ROWS, alone, _COUNT, min_value=1),
        _hard("boards", anonymous, BETWEEN, _AGAIN, column="pins", min_value=least),
        _hard("boards", "Boards name Pins of the catalogue", BETWEEN, _AGAIN, column="unknown_pins", max_value=0),
        _soft("boards", "Boards have a title", BETWEEN, name_them, column="title_length", min_value=1, mostly=0.9),
        _soft("boards", "Boards hold half of all Pins at most", BETWEEN, "leave it out", column="share", max_value=0.5),
    ]


def _queries() -> list[Rule]:
    unmeasured, look = "without queries search is not measured", "look whether these are queries"
    return [
        _soft("queries", "There should be queries", ROWS, unmeasured, _COUNT, min_value=1),
        _hard("queries", "No query is empty", BETWEEN, _AGAIN, column="query_length", min_value=1),
        _hard("queries", "Every row has a click", BETWEEN, _AGAIN, column="clicks", min_value=1),
        _hard("queries", "Queries name Pins of the catalogue", IN_SET, _AGAIN, column="known", value_set=[True]),
        _soft("queries", "Queries are short", BETWEEN, look, column="query_length", max_value=100, mostly=0.95),
    ]


def _users(config: PrepareConfig) -> list[Rule]:
    least, anonymous = config.min_board_pins, f"Every user has {config.min_board_pins} Pins or more (k-anonymity)"
    own, prefix = "No user has the id of a board that names no user", "give the boards a prefix in the import spec"
    return [
        _hard("users", anonymous, BETWEEN, _AGAIN, column="pins", min_value=least),
        _hard("users", own, IN_SET, prefix, column="is_board", value_set=[False]),
    ]


def _preferences() -> list[Rule]:
    name_them = "map the preferences' time: without it none fades"
    return [
        _hard(
            "preferences", "Preferences name Pins of the catalogue", IN_SET, _AGAIN, column="known", value_set=[True]
        ),
        _hard("preferences", "Weights are finite", IN_SET, _AGAIN, column="finite", value_set=[True]),
        _hard("preferences", "Weights are above 0", BETWEEN, _AGAIN, column="weight", min_value=0, strict_min=True),
        _hard("preferences", "No time is in the future", IN_SET, _AGAIN, column="ahead", value_set=[False]),
        _soft("preferences", "Preferences have a time", PRESENT, name_them, column="time", mostly=0.9),
    ]


def _vectors(table: str, what: str, dim: int) -> list[Rule]:
    same: dict[str, Any] = {"min_value": dim, "max_value": dim}
    return [
        _hard(table, f"{what} have {dim} dimensions", BETWEEN, _EMBED_AGAIN, column="dimension", **same),
        _hard(table, f"{what} are finite", IN_SET, _EMBED_AGAIN, column="finite", value_set=[True]),
        _hard(table, f"{what} have length 1", BETWEEN, _EMBED_AGAIN, column="length", min_value=0.99, max_value=1.01),
    ]
