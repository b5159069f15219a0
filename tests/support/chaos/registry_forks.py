"""Starts workers within a millisecond: imports all they need once, then forks. No store is opened before the fork.

Told on stdin by one line of JSON per job, it says on stdout which process began and which ended how; it kills what is
left when stdin ends.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from typing import Any

from tests.support.chaos.registry_mutants import mutated
from tests.support.chaos.registry_work import Job, work


def say(**message: Any) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def live(job: Job) -> int:
    """The life of a worker; the status it ends with."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    if job.mutant is None:
        work(job)
    else:
        with mutated(job.mutant):
            work(job)
    return 0


def fork(job: Job) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        status = live(job)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        os._exit(status)


def main() -> None:
    running: dict[int, tuple[int, int]] = {}
    unread = b""
    while True:
        ready, _, _ = select.select([0, *running], [], [])
        for ended in ready:
            if ended:
                worker, pid = running.pop(ended)
                say(ended=worker, status=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.close(ended)
        if 0 not in ready:
            continue
        read = os.read(0, 1 << 16)
        if not read:
            break
        *lines, unread = (unread + read).split(b"\n")
        for line in lines:
            job = Job(**json.loads(line))
            pid = fork(job)
            say(began=job.worker, pid=pid)
            running[os.pidfd_open(pid)] = (job.worker, pid)
    for worker in running:
        signal.pidfd_send_signal(worker, signal.SIGKILL)


if __name__ == "__main__":
    main()
