"""``make demo``: the whole loop once, on the iris data that ships with scikit-learn, on a local AWS of its own.

``python -m perennial.demo iris.csv`` only writes the data file; ``--keep`` leaves the stack up until Ctrl-C.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from perennial import keys
from perennial.datasets.landing import land
from perennial.deploy.interrupts import interruptible
from perennial.deploy.package import ROOT
from perennial.deploy.scheduler import environment, run_dag
from perennial.deploy.up import LocalStack, running_stack
from perennial.errors import PerennialError
from perennial.jobs.results import OutcomeResult
from perennial.settings import Settings
from perennial.spec import load_spec
from perennial.store import Store
from perennial.store_opening import open_store

SPEC = ROOT / "examples/iris/model.yaml"
FOLDER = ROOT / ".local/demo"
FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m perennial.demo", description=__doc__)
    parser.add_argument("csv", nargs="?", type=Path, help="only write the iris data to this file")
    parser.add_argument("--keep", action="store_true", help="stay up until Ctrl-C")
    given = parser.parse_args(arguments)
    try:
        if given.csv:
            write_iris(given.csv)
        else:
            with interruptible():
                demonstrate(keep=given.keep)
    except PerennialError as error:
        say(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("Ended.")
        return 130
    return 0


def demonstrate(*, keep: bool) -> OutcomeResult:
    """Land, train by Airflow, gate, promote, serve, ask; tells what happens and every id."""
    started = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    data = FOLDER / "iris.csv"
    write_iris(data)
    say("1. Starting a local AWS and deploying template.yaml to it")
    with running_stack(FOLDER / "aws", progress=lambda line: say(f"   {line}")) as stack:
        for name in os.environ.keys() - stack.inhabit(os.environ).keys():
            del os.environ[name]
        os.environ.update(stack.environment())
        store = open_store(Settings.load())
        spec = load_spec(SPEC)
        say("2. Landing the data in S3")
        say(f"   s3://{stack.bucket}/{land(store, spec, data).key}")
        say("3. Running Airflow's DAG train_iris")
        run_dag("train_iris", environment(stack, str(SPEC)), progress=lambda line: say(f"   {line}"))
        outcome = outcome_of(store, spec.name)
        say("4. Asking the API")
        answer = ask(stack)
        _report(stack, outcome, answer, time.monotonic() - started)
        if keep:
            say("\nThe stack stays up until Ctrl-C.")
            _wait()
    say("\nEnded; nothing is left running. `make demo KEEP=1` stays up, so that you can use the form.")
    return outcome


def write_iris(path: Path) -> None:
    """Write the 150 iris rows of scikit-learn as CSV."""
    from sklearn.datasets import load_iris

    iris = load_iris()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*FLOWER, "species"])
        for measures, species in zip(iris.data.tolist(), iris.target.tolist(), strict=True):
            rows.writerow([*measures, str(iris.target_names[species])])


def outcome_of(store: Store, model: str) -> OutcomeResult:
    """How the only run of a model ended."""
    (entry,) = store.list(keys.outcomes(model))
    return OutcomeResult.model_validate_json(store.get(entry.key).data)


def ask(stack: LocalStack) -> dict[str, Any]:
    """One real prediction over HTTP."""
    body = json.dumps(FLOWER).encode()
    request = urllib.request.Request(  # noqa: S310 - our own stack
        f"{stack.api_url}/predict", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        answer: dict[str, Any] = json.load(response)
        return answer


def _report(stack: LocalStack, outcome: OutcomeResult, answer: dict[str, Any], seconds: float) -> None:
    say(f"   curl -X POST '{stack.api_url}/predict' -H 'Content-Type: application/json' \\")
    say(f"     -d '{json.dumps(FLOWER)}'")
    say(f"   {json.dumps(answer)}")
    say(f"\n{outcome.summary()}")
    say(f"prediction {answer['prediction']} ({answer['probabilities'][answer['prediction']]:.1%})")
    say(f"api        {stack.api_url}")
    say(f"form       {stack.site_url}")
    say(f"took       {seconds:.0f} s")


def _wait() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
