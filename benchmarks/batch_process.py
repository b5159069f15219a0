"""One command, timed from its start to its end, with its processor time and peak memory. Standard library only.

It is small itself: on Linux a process starts its peak with that of the process it was forked from.
"""

import json
import os
import sys
import time


def main(command: list[str]) -> None:
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    started = time.monotonic()
    child = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - started
    unit = 1e6 if sys.platform == "darwin" else 1e3
    report = {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / unit}
    json.dump(report | {"exit": os.waitstatus_to_exitcode(status)}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
