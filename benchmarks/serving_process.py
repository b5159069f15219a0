"""One fresh process that serves: answers one event, then many, and reports what that took. Standard library only.

`python -I serving_process.py plan.json`, where the plan says which folder to import which handler from.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

Call = Callable[[], object]


class Context:
    aws_request_id = "benchmark"


def main(plan: dict[str, Any]) -> None:
    sys.path[:0] = plan["path"]
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # for as long as the process lives
    for module in plan.get("as_well", []):
        import_module(module)
    handler = import_module(plan["module"]).handler
    answer = handler(plan["event"], Context)
    answered, cpu_ms = time.monotonic(), time.process_time() * 1000
    assert answer["statusCode"] == 200, answer
    report = {"answered": answered, "answer": json.loads(answer["body"]), "rss_mb": resident(), "cpu_ms": cpu_ms}
    sample([], lambda: handler(plan["event"], Context), plan.get("work", 0))
    report["peak_mb"] = peak()
    if plan["rounds"]:
        report |= warm(plan, handler)
        report["rss_after_mb"] = resident()
    Path(plan["report"]).write_text(json.dumps(report))


def warm(plan: dict[str, Any], handler: Callable[[Any, Any], Any]) -> dict[str, Any]:
    """Handler, bare run and a plain loop in turns, so that what disturbs one disturbs the others. Microseconds.

    The first calls of a turn are not counted: they find the other's data in the processor's caches.
    """
    run = bare(plan["onnx"], plan["row"]) if plan.get("onnx") else None
    times: dict[str, list[float]] = {"handler_us": [], "bare_us": [], "loop_us": []}
    loop = loop_as_long_as(lambda: handler(plan["event"], Context)) if run else None
    for _ in range(plan["rounds"]):
        turn(times["handler_us"], lambda: handler(plan["event"], Context), plan)
        if run and loop:
            turn(times["bare_us"], run, plan)
            turn(times["loop_us"], loop, plan)
    return times


def loop_as_long_as(call: Call) -> Call:
    """A loop that does nothing for as long as a call takes: what disturbs it is the machine."""

    def loop(count: int = 1000) -> None:
        for _ in range(count):
            pass

    wanted: list[float] = []
    found: list[float] = []
    sample(wanted, call, 200)
    sample(found, loop, 200)
    count = max(1, round(1000 * sorted(wanted)[100] / sorted(found)[100]))
    return lambda: loop(count)


def turn(times: list[float], call: Call, plan: dict[str, Any]) -> None:
    sample([], call, plan["settling"])
    sample(times, call, plan["calls"])


def sample(times: list[float], call: Call, count: int) -> None:
    for _ in range(count):
        started = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - started) / 1000)


def bare(onnx: str, row: list[float]) -> Call:
    """onnxruntime alone on one row, as fast as it gets: one thread, nothing before and nothing after."""
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    x = np.array([row])
    return lambda: session.run(None, {"x": x})


def resident() -> float:
    """Resident memory in MB (Linux), else the peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return peak()


def peak() -> float:
    """The most memory in MB that was ever resident: of this program alone (Linux), else of whatever started it too."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    except OSError:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
