"""By whose rights CloudFormation acts, and what its roles carry."""

from __future__ import annotations

import pytest

from perennial.deploy.authority import BOUNDARY, ROLE, Authority, authority_of
from perennial.errors import DeployError
from tests.support.templates import stack_templates

ARN, LIMIT = "arn:aws:iam::123456789012:role/deployer", "arn:aws:iam::123456789012:policy/most"


def test_without_a_word_nothing_changes() -> None:
    nobody = authority_of({ROLE: "", BOUNDARY: ""})
    assert (nobody, nobody.request()) == (Authority(), {})
    for template in stack_templates().values():
        assert nobody.bounded(template) == template


def test_cloudformation_takes_the_role_and_every_role_carries_the_boundary() -> None:
    authority = authority_of({ROLE: ARN, BOUNDARY: LIMIT})
    assert authority.request() == {"RoleARN": ARN}
    roles = 0
    for template in stack_templates().values():
        for name, one in authority.bounded(template)["Resources"].items():
            before = template["Resources"][name]
            if one["Type"] == "AWS::IAM::Role":
                roles += 1
                assert one["Properties"] == before["Properties"] | {"PermissionsBoundary": LIMIT}
            else:
                assert one == before
    assert roles > 5


@pytest.mark.parametrize("env", [{ROLE: LIMIT}, {BOUNDARY: ARN}, {ROLE: "deployer"}])
def test_what_is_no_arn_of_its_kind_is_named(env: dict[str, str]) -> None:
    with pytest.raises(DeployError, match=next(iter(env))):
        authority_of(env)
