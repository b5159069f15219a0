"""HTML reports by the real Evidently, in its own environment: they say what the findings say, and bother nobody."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from perennial import keys
from perennial.jobs.watch import monitor_quality, run_pass
from perennial.monitoring.evidently_report import refuse_network
from perennial.monitoring.reach import within_reach
from perennial.monitoring.rendering import MOST_ROWS, Sheet, interpreter, render
from perennial.settings import Settings
from perennial.store import memory_store
from tests.support.captures import capture, line
from tests.support.watched import NOW, open_shop, shop_spec, stored

KINDS = ("drift.html", "performance.html", "quality.html")


def sheet(**changes: Any) -> Sheet:
    rows = 60
    days = [datetime(2026, 11, 1) + timedelta(hours=i) for i in range(rows)]
    table = pa.table({"size": np.arange(rows) / 7, "colour": ["red", "blue"] * (rows // 2), "day": days})
    said: dict[str, Any] = {
        "kind": "quality", "current": table, "reference": table, "numbers": ["size"], "categories": ["colour"],
        "dates": ["day"],
    }  # fmt: skip
    return Sheet(**{**said, **changes})


def by_name(files: dict[str, bytes]) -> dict[str, bytes]:
    return {key.rsplit("/", 1)[-1]: data for key, data in files.items()}


def test_a_pass_shows_its_findings_and_publishes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = memory_store()
    monkeypatch.setattr("perennial.jobs.page.publishing.open_store", lambda settings: site)
    settings = Settings(bucket="data-bucket", site_bucket="site-bucket")
    shop = open_shop(memory_store(), tmp_path, shop_spec("monitor: {keep_reports: 1}\n"))
    shop.tell(shop.serve(150, price=lambda draw: draw.uniform(40, 100)))
    earlier = run_pass(shop.workspace("earlier", settings=settings), html=False)
    assert site.folders(keys.page_reports("shop")) == (earlier.run,)

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    report = run_pass(shop.workspace(settings=settings), at=earlier.until + timedelta(seconds=1))
    assert shop.lines == []
    assert report.html == KINDS
    files = by_name(stored(shop.store, keys.monitor_file("shop", report.run, "")))
    page = by_name(stored(site, keys.page_reports("shop")))
    assert page == {name: files[name] for name in (*KINDS, "monitor.json")}
    assert site.folders(keys.page_reports("shop")) == (report.run,)  # the earlier one's are gone
    drift = page["drift.html"].decode()
    assert re.search(r"Dataset Drift is detected. Dataset drift detection threshold is 0.3\b", drift)
    assert "Drift is detected for 50.0% of columns (1 out of 2)" in drift
    assert "price" in drift and "distance from training" in drift
    for html in (page[name] for name in KINDS):
        assert not re.search(rb'<(script|link|img)[^>]+(src|href)="?https?:', html)  # it needs nothing else
    assert not (tmp_path / "home").exists()  # nothing was noted for any telemetry

    monkeypatch.setenv("PERENNIAL_MONITOR_PYTHON", "/nowhere")
    assert monitor_quality(shop.workspace()).html == ("quality.html",)  # what is there is not made again


def test_one_value_out_of_all_proportion_costs_no_report(tmp_path: Path) -> None:
    """And the truth is called as in the spec."""
    shop = open_shop(memory_store(), tmp_path, shop_spec())
    shop.tell(asked := shop.serve(150))
    record = {**asked[0].record, "price": 1e308}
    version, chances = asked[0].version, asked[0].probabilities
    far = line("shop", NOW - timedelta(hours=5), 999, record, "no", probabilities=chances, version=version)
    capture(shop.store, [far])
    report = run_pass(shop.workspace())
    assert report.html == KINDS
    assert sorted(shop.lines) == [
        f"1 values of price lie so far out that the {kind} report draws them nearer" for kind in ("drift", "quality")
    ]
    html = shop.store.get(keys.monitor_file("shop", report.run, "performance.html")).data.decode()
    assert "bought" in html and "truth" not in html


@pytest.mark.parametrize("far", [1e308, -1.7e308, 1e12])
@pytest.mark.parametrize("compared", [True, False])
def test_numbers_are_drawn_within_reach_and_nothing_else_is_touched(far: float, compared: bool) -> None:
    values = pa.array([*np.arange(500.0), None, far])
    plain = pa.table({"size": values.slice(0, 501)})
    found, notes = within_reach(
        sheet(current=pa.table({"size": values}), reference=plain if compared else None, numbers=["size"])
    )
    assert len(notes) == 1 and notes[0].startswith("1 values of size lie so far out")
    drawn = found.current.column("size").to_pylist()
    assert drawn[:501] == plain.column("size").to_pylist()
    assert 0 < drawn[501] * np.sign(far) < 1e6
    assert found.reference is None or found.reference.equals(plain)
    same, none = within_reach(sheet(current=plain, reference=None, numbers=["size"]))
    assert same.current.equals(plain) and not none


def performance(truth: Any, answer: Any, task: str, kind: str) -> Sheet:
    return sheet(
        kind="performance",
        current=pa.table({"truth": truth, "answer": answer}),
        reference=None,
        dates=[],
        **{"numbers": [], "categories": [], kind: ["truth", "answer"]},
        more={"task": task, "target": "truth", "prediction": "answer", "classes": [], "chances": []},
    )


def test_odd_columns_can_be_drawn_and_so_can_many_classes() -> None:
    rows, draw = 80, np.random.default_rng(0)
    numbers = {
        "always missing": pa.array([None] * rows, pa.float64()),
        "constant": np.ones(rows),
        "<b>name & such": draw.normal(size=rows),
    }
    odd = pa.table({**numbers, "no word": pa.array([None] * rows, pa.string())})
    quality = sheet(current=odd, reference=odd, numbers=list(numbers), categories=["no word"], dates=[])
    truth = draw.choice(["a", "b", "c"], rows)
    made = render(interpreter(), [quality, performance(truth, truth[::-1], "multiclass", "categories")])
    assert (set(made.html), made.problems) == ({"quality", "performance"}, ())


def test_a_report_that_fails_does_not_take_the_others_with_it_and_rows_are_bounded() -> None:
    draw = np.random.default_rng(0)
    many = pa.table({"size": np.arange(3.0 * MOST_ROWS)})
    quality = sheet(current=many, reference=None, numbers=["size"], categories=[], dates=[])
    broken = sheet(kind="drift", more={"moved": {"nothing": [0.5, True]}, "threshold": 0.1, "share": 0.3})
    value = draw.normal(size=80)
    made = render(
        interpreter(), [broken, quality, performance(value, value + draw.normal(size=80), "regression", "numbers")]
    )
    assert set(made.html) == {"quality", "performance"}
    assert made.problems and made.problems[0].startswith("drift: ")
    shown = made.html["quality"].decode()
    assert f'"{MOST_ROWS}"' in shown or f">{MOST_ROWS}<" in shown


def test_time_is_bounded_and_no_process_is_left() -> None:
    made = render(interpreter(), [sheet()], seconds=0.3)
    assert (dict(made.html), made.problems) == ({}, ("they took longer than 0.3 seconds",))
    assert not _rendering_of(os.getpid())


def test_without_an_environment_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "PERENNIAL_MONITOR_PYTHON" in render(None, [sheet()]).problems[0]
    assert interpreter({"PERENNIAL_MONITOR_PYTHON": "/some/python"}) == Path("/some/python")


def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    script = tmp_path / "caller.py"
    script.write_text(
        "import sys; sys.path.insert(0, '.')\n"
        "from perennial.monitoring.rendering import interpreter, render\n"
        "from tests.integration.test_monitoring_html import sheet\n"
        "render(interpreter(), [sheet()])\n"
    )
    with subprocess.Popen([sys.executable, str(script)]) as caller:
        child = _await(lambda: _rendering_of(caller.pid))
        caller.send_signal(signal.SIGKILL)
    assert _await(lambda: not Path(f"/proc/{child[0]}").exists() or _is_dead(child[0]))


def test_no_library_in_it_reaches_a_network() -> None:
    for event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with pytest.raises(OSError, match="no network"):
            refuse_network(event, ())
    refuse_network("open", ())


def _rendering_of(process: int) -> list[int]:
    """Children of a process that render."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in task.read_text().split():
            line = Path(f"/proc/{child}/cmdline")
            if line.exists() and b"evidently_report.py" in line.read_bytes():
                found.append(int(child))
    return found


def _is_dead(process: int) -> bool:
    return ") Z " in Path(f"/proc/{process}/stat").read_text()


def _await(found: Any, seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")
