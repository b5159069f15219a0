"""Pictures: features of 1,000 of them by a backbone, and one from upload to answer through the packaged Lambda.

`python -m benchmarks.images` trains a linear head over MobileNetV2 0.35 at 224 pixels, puts it into a local S3, and
asks the API's handler in fresh processes, imported from its package as Lambda would: for a model that looks at the
whole picture, and for one that looks at it in seven views. The answer includes what a request
pays: base64, decoding, measuring, resizing, the network, capture. It wants the backbone of the real data sets
(`PERENNIAL_DATA`, or `--backbone FILE`) and says so where it is not there.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.images_world import BUCKET, NAME, WAYS, World, backbone_file, photograph, prepare, spec_of, stored
from benchmarks.measuring import local_s3, spread
from benchmarks.serving_start import event_of, percentile, run_process
from perennial.export.backbones import backbone_extractor
from perennial.export.extractors.tiles import tiled
from perennial.spec import Frame
from perennial.store import Store
from perennial.training.pictures import extracted

UPLOADS = {"224 x 224": (224, 224), "640 x 480": (640, 480), "1,024 x 768": (1024, 768)}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.add_argument("--backbone", type=Path, default=backbone_file(), help="MobileNetV2 0.35's features, as ONNX")
    parser.add_argument("--pictures", type=int, default=1000, help="pictures to embed")
    parser.add_argument("--runs", type=int, default=5, help="fresh processes for each size of upload")
    parser.add_argument("--calls", type=int, default=300, help="warm calls for each size of upload")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args(arguments)
    if options.backbone is None:
        print("pictures: passed over, there is no backbone; name it by --backbone or PERENNIAL_DATA", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as folder, local_s3() as endpoint:
        world = prepare(Path(folder), endpoint, options.backbone)
        figures: dict[str, Any] = {"embedding": {way: embed(world.store, options.pictures, way) for way in WAYS}}
        figures["uploads"] = {
            f"{name}, {way}": upload(world, Path(folder), endpoint, way, size, options.runs, options.calls)
            for name, size in UPLOADS.items()
            for way in WAYS
        }
        figures["package_mb"] = world.package.megabytes
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def embed(store: Store, count: int, way: str) -> dict[str, float]:
    """Seconds from bytes in the bucket to features of all, as a candidate is trained from them."""
    extractor = backbone_extractor(store, NAME, Frame())
    extractor = tiled(extractor) if WAYS[way] else extractor
    pictures = stored(store, count)
    started, processor = time.perf_counter(), time.process_time()
    found = sum(1 for _ in extracted(extractor, pictures.framed(extractor.frame)))
    assert found == count
    return {"pictures": count, "seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - processor}


def upload(
    world: World, folder: Path, endpoint: str, way: str, size: tuple[int, int], runs: int, calls: int
) -> dict[str, Any]:
    """One photograph of a size through the handler: fresh processes, the last of which also runs warm."""
    picture = photograph(1_000_000, "warm", size)
    plan = {
        "path": [str(world.package.folder)], "module": "lambdas.api.handler", "event": event_with(picture, way),
        "calls": 20, "settling": 0, "report": str(folder / "report.json"),
    }  # fmt: skip
    cold: list[float] = []
    report: dict[str, Any] = {}
    for run in range(-1, runs):
        rounds = max(1, calls // 20) if run == runs - 1 else 0
        milliseconds, report = run_process(plan | {"rounds": rounds}, folder, endpoint, BUCKET)
        if run >= 0:
            cold.append(milliseconds)
    warm = report["handler_us"]
    return {
        "bytes": len(picture), "cold_ms": spread(cold), "warm_p50_ms": percentile(warm, 50) / 1000,
        "warm_p99_ms": percentile(warm, 99) / 1000, "first_rss_mb": report["rss_mb"],
        "rss_mb": report["rss_after_mb"],
    }  # fmt: skip


def event_with(picture: bytes, way: str) -> dict[str, Any]:
    """A picture as an HTTP API hands it to a function: its bytes in base64."""
    event = event_of(f"/models/{spec_of(way).name}/predict")
    event["headers"]["content-type"] = "image/jpeg"
    return event | {"isBase64Encoded": True, "body": base64.b64encode(picture).decode()}


def table(figures: dict[str, Any]) -> str:
    lines = [""]
    for way, made in figures["embedding"].items():
        lines.append(
            f"{made['pictures']:,} pictures of 640 x 480 from bytes in the bucket to features, {way}: "
            f"{made['seconds']:.1f} s ({made['cpu_seconds']:.1f} s of processor)"
        )
    lines += [
        f"package of the API: {figures['package_mb']:.1f} MB", "",
        "| upload | cold start, median (quartiles) | warm p50 / p99 | memory, first and at the end |",
        "|---|---|---|---|",
    ]  # fmt: skip
    for name, one in figures["uploads"].items():
        cold = "{median:.0f} ms ({low:.0f} to {high:.0f})".format(**one["cold_ms"])
        warm = f"{one['warm_p50_ms']:.1f} / {one['warm_p99_ms']:.1f} ms"
        memory = f"{one['first_rss_mb']:.0f} and {one['rss_mb']:.0f} MB"
        lines.append(f"| {name}, {one['bytes'] / 1000:.0f} kB | {cold} | {warm} | {memory} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
