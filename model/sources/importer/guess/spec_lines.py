"""Lines of a guessed spec, each with its reason."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from model.sources.importer.guess import roles


def commented(key: str, value: str, reason: str) -> list[str]:
    return [f"  {key}: {value}" + (f"  # {reason}" if reason else "")]


def quoted(value: str) -> str:
    """As YAML, within a mapping on one line too."""
    return yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10**6).strip()[1:-1]


def time_lines(key: str, columns: Mapping[str, list[Any]], names: list[str], wanted: Sequence[str]) -> list[str]:
    """The line of a column of times, which is taken out of `names`; none where there is no such column."""
    formats = {name: roles.time_format(columns[name]) for name in names}
    times = [name for name in names if formats[name] is not None]
    ending = [name for name in times if re.search("(_at|date|time)$", name.lower())]
    found = roles.by_name(times, wanted) or next(iter(ending), None)
    if found is None:
        return []
    format = formats[found]
    value = f"{{column: {quoted(found)}, format: {quoted(format)}}}" if format else quoted(found)
    names.remove(found)
    return commented(key, value, "its values are times")
