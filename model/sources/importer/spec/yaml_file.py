"""Reads a spec's YAML file; a syntax error is one sentence with the line."""

from pathlib import Path
from typing import Any

import yaml

from model.errors import SpecError


class _Once(yaml.SafeLoader):
    """YAML's safe loader, which also refuses a key that appears twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for place, name in enumerate(names):
            if name in names[:place] and name != "<<":
                line = node.value[place][0].start_mark.line + 1
                raise SpecError(f"the key {name!r} appears twice, again at line {line}; join them or rename one.")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """
    Raises:
        SpecError: the file does not exist, is no YAML, or has a key twice.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Once)
    except OSError as error:
        raise SpecError(f"the spec cannot be read ({error.strerror}); give the path of a YAML file.") from None
    except UnicodeDecodeError:
        raise SpecError("the spec is not UTF-8 text; save it as UTF-8.") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        if "\\t" in str(error):
            raise SpecError(f"the spec is no YAML{where}; indent with blanks instead of tabs.") from None
        problem = getattr(error, "problem", None) or "unreadable"
        raise SpecError(f"the spec is no YAML{where} ({problem}); put texts with : # ? [ or {{ in quotes.") from None
