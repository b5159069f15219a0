"""``python -m perennial.deploy up [--detach] | down | package | form | cloud --stage NAME``."""

from __future__ import annotations

import argparse
import sys

from perennial.deploy.ministack import interpreter
from perennial.deploy.package import ROOT, Package, build_api_package
from perennial.errors import PerennialError


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m perennial.deploy", description="Build, start and end stacks.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="start a local stack").add_argument("--detach", action="store_true")
    verbs.add_parser("down", help="end the local stack")
    verbs.add_parser("package", help="build build/api for the cloud")
    verbs.add_parser("form", help="build the form")
    cloud = verbs.add_parser("cloud", help="deploy to AWS and publish the form")
    cloud.add_argument("--stage", default="prod")
    cloud.add_argument("--region", default="us-east-1")
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


def _package(options: argparse.Namespace) -> Package:
    package = build_api_package("cloud", ROOT / "build/api", python=interpreter())
    say(f"build/api: {package.megabytes:.0f} MB unzipped, for Python 3.13 on arm64")
    if not package.compiled:
        say("No Python 3.13 is here to compile it: a cold start takes about three times as long.")
        say("Remedy: `.local/uv/bin/uv python install 3.13`, then build again.")
    return package


def _form(options: argparse.Namespace) -> None:
    from perennial.deploy.form import build_form

    say(f"{build_form().relative_to(ROOT)}: built")


def _cloud(options: argparse.Namespace) -> None:
    from perennial.deploy.form import build_form
    from perennial.deploy.site import publish
    from perennial.deploy.stack import Aws, deploy
    from perennial.deploy.up import TEMPLATE

    aws = Aws(region=options.region)
    deployed = deploy(aws, _package(options), TEMPLATE, stage=options.stage)
    publish(aws.client("s3"), deployed.site_bucket, build_form(), deployed.api_url)
    say(f"Form    {deployed.site_url}\nAPI     {deployed.api_url}\nBucket  {deployed.bucket}")


_VERBS = {"up": _up, "down": _down, "package": _package, "form": _form, "cloud": _cloud}

if __name__ == "__main__":
    sys.exit(main())
