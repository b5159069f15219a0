"""What is done with a stage on AWS: deploying, publishing, removing. All is looked at before anything is done."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perennial.deploy.authority import authority_of
from perennial.deploy.lock import LockTaken, only_one_now
from perennial.deploy.ours import check_not_local
from perennial.deploy.package import ROOT
from perennial.deploy.parameters import StageFile, check_parameters, read_arguments, read_stage
from perennial.errors import DeployError

if TYPE_CHECKING:
    from perennial.deploy.aws import Aws
    from perennial.deploy.package import Package
    from perennial.deploy.stack import Deployed

Progress = Callable[[str], None]
REGION = "us-east-1"
BUCKET_NAME = 63
"""Characters that S3 takes."""
_STAGE = re.compile(r"[a-z][a-z0-9-]{0,19}")


@dataclass(frozen=True)
class Target:
    """A stage on AWS, with what its file says of it."""

    aws: Aws
    stage: str
    file: StageFile


@contextmanager
def target(stage: str, region: str | None, say: Progress) -> Iterator[Target]:
    """AWS itself for a stage, under credentials that it takes; no two of these commands work on a stage at a time.

    Raises:
        DeployError: the name is no stage's, an emulator is named, the credentials are refused, the account or the
            region is another than the stage's file says, or another such command is at work here.
    """
    from perennial.deploy.aws import Aws, account

    if not _STAGE.fullmatch(stage):
        raise DeployError(f"STAGE={stage!r} is no name of a stage.", remedy="It has 1 to 20 of a-z, 0-9 and '-'.")
    check_not_local(stage)
    _check_no_emulator(os.environ)
    file = read_stage(stage)
    if file.region and region and file.region != region:
        raise DeployError(
            f"REGION={region}, but infra/stages/{stage}.yaml says {file.region}; nothing was touched.",
            remedy="Leave REGION out, or correct the file.",
        )
    aws = Aws(region=_known(region or file.region or REGION))
    _check_length(stage, aws.region)
    found = account(aws)
    if file.account and file.account != found:
        raise DeployError(
            f"The credentials are of account {found}, but infra/stages/{stage}.yaml says {file.account}; nothing was "
            "touched.",
            remedy="Set AWS_PROFILE to one of that account.",
        )
    say(f"Account {found}, {aws.region}, stage {stage}")
    try:
        with only_one_now(ROOT / f".local/stage-{stage}.lock"):
            yield Target(aws, stage, file)
    except LockTaken as error:
        raise DeployError(
            f"Another command works on stage {stage} on this machine.", remedy="Wait until it has ended."
        ) from error


def deploy_stage(to: Target, arguments: str, packages: Callable[[], Mapping[str, Package]]) -> Deployed:
    """Deploy a stage with the parameters of its file and of ``arguments``; ``packages`` are built once all is right.

    Raises:
        DeployError: a parameter is wrong, or as :func:`perennial.deploy.stack.deploy`.
    """
    from perennial.deploy.adoption import takes_up
    from perennial.deploy.aws import aws_errors
    from perennial.deploy.stack import deploy
    from perennial.deploy.template import read_template
    from perennial.deploy.trust import PARAMETER, SIGNS, check_not_of_this_machine, signing_arn, trusted_keys
    from perennial.deploy.up import TEMPLATE

    authority = authority_of(os.environ)
    given = dict(to.file.parameters) | read_arguments(arguments)
    if "PERENNIAL_TRUSTED_KEYS" in os.environ:
        given[PARAMETER] = os.environ["PERENNIAL_TRUSTED_KEYS"]
    declared = read_template(TEMPLATE)["Parameters"]
    check_parameters({PARAMETER: "unsigned"} | given, declared)
    check_not_of_this_machine(given.get(PARAMETER, ""))
    with aws_errors():
        takes_up(to.aws, to.stage)  # or it raises, before anything is built or made
    built = packages()
    given[PARAMETER] = trusted_keys(to.aws, to.stage, given.get(PARAMETER))
    if SIGNS not in given and (arn := signing_arn(to.aws, to.stage)):
        given[SIGNS] = arn
    return deploy(to.aws, built, TEMPLATE, stage=to.stage, parameters=given, authority=authority)


def _check_length(stage: str, region: str) -> None:
    """See that S3 takes the names of all buckets; the longest is ``perennial-STAGE-builds-ACCOUNT-REGION``."""
    most = BUCKET_NAME - len("perennial--builds-000000000000-") - len(region)
    if len(stage) > most:
        raise DeployError(
            f"STAGE={stage} is too long in {region}: its buckets would have longer names than S3 takes.",
            remedy=f"Choose one of at most {most} characters.",
        )


def _check_no_emulator(env: Mapping[str, str]) -> None:
    for name in sorted(env):
        if name.startswith("AWS_ENDPOINT_URL") and env[name]:
            raise DeployError(
                f"{name}={env[name]} is set: this would not reach AWS.",
                remedy="`unset AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY PERENNIAL_BUCKET "
                "PERENNIAL_TRUSTED_KEYS PERENNIAL_SIGNING_KEY` ends what `perennial env` began.",
            )


def _known(region: str) -> str:
    """The region, if there is one of that name in any partition of AWS."""
    from botocore.session import Session

    from perennial.deploy.aws import aws_errors, descriptions

    with aws_errors():  # a profile that does not exist
        session = Session()
        session.register_component("data_loader", descriptions())
        partitions = session.get_available_partitions()
        known = {one for name in partitions for one in session.get_available_regions("cloudformation", name)}
    if region not in known:
        near = sorted(one for one in known if one[:2] == region[:2])
        raise DeployError(f"AWS has no region {region!r}.", remedy=f"Near it are {', '.join(near) or 'none'}.")
    return region
