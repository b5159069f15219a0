"""Ours beside the handwritten service, in one run: cold start, warm latency, memory.

`python -m benchmarks.serving` trains the same kind of model for both on the same data, puts both into
one local S3, and asks each in fresh processes, in turns. Both are imported from a folder of compiled
bytecode, as Lambda would. Prints a table, and with `--json FILE` writes all figures.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import mixed
from benchmarks.measuring import RIVALS, local_s3, spread
from benchmarks.mixed_models import BUCKET
from benchmarks.mixed_spec import MODEL
from benchmarks.serving_world import World, prepare

ROOT = Path(__file__).parents[1]
PROCESS = ROOT / "benchmarks/serving_process.py"
NAMES = ("ours", "handwritten")


@dataclass(frozen=True)
class Service:
    """How to start one of the two, and what its processes reported."""

    plan: dict[str, Any]
    reports: list[dict[str, Any]]
    cold_ms: list[float]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="fresh processes of each service")
    parser.add_argument("--calls", type=int, default=3000, help="warm calls of each service")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, local_s3() as endpoint:
        world = prepare(Path(folder), endpoint, RIVALS / "bin/python")
        services = measure(world, endpoint, options.runs, options.calls)
    figures = summarise(services)
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def measure(world: World, endpoint: str, runs: int, calls: int) -> dict[str, Service]:
    """Cold starts in turns, after one of each that fills the disk cache; the last process of each also runs warm."""
    packages = next((RIVALS / "lib").glob("python3*/site-packages"))
    compileall.compile_dir(packages, quiet=2, workers=2)
    compileall.compile_dir(ROOT / "benchmarks/rivals", quiet=2)
    common = {"calls": 100, "report": str(world.folder / "report.json")}
    ours = common | {
        "path": [str(world.package)], "module": "lambdas.api.handler",
        "event": event_of(f"/models/{MODEL}/predict"), "onnx": str(world.onnx), "row": world.row,
    }  # fmt: skip
    handwritten = common | {
        "path": [str(packages), str(ROOT / "benchmarks/rivals")], "module": "handwritten_service",
        "event": event_of("/predict"),
    }  # fmt: skip
    services = {"ours": Service(ours, [], []), "handwritten": Service(handwritten, [], [])}
    for run in range(-1, runs):
        for name in NAMES:
            rounds = calls // 100 if run == runs - 1 else 0
            milliseconds, report = start(services[name].plan | {"rounds": rounds}, world, endpoint)
            if run >= 0:
                services[name].cold_ms.append(milliseconds)
                services[name].reports.append(report)
        print(f"\rcold starts: {run + 1} of {runs} each", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return services


def event_of(path: str, body: object = None) -> dict[str, Any]:
    """One prediction, as an HTTP API hands it to a function; of one record unless ``body`` says otherwise."""
    return {
        "version": "2.0", "routeKey": f"POST {_route(path)}", "rawPath": path, "rawQueryString": "",
        "isBase64Encoded": False,
        "headers": {"content-type": "application/json", "host": "api.example.org"},
        "requestContext": {"http": {"method": "POST", "path": path, "sourceIp": "192.0.2.1"}},
        "body": json.dumps(body or mixed.records(1, seed=99)[0][0]),
    }  # fmt: skip


def _route(path: str) -> str:
    """The route that an HTTP API chooses for a path, by which a server knows what was let through."""
    parts = path.split("/")
    return "/".join(["", "models", "{model}", *parts[3:]]) if parts[1] == "models" else path


def start(plan: dict[str, Any], world: World, endpoint: str) -> tuple[float, dict[str, Any]]:
    """One fresh process on this benchmark's bucket."""
    return run_process(plan, world.folder, endpoint, BUCKET)


def run_process(
    plan: dict[str, Any], folder: Path, endpoint: str, bucket: str, more: Mapping[str, str] | None = None
) -> tuple[float, dict[str, Any]]:
    """One fresh process: milliseconds from its start to its first answer, and its report."""
    path = folder / "plan.json"
    path.write_text(json.dumps(plan))
    environment = {
        "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_LAMBDA_FUNCTION_NAME": "benchmark", "PERENNIAL_BUCKET": bucket, "BUCKET": bucket, **(more or {}),
    }  # fmt: skip
    started = time.monotonic()
    subprocess.run([sys.executable, "-I", str(PROCESS), str(path)], env=environment, check=True, timeout=120)
    report: dict[str, Any] = json.loads(Path(plan["report"]).read_text())
    return (report["answered"] - started) * 1000, report


def summarise(services: dict[str, Service]) -> dict[str, Any]:
    """Medians with quartiles of each service, and the ratios that the README states."""
    figures: dict[str, Any] = {}
    for name, service in services.items():
        warm = sorted(service.reports[-1]["handler_us"])
        figures[name] = {
            "cold_ms": spread(service.cold_ms),
            "warm_p50_us": percentile(warm, 50),
            "warm_p99_us": percentile(warm, 99),
            "rss_mb": statistics.median(report["rss_mb"] for report in service.reports),
        }
    bare = percentile(sorted(services["ours"].reports[-1]["bare_us"]), 50)
    ours, handwritten = figures["ours"], figures["handwritten"]
    figures["bare_run_us"] = bare
    figures["ratios"] = {
        "cold start, ours to handwritten": ours["cold_ms"]["median"] / handwritten["cold_ms"]["median"],
        "warm p50, ours to handwritten": ours["warm_p50_us"] / handwritten["warm_p50_us"],
        "warm p50, ours to bare ort.run": ours["warm_p50_us"] / bare,
        "memory, ours to handwritten": ours["rss_mb"] / handwritten["rss_mb"],
    }
    return figures


def percentile(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def table(figures: dict[str, Any]) -> str:
    lines = ["", "| | cold start, median (quartiles) | warm p50 / p99 | memory |", "|---|---|---|---|"]
    for name in NAMES:
        one = figures[name]
        cold = "{median:.0f} ms ({low:.0f} to {high:.0f})".format(**one["cold_ms"])
        warm = f"{one['warm_p50_us']:.0f} / {one['warm_p99_us']:.0f} µs"
        lines.append(f"| {name} | {cold} | {warm} | {one['rss_mb']:.0f} MB |")
    lines += [f"| ort.run alone | | {figures['bare_run_us']:.1f} µs | |", ""]
    lines += [f"{name}: {ratio:.2f}" for name, ratio in figures["ratios"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
