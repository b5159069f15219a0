"""``python -m perennial.deploy VERB``: a local stack, packages, and the stages on AWS; ``--help`` lists the verbs."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from perennial.deploy import airflow_verbs
from perennial.deploy.ministack import interpreter
from perennial.deploy.package import ROOT, Package, build_packages
from perennial.errors import PerennialError

if TYPE_CHECKING:
    from perennial.deploy.cloud import Target
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
    for verb, what in (
        ("cloud", "deploy to AWS and publish the form"),
        ("publish", "publish the form of a stack"),
        ("smoke", "ask a stage whether it works, as its users would"),
        ("destroy", "remove a stage from AWS; its data stay"),
        ("lock", "have S3 keep all that a stage's registries hold for some days"),
    ):
        cloud = verbs.add_parser(verb, help=what)
        cloud.add_argument("--stage", required=verb == "destroy", default="prod")
        cloud.add_argument("--region")
        if verb == "cloud":
            cloud.add_argument("--parameters", default="", help="Name=value of template.yaml, several between spaces")
        if verb == "lock":
            cloud.add_argument("--days", type=int, required=True)
            cloud.add_argument("--mode", choices=("GOVERNANCE", "COMPLIANCE"), default="GOVERNANCE")
        if verb == "destroy":
            cloud.add_argument("--data", choices=("keep", "delete"), default="keep")
            cloud.add_argument("--confirm", help="the stage again, where its data are to go")
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
    from perennial.deploy.cloud import deploy_stage, target

    with target(options.stage, options.region, say) as to:
        _publish_form(to, deploy_stage(to, options.parameters, lambda: _packages(options)))


def _publish(options: argparse.Namespace) -> None:
    from perennial.deploy.cloud import target
    from perennial.deploy.stack import deployed

    with target(options.stage, options.region, say) as to:
        _publish_form(to, deployed(to.aws, to.stage))


def _smoke(options: argparse.Namespace) -> None:
    from perennial.deploy.cloud import target
    from perennial.deploy.smoke import site_of, smoke

    with target(options.stage, options.region, say) as to:
        smoke(site_of(to.aws, to.stage), say)


def _destroy(options: argparse.Namespace) -> None:
    from perennial.deploy.cloud import target
    from perennial.deploy.destroy import destroy

    with target(options.stage, options.region, say) as to:
        destroy(to.aws, to.stage, delete_data=options.data == "delete", confirm=options.confirm, say=say)


def _dags(options: argparse.Namespace) -> None:
    from perennial.deploy.cloud import target

    with target(options.stage, options.region, say) as to:
        airflow_verbs.send_dags(options, to.aws, say)


def _schedules(options: argparse.Namespace) -> None:
    from perennial.deploy.cloud import target

    with target(options.stage, options.region, say) as to:
        airflow_verbs.send_schedules(options, to.aws, say)


def _publish_form(to: Target, stack: Deployed) -> None:
    from shlex import quote
    from uuid import uuid4

    from perennial.deploy.exports import exports
    from perennial.deploy.form import build_form
    from perennial.deploy.site import distribution_of, invalidate, publish
    from perennial.serving.presign import upload_address

    aws = to.aws
    publish(
        aws.client("s3"), stack.site_bucket, build_form(), stack.api_url, upload_address(aws.settings(stack.bucket))
    )
    if distribution := distribution_of(aws.client("cloudformation"), f"perennial-{to.stage}"):
        invalidate(aws.client("cloudfront"), distribution, str(uuid4()))
    say(f"Form    {stack.site_url}\nAPI     {stack.api_url}\nBucket  {stack.bucket}")
    say("To work on it from this shell:")
    for name, value in exports(aws, to.stage).items():
        say(f"export {name}={quote(value)}")


def _lock(options: argparse.Namespace) -> None:
    from perennial.deploy.cloud import target
    from perennial.deploy.retention import lock_registries
    from perennial.deploy.stack import deployed

    with target(options.stage, options.region, say) as to:
        bucket, until = deployed(to.aws, to.stage).bucket, datetime.now(UTC) + timedelta(days=options.days)
        count = lock_registries(to.aws, bucket, until, mode=options.mode)
        say(f"{bucket}: {count} objects of registries are kept until {until:%Y-%m-%d} at least ({options.mode})")


_VERBS = {
    "up": _up,
    "down": _down,
    "package": _packages,
    "gate": _gate,
    "form": _form,
    "cloud": _cloud,
    "publish": _publish,
    "smoke": _smoke,
    "destroy": _destroy,
    "lock": _lock,
    "dags": _dags,
    "schedules": _schedules,
}

if __name__ == "__main__":
    sys.exit(main())
