"""``airflow_check.py SPECS PORT``: what Airflow would not say itself; prints the places of the specs as absolute paths.

Runs in the main environment.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from perennial.jobs.specs import find_specs

REMEDY = "Name a model.yaml, or a folder with some: make airflow PERENNIAL_SPECS=examples/iris/model.yaml"


def main(places: str, port: str) -> int:
    paths = [Path(place) for place in places.split(os.pathsep) if place]
    absent = [str(path) for path in paths if not path.exists()]
    if absent:
        return refuse(f"PERENNIAL_SPECS names what is not there: {', '.join(absent)}.", REMEDY)
    if not find_specs(places):
        return refuse(f"PERENNIAL_SPECS={places} holds no model.yaml.", REMEDY)
    if not (port.isdigit() and 0 < int(port) < 65536):
        return refuse(f"PORT={port} is no port.", "Name one: make airflow PORT=8081")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError as error:
            another = 8081 if port != "8081" else 8082
            return refuse(
                f"Port {port} cannot be used ({error.strerror}): is Airflow running already?",
                f"Name another: make airflow PORT={another}",
            )
    sys.stdout.write(os.pathsep.join(str(path.resolve()) for path in paths))
    return 0


def refuse(problem: str, what_to_do: str) -> int:
    sys.stderr.write(f"{problem}\n{what_to_do}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
