"""What documents say to type fits the templates: their parameters, and the names by which programs look for stacks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perennial.deploy.beside import TOLD
from perennial.deploy.template import read_template

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
LOOKED_FOR = {
    "infra/batch.yaml": "perennial-{stage}-batch",
    "infra/spark/template.yaml": "perennial-{stage}-spark",
    "infra/mwaa.yaml": "perennial-{stage}-mwaa",
    "infra/signing.yaml": "perennial-{stage}-signing",
}
"""Under which name ``make deploy``, ``deploy-dags`` and ``deploy-schedules`` look for a stack that a person deploys."""
STARTS = re.compile(r"[ $]*(?:sam|aws cloudformation) deploy .*--template-file ")


def commands() -> list[tuple[str, str]]:
    """Each command of a page that deploys a template, on one line."""
    found = []
    for page in PAGES:
        text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))
        found += [(page.name, line.split("#")[0]) for line in text.splitlines() if STARTS.match(line)]
    return found


COMMANDS = commands()


def given(command: str) -> dict[str, str]:
    """The parameters that a command gives."""
    return dict(re.findall(r"\b([A-Z]\w+)=(\S+)", command.partition("--parameter-overrides")[2]))


def test_programs_look_for_these() -> None:
    assert set(TOLD) <= set(LOOKED_FOR.values())
    assert len(COMMANDS) > 6


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda one: one[:60])
def test_a_template_that_is_to_be_deployed_can_be(page: str, command: str) -> None:
    (name,) = re.findall(r"--template-file (\S+)", command)
    template = read_template(ROOT / name)
    parameters = template["Parameters"]
    assert set(given(command)) <= set(parameters)
    assert {key for key, one in parameters.items() if "Default" not in one} <= set(given(command))
    named = re.search(r"RoleName|ManagedPolicyName", (ROOT / name).read_text())
    assert not named or "CAPABILITY_NAMED_IAM" in command


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda one: one[:60])
def test_a_stack_is_named_as_programs_look_for_it(page: str, command: str) -> None:
    (name,) = re.findall(r"--template-file (\S+)", command)
    if name in LOOKED_FOR:
        stage = given(command).get("Stage", "prod")
        assert re.findall(r"--stack-name (\S+)", command) == [LOOKED_FOR[name].format(stage=stage)]


def test_no_settings_of_the_stage_s_own_stack_get_into_another() -> None:
    """SAM reads ``samconfig.toml`` beside a template, whatever the template is: its region, and its name of a stack."""
    beside = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "infra").rglob("samconfig.toml")}
    for page, command in COMMANDS:
        (name,) = re.findall(r"--template-file (\S+)", command)
        assert not command.lstrip(" $").startswith("sam ") or str(Path(name).parent) not in beside, (page, command)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_parameters_of_a_deployment_exist(page: Path) -> None:
    known = set(read_template(ROOT / "template.yaml")["Parameters"])
    for arguments in re.findall(r'PARAMETERS="([^".]*)"', page.read_text(encoding="utf-8")):
        assert {one.partition("=")[0] for one in arguments.split()} <= known
