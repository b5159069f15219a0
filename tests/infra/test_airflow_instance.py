"""``infra/airflow-instance.yaml`` opens no port and starts scripts that a shell understands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from perennial.deploy.airflow_package import ON_MWAA
from perennial.deploy.template import read_template

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "infra/airflow-instance.yaml"


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    found: dict[str, Any] = read_template(TEMPLATE)["Resources"]
    return found


@pytest.fixture(scope="module")
def script(resources: dict[str, Any]) -> str:
    data = resources["Launch"]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
    return re.sub(r"\$\{([A-Za-z:]+)\}", r"value-of-\1", data)


def test_nobody_reaches_it_but_by_systems_manager(resources: dict[str, Any], script: str) -> None:
    assert "SecurityGroupIngress" not in resources["Network"]["Properties"]
    assert not [each for each in resources.values() if each["Type"] == "AWS::EC2::SecurityGroupIngress"]
    assert "KeyName" not in str(resources)
    assert re.findall(r"--host (\S+)", script) == ["127.0.0.1"]


def test_its_disk_is_encrypted_and_its_credentials_want_a_token(resources: dict[str, Any]) -> None:
    (disk,) = resources["Instance"]["Properties"]["BlockDeviceMappings"]
    assert disk["Ebs"]["Encrypted"] is True
    data = resources["Launch"]["Properties"]["LaunchTemplateData"]
    assert data["MetadataOptions"] == {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
        "HttpEndpoint": "enabled",
    }
    assert data["CreditSpecification"] == {"CpuCredits": "standard"}  # a busy one gets slower, never dearer


def test_every_script_parses(script: str, tmp_path: Path) -> None:
    inner = dict(re.findall(r"cat >(\S+) <<'(?:SYNC|RUN)'\n(.*?)\n(?:SYNC|RUN)\n", script, re.DOTALL))
    assert set(inner) == {"/opt/airflow/sync", "/opt/airflow/run"}
    for number, text in enumerate([script, *inner.values()]):
        path = tmp_path / f"{number}.sh"
        path.write_text(text)
        assert subprocess.run(["bash", "-n", str(path)], capture_output=True, check=False).returncode == 0


def test_requirements_are_found_where_they_say(script: str) -> None:
    """They name the folder of Amazon MWAA's containers."""
    assert f"ln -sfn /opt/airflow {ON_MWAA.rsplit('/', 1)[0]}\n" in script
    constraints = (ROOT / "airflow/constraints.txt").read_text()
    (version,) = re.findall(r'"apache-airflow==([0-9.]+)"', script)
    assert f"apache-airflow=={version}\n" in constraints
