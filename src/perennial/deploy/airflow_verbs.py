"""The verbs of ``python -m perennial.deploy`` that are about what starts trainings: ``dags`` and ``schedules``."""

from __future__ import annotations

import argparse
from typing import Any

from perennial.deploy.aws import Aws
from perennial.deploy.dags_bucket import Progress
from perennial.deploy.package import ROOT
from perennial.settings import Settings

BUILD = ROOT / "build/airflow"


def add_parsers(verbs: Any) -> None:
    """Add the verbs to the subparsers of the command line."""
    dags = verbs.add_parser("dags", help="send DAGs, specs and the package to the bucket that Airflow reads")
    schedules = verbs.add_parser("schedules", help="have AWS Batch do what specs name, at its times, without Airflow")
    for verb in (dags, schedules):
        verb.add_argument("--stage", default="prod")
        verb.add_argument("--region")
        verb.add_argument("--specs", default="examples", help="files and folders, separated like PATH")
        verb.add_argument("--dry-run", action="store_true", help="say what would be done")
    dags.add_argument("--update", action="store_true", help="have the environment install another package")


def send_dags(options: argparse.Namespace, aws: Aws, progress: Progress) -> None:
    """`make deploy-dags`. Raises DeployError and SpecError."""
    from perennial.deploy.mwaa import deploy_dags

    deploy_dags(
        aws, options.stage, options.specs, settings_of(aws, options.stage), BUILD,
        update=options.update, dry_run=options.dry_run, progress=progress,
    )  # fmt: skip


def send_schedules(options: argparse.Namespace, aws: Aws, progress: Progress) -> None:
    """`make deploy-schedules`. Raises DeployError and SpecError."""
    from perennial.deploy.schedule_stack import batch_beside, deploy_schedules
    from perennial.store_opening import open_store

    settings = settings_of(aws, options.stage)
    deploy_schedules(
        aws, options.stage, options.specs, open_store(settings), settings.bucket, batch_beside(aws, options.stage),
        dry_run=options.dry_run, progress=progress,
    )  # fmt: skip


def settings_of(aws: Aws, stage: str) -> Settings:
    """What tasks are told: the outputs of the stage's stack, and of the stacks beside it that are there.

    Raises:
        DeployError: the stack is not there.
    """
    from perennial.deploy.beside import beside
    from perennial.deploy.stack import deployed

    stack = deployed(aws, stage)
    return Settings(
        bucket=stack.bucket,
        region=aws.region,
        api_url=stack.api_url,
        site_url=stack.site_url,
        site_bucket=stack.site_bucket,
        topic_arn=stack.topic_arn,
        landing_queue=stack.landing_queue,
        scoring_queue=stack.scoring_queue,
        scoring_dead_queue=stack.scoring_dead_queue,
        **beside(aws, stage),
    )
