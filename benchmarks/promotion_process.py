"""A process that serves without a pause: `python promotion_process.py plan.json` until its standard input is closed.

It asks the handler of the API for one prediction after the other, as one instance of a function is asked, and notes
when each began (seconds of the monotonic clock, which all processes of a machine share) and which version answered.
"""

import json
import os
import select
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any


class Context:
    aws_request_id = "benchmark"


def main(plan: dict[str, Any]) -> None:
    sys.path[:0] = plan["path"]
    told, sys.stdout = sys.stdout, Path(os.devnull).open("w")  # noqa: SIM115  # for as long as the process lives
    handler = import_module("lambdas.api.handler").handler
    asked: list[tuple[float, str]] = []
    while not select.select([sys.stdin], [], [], plan["pause"])[0]:
        began = time.monotonic()
        answer = handler(plan["event"], Context)
        assert answer["statusCode"] == 200, answer
        asked.append((began, json.loads(answer["body"])["model"]["version"]))
        if len(asked) == 1:
            print("serving", file=told, flush=True)
    Path(plan["report"]).write_text(json.dumps(asked))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
