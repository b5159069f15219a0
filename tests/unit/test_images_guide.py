"""What the guide to models of pictures shows must be true of the code."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from perennial.cli import app
from perennial.images.limits import MAX_PIXELS
from perennial.serving.explain import CELLS
from perennial.serving.picture_requests import MAX_BYTES
from perennial.spec_source import parse_spec
from perennial.training.network_params import NetworkParams

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "images.md").read_text()


def test_the_spec_it_shows_is_valid_and_has_a_candidate_of_each_kind() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    candidates = parse_spec(text).candidates.values()
    assert all(any(getattr(one, kind) for one in candidates) for kind in ("backbone", "torch", "features"))


def test_every_command_and_option_it_names_exists() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    shown = re.findall(r"perennial ([a-z-]+)(?: ([a-z]+))?", TEXT)
    assert shown
    for name, part in shown:
        assert name in commands, name
        assert not hasattr(commands[name], "commands") or part in commands[name].commands, part
    options = {
        option
        for command in (*commands.values(), *commands["backbone"].commands.values())
        for parameter in command.params
        for option in parameter.opts
    }
    assert set(re.findall(r"(?<![\w-])--[a-z]+(?=[ `])", re.sub(r"curl.*", "", TEXT))) - {"--data"} <= options


def test_its_figures_are_those_of_the_code() -> None:
    assert f"{MAX_BYTES / 1e6:g} MB and {MAX_PIXELS // 10**6} million pixels" in TEXT
    assert f"some {CELLS * CELLS} times" in TEXT


def test_the_parameters_of_networks_that_it_names_exist() -> None:
    told = TEXT[TEXT.index("Under `params`:") : TEXT.index("[more](")]
    assert set(re.findall(r"`(\w+)`", told)) - {"params"} <= set(NetworkParams.model_fields)


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT)
    assert targets and all((DOCS / target).exists() for target in targets)
