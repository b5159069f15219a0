"""The manifests for Kubernetes: right by its schemas, and within the strictest of its policies."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from perennial.settings import VARIABLES

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "infra/kubernetes/api.yaml"
VALIDATE = ROOT / ".local/envs/images/bin/kubernetes-validate"
VERSIONS = ("1.33", "1.36")
DOCUMENTS = list(yaml.safe_load_all(MANIFEST.read_text()))


def one(kind: str) -> Any:
    (found,) = [document for document in DOCUMENTS if document["kind"] == kind]
    return copy.deepcopy(found)


def validated(path: Path, version: str) -> subprocess.CompletedProcess[str]:
    command = [str(VALIDATE), "--strict", "--kubernetes-version", version, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_right_by_the_schemas(version: str) -> None:
    result = validated(MANIFEST, version)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_schemas_would_refuse_what_is_wrong(tmp_path: Path) -> None:
    wrong = one("Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["readinessProb"] = {}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    assert validated(tmp_path / "wrong.yaml", VERSIONS[0]).returncode != 0


def test_nothing_has_more_rights_than_it_needs() -> None:
    """The restricted level of Kubernetes' Pod Security Standards, and a file system that nobody writes to."""
    pod = one("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] >= 10_000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert pod["automountServiceAccountToken"] is False and not {"hostNetwork", "hostPID", "volumes"} & pod.keys()
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys() and container["resources"]["limits"]["memory"]
    assert not container["image"].endswith(":latest") and ":" in container["image"]
    rules = one("NetworkPolicy")["spec"]
    assert rules["policyTypes"] == ["Ingress", "Egress"]
    (outside,) = [to["ipBlock"] for rule in rules["egress"] for to in rule["to"] if "ipBlock" in to]
    assert outside["except"] == ["169.254.169.254/32"]


def test_it_ends_after_what_is_under_way() -> None:
    pod = one("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > pause + int(env["GRACE_SECONDS"])
    known = {*VARIABLES.values(), "GRACE_SECONDS", "HOST", "PORT"}
    assert set(env) <= known and {"PERENNIAL_BUCKET", "PERENNIAL_TRUSTED_KEYS"} <= set(env)


def test_all_parts_mean_the_same_pods() -> None:
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert one("Service")["spec"]["selector"] == labels
    for kind, place in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        assert one(kind)["spec"][place] == {"matchLabels": labels}
    assert one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == one("Deployment")["metadata"]["name"]
    assert one("HorizontalPodAutoscaler")["spec"]["minReplicas"] > one("PodDisruptionBudget")["spec"]["maxUnavailable"]
    account = one("ServiceAccount")["metadata"]
    assert account["name"] == one("Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    assert account["annotations"]["eks.amazonaws.com/role-arn"].startswith("arn:aws:iam::")
