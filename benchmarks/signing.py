"""What signed versions and the walk through graphs cost a server: side by side, in one run.

`python -m benchmarks.signing` starts the packaged API in fresh processes, in turns without trusted keys and with one,
on one signed version in one local S3; imports and uses each library that could check a signature in fresh processes;
and walks a graph of 45 MB like a network's and one of 2 MB like a forest's. Prints tables, with `--json FILE` all.
"""

from __future__ import annotations

import argparse
import base64
import compileall
import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from onnx import helper, numpy_helper

from benchmarks import mixed
from benchmarks.measuring import local_s3, spread
from benchmarks.mixed_models import BUCKET, ROWS, publish
from benchmarks.mixed_spec import MODEL, make_spec
from benchmarks.serving_start import event_of, run_process
from benchmarks.serving_world import ROOT, sign_champion
from perennial.deploy.package import build_package
from perennial.deploy.recipes import API
from perennial.jobs.signers import FileSigner
from perennial.serving.onnx_walk import check_graph
from perennial.settings import VARIABLES, Settings
from perennial.store_opening import open_store

WAYS = ("unchecked", "checked")
PARTS = ("wall", "processor")
SAID = b"x" * 163
PROLOGUE = """
import base64, hashlib, json, sys, time, typing
import numpy, obstore, pydantic, fastapi
sys.path.insert(0, "src")
from perennial.registry.signing import is_signature, load_verifier
from perennial.trust import PublicKey
point, der, said = (base64.b64decode(one) for one in sys.argv[1:])
began = time.process_time()
"""
EPILOGUE = """
loaded = time.process_time()
assert check()
first = time.process_time()
assert check()
print(json.dumps([(loaded - began) * 1e3, (first - loaded) * 1e3, (time.process_time() - first) * 1e3]))
"""
VERIFIERS = {
    "ecdsa": """
load_verifier()
key = PublicKey(int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big"))
def check(): return is_signature(key, said, der)
""",
    "ecdsa, as its manual says": """
from ecdsa import NIST256p, VerifyingKey
from ecdsa.util import sigdecode_der
def check(): return VerifyingKey.from_string(point, NIST256p).verify(der, said, hashlib.sha256, sigdecode_der)
""",
    "cryptography": """
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
def check():
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point).verify(der, said, ec.ECDSA(SHA256()))
    return True
""",
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.signing", description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="fresh processes of each kind")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args(arguments)
    signer = FileSigner(generate_private_key(SECP256R1()))
    with tempfile.TemporaryDirectory() as folder, local_s3() as endpoint:
        figures: dict[str, Any] = {
            "cold": cold_starts(Path(folder), endpoint, signer, options.runs),
            "verifier_ms": verifiers(signer, options.runs),
            "walk_ms": walks(options.runs),
        }
    cold = figures["cold"]
    figures["ratios"] = {part: cold["checked"][part]["median"] / cold["unchecked"][part]["median"] for part in PARTS}
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def cold_starts(folder: Path, endpoint: str, signer: FileSigner, runs: int) -> dict[str, Any]:
    """From the start of a process to its first answer, with and without trusted keys, in turns: by the clock of the
    wall, and of the processor, which counts nothing that others did meanwhile.
    """
    trusted = prepare(endpoint, signer)
    package = build_package(API, "local", ROOT / "build/benchmark", python=Path(sys.executable))
    plan = {
        "calls": 100, "rounds": 0, "report": str(folder / "report.json"), "path": [str(package.folder)],
        "module": "lambdas.api.handler", "event": event_of(f"/models/{MODEL}/predict"),
    }  # fmt: skip
    more = {"unchecked": {}, "checked": {VARIABLES["trusted_keys"]: trusted}}
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for run in range(-1, runs):
        for way in WAYS:
            milliseconds, report = run_process(plan, folder, endpoint, BUCKET, more[way])
            times[way] += [(milliseconds, report["cpu_ms"])] if run >= 0 else []
    return {way: {part: spread([one[at] for one in times[way]]) for at, part in enumerate(PARTS)} for way in WAYS}


def prepare(endpoint: str, signer: FileSigner) -> str:
    """A signed champion in a new bucket; returns the keys that are to be trusted."""
    boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    ).create_bucket(Bucket=BUCKET)
    store = open_store(Settings(bucket=BUCKET, aws_endpoint_url=endpoint))
    publish(store, make_spec(), *mixed.records(ROWS))
    return sign_champion(store, signer)


