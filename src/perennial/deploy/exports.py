"""The variables under which the command line works on a stage on AWS."""

from __future__ import annotations

from perennial.deploy.airflow_verbs import settings_of
from perennial.deploy.aws import Aws, aws_errors
from perennial.deploy.ours import find_stack
from perennial.deploy.trust import PARAMETER, SIGNS
from perennial.settings import VARIABLES

MEGABYTES = "ApiMegabytes"


def exports(aws: Aws, stage: str) -> dict[str, str]:
    """Where a stage is, whose signatures its servers ask for, and, where a key of KMS signs for it, that key.

    Without the last two, a training would register and promote what no server of the stage takes.

    Raises:
        DeployError: the stack is not there.
    """
    settings = settings_of(aws, stage)
    with aws_errors():
        stack = find_stack(aws, f"perennial-{stage}")
    given = stack.parameters if stack else {}
    own = {
        "trusted_keys": given.get(PARAMETER),
        "signing_key": f"kms:{given[SIGNS]}" if given.get(SIGNS) else None,
        "api_megabytes": given.get(MEGABYTES),
    }
    told = settings.model_dump(exclude_unset=True, exclude_none=True) | {name: one for name, one in own.items() if one}
    return {VARIABLES[field]: str(value) for field, value in told.items()}
