"""``python -m perennial.deploy up [--detach] | down | package | gate | form | cloud | publish | dags | destroy``."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from perennial.deploy import airflow_verbs
from perennial.deploy.ministack import interpreter
from perennial.deploy.package import ROOT, Package, build_packages
from perennial.errors import DeployError, PerennialError

if TYPE_CHECKING:
    from perennial.deploy.aws import Aws
    from perennial.deploy.stack import Deployed


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m perennial.deploy", description="Build, start and end stacks.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="start a local stack").add_argument("--detach", action="store_true")
    verbs.add_parser("down", help="end the local stack")
    verbs.add_parser("package", help="build build/api and build/score for the cloud")
    verbs.add_parser("gate", help="see that build/api and build/score may ship")
    verbs.add_parser("form", help="build the form")
    for verb, what in (("cloud", "deploy to AWS and publish the form"), ("publish", "publish the form of a stack")):
        cloud = verbs.add_parser(verb, help=what)
        cloud.add_argument("--stage", default="prod")
        cloud.add_argument("--region", default="us-east-1")
    airflow_verbs.add_parsers(verbs)
    options = parser.parse_args(arguments)
    try:
        _VERBS[options.verb](options)
    except PerennialError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def say(line: str) -> None:
    """One line of progress, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _up(options: argparse.Namespace) -> None:
    from perennial.deploy import session

    session.up(detach=options.detach, progress=say)


def _down(options: argparse.Namespace) -> None:
    from perennial.deploy import session

    session.down(progress=say)


def _packages(options: argparse.Namespace) -> dict[str, Package]:
    from perennial.deploy.manifest import write_manifest

    packages = build_packages("cloud", ROOT / "build", python=interpreter())
    for name, built in write_manifest(packages, ROOT / "build", ROOT).packages.items():
        say(f"build/{name}: {built.megabytes:.1f} MB unzipped, for Python 3.13 on arm64; {built.files} files")
        say(f"build/{built.zip.file}: {built.zip.size / 1e6:.1f} MB, SHA-256 {built.zip.sha256}")
    if not all(package.compiled for package in packages.values()):
        say("No Python 3.13 is here to compile it: a cold start takes about three times as long.")
        say("Remedy: `.local/uv/bin/uv python install 3.13`, then build again.")
    return packages


def _gate(options: argparse.Namespace) -> None:
    from perennial.deploy.gate import check_package
    from perennial.deploy.recipes import RECIPES

    for recipe in RECIPES:
        seen = check_package(ROOT / "build" / recipe.name, recipe, ROOT)
        size = f"{seen.megabytes} of at most {recipe.megabytes} MB"
        native = f"{seen.libraries} native libraries for arm64 and glibc {'.'.join(map(str, seen.glibc))}"
        say(f"build/{recipe.name}: {size}; {native}; its handlers import")


def _form(options: argparse.Namespace) -> None:
    from perennial.deploy.form import build_form

    say(f"{build_form().relative_to(ROOT)}: built")


def _cloud(options: argparse.Namespace) -> None:
    from perennial.deploy.stack import deploy
    from perennial.deploy.trust import PARAMETER, trusted_keys
    from perennial.deploy.up import TEMPLATE

    aws = _cloud_of(options)
    parameters = {PARAMETER: trusted_keys(aws, options.stage, os.environ.get("PERENNIAL_TRUSTED_KEYS"))}
    _publish_form(aws, deploy(aws, _packages(options), TEMPLATE, stage=options.stage, parameters=parameters))


def _publish(options: argparse.Namespace) -> None:
    from perennial.deploy.stack import deployed

    aws = _cloud_of(options)
    _publish_form(aws, deployed(aws, options.stage))


def _cloud_of(options: argparse.Namespace) -> Aws:
    """AWS itself, under credentials that it takes: known before anything is built."""
    from perennial.deploy.aws import Aws, account

    for name in sorted(os.environ):
        if name.startswith("AWS_ENDPOINT_URL") and os.environ[name]:
            raise DeployError(
                f"{name}={os.environ[name]} is set: this would not reach AWS.",
                remedy="`unset AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY PERENNIAL_BUCKET` ends what "
                "`perennial env` began.",
            )
    aws = Aws(region=options.region)
    say(f"Account {account(aws)}, {options.region}, stage {options.stage}")
    return aws


def _dags(options: argparse.Namespace) -> None:
    airflow_verbs.send_dags(options, _cloud_of(options), say)


def _publish_form(aws: Aws, stack: Deployed) -> None:
    from perennial.deploy.form import build_form
    from perennial.deploy.site import publish
    from perennial.serving.presign import upload_address

    publish(
        aws.client("s3"), stack.site_bucket, build_form(), stack.api_url, upload_address(aws.settings(stack.bucket))
    )
    say(f"Form    {stack.site_url}\nAPI     {stack.api_url}\nBucket  {stack.bucket}")
    say("To work on it from this shell:")
    say(f"export PERENNIAL_BUCKET={stack.bucket} PERENNIAL_API_URL={stack.api_url} AWS_REGION={aws.region}")
    say(f"export PERENNIAL_SITE_BUCKET={stack.site_bucket} PERENNIAL_TOPIC_ARN={stack.topic_arn}")
    say(f"export PERENNIAL_LANDING_QUEUE={stack.landing_queue}")
    say(f"export PERENNIAL_SCORING_QUEUE={stack.scoring_queue}")
    say(f"export PERENNIAL_SCORING_DEAD_QUEUE={stack.scoring_dead_queue}")


_VERBS = {
    "up": _up,
    "down": _down,
    "package": _packages,
    "gate": _gate,
    "form": _form,
    "cloud": _cloud,
    "publish": _publish,
    "dags": _dags,
}

if __name__ == "__main__":
    sys.exit(main())
