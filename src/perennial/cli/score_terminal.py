"""What ``score`` shows on a terminal, and how it takes the terminal's closing."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perennial.scoring.files import Progress


@contextmanager
def progress_bar(size: int) -> Iterator[Progress | None]:
    """A bar on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from perennial.serving.batch_job import BatchCounts

    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn(), TextColumn("{task.fields[rows]}", markup=False))
    with Progress(*columns, console=Console(stderr=True, soft_wrap=True), transient=True) as bar:
        task = bar.add_task("", total=size, rows="")

        def tell(counts: BatchCounts, end: int) -> None:
            refused = f", {counts.quarantined:,} refused" if counts.quarantined else ""
            bar.update(task, completed=end, rows=f"{counts.scored:,} rows{refused}")

        yield tell


@contextmanager
def terminable() -> Iterator[None]:
    """For the block, a request to end means what Ctrl-C means: clean up, then end. ``nohup`` still holds."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
