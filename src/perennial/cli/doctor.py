"""``doctor`` looks at everything Perennial rests on and names a remedy for each fault."""

from __future__ import annotations

import typer

from perennial.cli.output import Json, complain, show_json
from perennial.errors import SettingsError


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
        complain(SettingsError("Something is wrong.", remedy="Follow the remedies above."))
