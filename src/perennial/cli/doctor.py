"""``doctor`` looks at everything Perennial rests on and names a remedy for each fault."""

from __future__ import annotations

import typer

from perennial.cli.output import Json, show_json

FAULTY = 1
"""What it ends with on any fault, whatever that is of."""


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(as_json: Json = False) -> None:
    """Look at the machine, the bucket, the clock, rights, quotas, functions, queues, alarms, keys and each registry."""
    from rich.console import Console  # takes longer to import than most commands to start

    from perennial.jobs.doctor import examine

    findings = examine()
    if as_json:
        show_json([finding.model_dump(mode="json") for finding in findings])
    else:
        console = Console(highlight=False, markup=False, soft_wrap=True)
        for finding in findings:
            console.print(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}: {finding.found}")
            if finding.remedy and not finding.ok:
                console.print(f"      {finding.remedy}")
    if not all(finding.ok for finding in findings):
        typer.secho("error: Something is wrong. Follow the remedies.", fg=typer.colors.RED, err=True)
        raise typer.Exit(FAULTY)
