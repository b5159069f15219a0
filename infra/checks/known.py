"""The findings that are known, each with its reason, against those that a tool made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator


@dataclass(frozen=True, order=True)
class Found:
    """One finding: the tool's name of its rule, the place (``file``, or ``file#resource``), and what the tool says."""

    rule: str
    place: str
    said: str


class Known(BaseModel):
    """Findings of one rule that stay, and why. ``at`` says how many there are at each place, or ``everywhere``.

    What is known everywhere has a reason that holds for all there may ever be, such as what a thing costs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    reason: str = Field(min_length=20)
    at: Literal["everywhere"] | Mapping[str, int]

    @field_validator("at", mode="before")
    @classmethod
    def _once_each(cls, at: object) -> object:
        return dict(Counter(at)) if isinstance(at, list) else at


def read_known(path: Path) -> tuple[Known, ...]:
    """The list of one tool.

    Raises:
        ValueError: the file is malformed; names it and the entry.
    """
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        return tuple(Known.model_validate(each) for each in said)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())[:300]}") from error


def differences(found: list[Found], known: tuple[Known, ...]) -> Iterator[str]:
    """A line for each finding that is not known, and for each that is known and is no more."""
    everywhere = {one.rule for one in known if one.at == "everywhere"}
    listed: Counter[tuple[str, str]] = Counter()
    for one in known:
        if one.at != "everywhere":
            listed.update({(one.rule, place): count for place, count in one.at.items()})
    seen = Counter((one.rule, one.place) for one in found if one.rule not in everywhere)
    told = {(one.rule, one.place): one.said for one in found}
    for key in sorted((seen - listed).keys()):
        yield f"{key[1]}: {key[0]}: {told[key]}"
    for rule, place in sorted((listed - seen).keys()):
        yield f"{place}: {rule} is listed as known, and is no more: remove it from the list"
    for rule in sorted(everywhere - {one.rule for one in found}):
        yield f"{rule} is listed as known everywhere, and is nowhere: remove it from the list"
