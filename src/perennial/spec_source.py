"""Reading ``model.yaml``: the one place that knows about YAML, and about lines."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from perennial.errors import SpecError
from perennial.spec import ModelSpec

MAX_BYTES = 2_000_000


class _Loader(yaml.SafeLoader):
    """YAML 1.2's idea of a scalar: ``yes``, ``0123``, ``12:30`` and ``2026-11-21`` are text, ``1e-3`` is a number.

    Under YAML 1.1 a category written ``[yes, no]`` would silently become true and false. Keys are names,
    hence always text; anchors are refused, since one can make a page stand for gigabytes.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "an alias (*) is not allowed here", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"^(?:{_pattern})\Z"), _first)


def read_spec(path: Path) -> ModelSpec:
    """Read and check one spec file. Raises SpecError naming file, line, key and remedy."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SpecError(
            f"cannot be read ({error.strerror}).",
            file=str(path),
            remedy="Name an existing model.yaml; `perennial init` drafts one from a data file.",
        ) from error
    if len(data) > MAX_BYTES:
        raise SpecError(f"is larger than {MAX_BYTES} bytes.", file=str(path), remedy="Is this a data file?")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise SpecError("is not UTF-8 text.", file=str(path), remedy="Save it as UTF-8.") from error
    return parse_spec(text, str(path))


def parse_spec(text: str, file: str = "model.yaml") -> ModelSpec:
    """Check the text of a spec. Raises SpecError naming file, line, key and remedy."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines = _lines(node, file)
        value = loader.construct_document(node) if node is not None else None
    except RecursionError as error:
        raise SpecError("is nested too deeply.", file=file, remedy="Mend its brackets.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise SpecError(
            f"{problem}.", file=file, line=mark.line + 1 if mark else None, remedy="Mend the YAML there."
        ) from error
    if not isinstance(value, dict):
        raise SpecError(
            "is not a mapping of keys to values.", file=file, line=1, remedy="Start with `name:` and `task:`."
        )
    try:
        return ModelSpec.model_validate(value)
    except ValidationError as error:
        raise _spec_error(error, lines, file) from error


def _lines(node: yaml.Node | None, file: str) -> dict[tuple[str, ...], int]:
    """Line (1-based) of every key, by path. Raises SpecError for a key given twice, which YAML would swallow."""
    found: dict[tuple[str, ...], int] = {}

    def walk(node: yaml.Node, path: tuple[str, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, child in node.value:
                place = (*path, str(key.value))
                line = key.start_mark.line + 1
                if place in found:
                    raise SpecError(
                        f"is given twice, first on line {found[place]}.",
                        file=file, line=line, key=".".join(place), remedy="Keep one.",
                    )  # fmt: skip
                found[place] = line
                walk(child, place)
        elif isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                found[(*path, str(index))] = child.start_mark.line + 1
                walk(child, (*path, str(index)))

    if node is not None:
        walk(node, ())
    return found


def _spec_error(error: ValidationError, lines: dict[tuple[str, ...], int], file: str) -> SpecError:
    """The first problem, placed. Pydantic's path may hold union tags that are no keys: they are dropped."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if message.startswith("@"):
        dotted, _, message = message[1:].rpartition("@")
        path = _split(dotted, lines)
    else:
        path = _known([str(part) for part in first["loc"]], lines, absent=first["type"] == "missing")
    line = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 1)
    others = len(error.errors()) - 1
    more = f" ({others} more after this one.)" if others else ""
    return SpecError(
        f"{message.rstrip('.')}.{more}", file=file, line=line, key=".".join(path), remedy=_remedy(first, path)
    )


def _split(dotted: str, lines: dict[tuple[str, ...], int]) -> tuple[str, ...]:
    """A dotted key as a path of the file; column names may hold dots themselves."""
    for path in lines:
        if ".".join(path) == dotted:
            return path
    return tuple(dotted.split("."))


def _known(loc: list[str], lines: dict[tuple[str, ...], int], *, absent: bool) -> tuple[str, ...]:
    """The parts of a path that are keys of the file; the last may be a key that is ``absent``."""
    path: tuple[str, ...] = ()
    for index, part in enumerate(loc):
        if (*path, part) in lines or (absent and index == len(loc) - 1):
            path = (*path, part)
    return path


def _remedy(problem: Any, path: tuple[str, ...]) -> str | None:
    match problem["type"]:
        case "missing":
            return f"Add `{path[-1]}:`."
        case "extra_forbidden":
            return "Remove it, or correct its spelling."
        case "union_tag_not_found" | "union_tag_invalid":
            return "Give `type: number`, `type: category` or `type: date`."
        case "string_type":
            return "Put it in quotes."
        case _:
            return None
