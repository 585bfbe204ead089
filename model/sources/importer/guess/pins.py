"""Which table holds the Pins, and what its columns are: the section `pins` of a guessed spec."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from model.data.images.formats import ENDINGS
from model.errors import SpecError
from model.sources.importer.guess import roles
from model.sources.importer.guess.samples import Sample
from model.sources.importer.guess.spec_lines import commented, quoted, time_lines


def pins_table(samples: Sequence[Sample]) -> Sample:
    """The table with pictures; without one, the table whose ids are unique and which says most about each."""
    for wanted in ("bytes", "base64", "path", "address"):
        for sample in samples:
            if any(roles.image_kind(cells) == wanted for cells in sample.columns.values()):
                return sample
    unique = [sample for sample in samples if any(map(roles.is_unique, sample.columns.values()))]
    if not unique:
        raise SpecError("none of the tables looks like Pins: no column of pictures, and none of ids that are unique.")
    described = (*roles.TITLES, *roles.DESCRIPTIONS, *roles.CAPTIONS)
    return max(unique, key=lambda sample: (roles.by_name(sample.columns, described) is not None, len(sample.columns)))


def id_column(pins: Sample, image: str | None) -> str:
    unique = [name for name, cells in pins.columns.items() if name != image and roles.is_unique(cells)]
    ids = [name for name in unique if name.lower().endswith("id")]
    single = [name for name in unique if not any(" " in str(cell).strip() for cell in pins.columns[name])]
    by_image = [image] if image and roles.is_unique(pins.columns[image]) else []
    found = roles.by_name(unique, roles.PIN_IDS) or next(iter([*ids, *single, *by_image, *unique]), None)
    found = found or roles.by_name(pins.columns, roles.PIN_IDS)
    if found is None:
        raise SpecError(f"{pins.table} has no column of ids that are unique; write the spec by hand (docs/specs.md).")
    return found


def picture(pins: Sample, root: Path) -> tuple[str | None, str]:
    kinds = {name: roles.image_kind(cells) for name, cells in pins.columns.items()}
    for name, kind in kinds.items():
        if kind == "bytes":
            return name, f"  image: {quoted(name)}  # its cells are pictures"
        if kind == "base64":
            return name, f"  image: {{column: {quoted(name)}, encoding: base64}}  # its cells are pictures as text"
    for name, kind in kinds.items():
        if kind == "path":
            folders = _folders(root, pins.table, [str(cell).strip() for cell in roles.filled(pins.columns[name])])
            if not folders:
                return (
                    name,
                    f"  image: {quoted(name)}  # names of picture files, but none lies in {root}: give a folder",
                )
            reason = "the files are in that folder"
            if folders[1:]:
                reason += f", and files of these names in {', '.join(folders[1:])} too: choose"
            return name, f"  image: {{column: {quoted(name)}, folder: {quoted(folders[0])}}}  # {reason}"
    folder = next((path.name for path in sorted(root.iterdir()) if path.is_dir() and _holds_pictures(path)), "images")
    return None, f"  image: {{folder: {quoted(folder)}}}  # no column names pictures, so files <pin_id>.jpg, .png, …"


def _folders(root: Path, table: str, names: Sequence[str]) -> list[str]:
    """Folders that hold the named files, the table's own first."""
    own = yaml.safe_load(table)
    own = os.path.dirname(own[0] if isinstance(own, list) else own)  # noqa: PTH120 (relative, also "")
    near = [path.name for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    names = [name.replace("\\", "/") for name in names[:20]]
    folders = dict.fromkeys([own or ".", ".", *near])
    return [folder for folder in folders if any((root / folder / name).is_file() for name in names)]


def _holds_pictures(folder: Path) -> bool:
    return any(path.suffix.lower() in ENDINGS for path in folder.iterdir())


def column_lines(pins: Sample, taken: set[str]) -> list[str]:
    lines = list[str]()
    rest = [name for name in pins.columns if name not in taken]
    wanted: Sequence[str]
    for key, wanted in (("title", roles.TITLES), ("description", roles.DESCRIPTIONS), ("caption", roles.CAPTIONS)):
        found = roles.by_name(rest, wanted)
        if found and roles.filled(pins.columns[found]):
            lines += commented(key, quoted(found), "by its name")
            rest.remove(found)
    listed = {name: roles.list_options(pins.columns[name]) for name in rest}
    words = roles.by_name([name for name in rest if listed[name] is not None], roles.ANNOTATIONS)
    if words:
        options = "".join(f", {key}: {quoted(value)}" for key, value in (listed[words] or {}).items())
        value = f"{{column: {quoted(words)}{options}}}" if options else quoted(words)
        lines += commented("annotations", value, "each cell is a list of words")
        rest.remove(words)
    lines += time_lines("created_at", pins.columns, rest, roles.CREATED)
    for key, names in (("group_id", roles.GROUPS), ("consent", roles.CONSENTS)):
        found = roles.by_name(rest, names)
        if found:
            lines += commented(key, quoted(found), "by its name")
            rest.remove(found)
    slices = [name for name in rest if roles.by_name([name], roles.SLICES) and roles.filled(pins.columns[name])]
    if slices:
        lines.append("  slices:  # groups that the fairness report compares")
        lines += [f"    {re.sub(r'[^0-9A-Za-z_]', '_', name)}: {quoted(name)}" for name in slices]
    return lines + _unused(pins, [name for name in rest if name not in slices])


def _unused(pins: Sample, names: Sequence[str]) -> list[str]:
    """A comment on the columns that nothing was found for; times among them by name."""
    times = [name for name in names if roles.time_format(pins.columns[name]) is not None]
    return [f"  # not used: {', '.join(names)}" + (f"; times: {', '.join(times)}" if times else "")] if names else []
