"""What the README shows must be true of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from perennial.cli import EPILOG, app
from perennial.errors import PerennialError
from perennial.spec_source import parse_spec

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def names() -> set[str]:
    """The commands, as they are typed."""
    return set(get_command(app).commands)  # type: ignore[attr-defined]


def test_the_spec_it_shows_is_valid() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert parse_spec(text).name == "student-depression"


def test_every_target_it_names_exists() -> None:
    known = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)\b", README))
    assert named and named <= known


def test_every_command_it_names_exists_and_the_other_way_round() -> None:
    known = names()
    table = README[README.index("| Command |") : README.index("Each takes `--json`")]
    named = set(re.findall(r"`(?:perennial )?([a-z][a-z-]*)[ `]", table.replace("`perennial ", "`")))
    assert named == known


@pytest.mark.parametrize("text", [README, EPILOG])
def test_every_exit_code_is_told(text: str) -> None:
    kinds = [PerennialError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    told = {int(code) for code in re.findall(r"\b(\d+) [a-zA-Z]", text[text.index("xit codes") :].split("\n\n")[0])}
    assert {kind.exit_code for kind in kinds} <= told


def calls() -> list[list[str]]:
    """The commands as they are called, each of a group by itself."""
    commands = get_command(app).commands  # type: ignore[attr-defined]
    found: list[list[str]] = []
    for name, each in commands.items():
        found += [[name, part] for part in each.commands] if hasattr(each, "commands") else [[name]]
    return found


def test_every_command_takes_json_and_has_help() -> None:
    for call in calls():
        result = CliRunner().invoke(app, [*call, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        assert result.exit_code == 0
        assert "--json" in result.output, call


def test_every_file_it_links_to_exists() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_what_it_says_of_costs_is_what_the_command_says() -> None:
    told = re.findall(r"`perennial (cost[^`]*)` \| (\$[\d.]+) \|", README)
    assert told
    for call, dollars in told:
        result = CliRunner().invoke(app, call.split())
        assert re.findall(r"^Together +(\S+)$", result.output, re.MULTILINE) == [dollars], call