def verifiers(signer: FileSigner, runs: int) -> dict[str, Any]:
    """Import, first check and another one, in processes that have loaded what a server has; time of the processor."""
    for name in ("ecdsa", "six", "cryptography"):
        found = find_spec(name)
        assert found is not None and found.origin is not None
        origin = Path(found.origin)
        if origin.name == "__init__.py":
            compileall.compile_dir(origin.parent, quiet=2)
        else:
            compileall.compile_file(origin, quiet=2)
    key = signer.public_key()
    point = b"\x04" + key.x.to_bytes(32, "big") + key.y.to_bytes(32, "big")
    given = [base64.b64encode(part).decode() for part in (point, signer.sign(SAID), SAID)]
    times: dict[str, list[list[float]]] = {name: [] for name in VERIFIERS}
    for run in range(-1, runs):
        for name, code in VERIFIERS.items():
            command = [sys.executable, "-c", PROLOGUE + code + EPILOGUE, *given]
            said = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, timeout=60).stdout
            times[name] += [json.loads(said)] if run >= 0 else []
    parts = ("import", "first", "next")
    return {
        name: {part: spread([one[at] for one in times[name]]) for at, part in enumerate(parts)} for name in VERIFIERS
    }


def walks(runs: int) -> dict[str, Any]:
    """Milliseconds of the processor to walk the bytes of graphs of two kinds."""
    tensors = [numpy_helper.from_array(np.zeros(90_000, np.float32), f"w{place}") for place in range(124)]
    nodes = [helper.make_node("Relu", ["x"], [f"y{place}"]) for place in range(200)]
    leaves = 110_000
    forest = helper.make_node(
        "TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", nodes_featureids=[7] * leaves,
        nodes_truenodeids=list(range(leaves)), nodes_falsenodeids=list(range(leaves)), leaf_targetids=[0] * leaves,
        nodes_splits=numpy_helper.from_array(np.zeros(leaves, np.float64), "s"),
    )  # fmt: skip
    network = helper.make_graph(nodes, "g", [], [], tensors)
    graphs = {"a network": network, "a forest": helper.make_graph([forest], "g", [], [])}
    figures = {}
    for name, graph in graphs.items():
        data = helper.make_model(graph).SerializeToString()
        figures[name] = {"megabytes": len(data) / 1e6, "ms": spread([walk(data) for _ in range(runs)])}
    return figures


def walk(data: bytes) -> float:
    began = time.process_time()
    check_graph(data)
    return (time.process_time() - began) * 1e3


def table(figures: dict[str, Any]) -> str:
    lines = ["", "| cold start, medians (quartiles) | wall | processor |", "|---|---|---|"]
    for way in WAYS:
        told = ["{median:.0f} ms ({low:.0f} to {high:.0f})".format(**figures["cold"][way][part]) for part in PARTS]
        lines.append(f"| {way} | {' | '.join(told)} |")
    lines += ["checked to unchecked: " + ", ".join(f"{figures['ratios'][part]:.3f} ({part})" for part in PARTS), ""]
    lines += ["| verifier, medians | import | first check | each next |", "|---|---|---|---|"]
    for name, one in figures["verifier_ms"].items():
        lines.append(f"| {name} | " + " | ".join(f"{one[part]['median']:.1f} ms" for part in one) + " |")
    lines += ["", "| walk through | size | median |", "|---|---|---|"]
    for name, one in figures["walk_ms"].items():
        lines.append(f"| {name} | {one['megabytes']:.1f} MB | {one['ms']['median']:.1f} ms |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
