"""The image of the API: its recipe is carried out here, step by step, and what it makes answers in both its roles."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest

from perennial.deploy.package import uv
from tests.support.models import IRIS_RECORD
from tests.support.whole_work import working_bucket

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra/images/api"
TOOLS = ROOT / ".local/envs/images/bin"
FUNCTION = (
    "import importlib, sys; sys.path.insert(0, sys.argv[1]); print(importlib.import_module(sys.argv[2][:-8]).handler)"
)
"""What Lambda's own entry point does with the name that it is given."""


@dataclass(frozen=True)
class Image:
    """What the last stage of a recipe leaves: its files under ``root``, its variables, how it starts and as whom."""

    root: Path
    env: dict[str, str]
    command: list[str]
    user: str

    def start(self, *, env: dict[str, str], output: Path | None = None) -> subprocess.Popen[bytes]:
        """Start it as a container would, but as our own user and below ``root``, with our Python for its own."""
        inside = {name: placed(value, self.root) for name, value in self.env.items()}
        own = {"PATH": os.defpath, "PYTHON": sys.executable, "PYTHONNOUSERSITE": "1"}
        with (output or Path(os.devnull)).open("wb") as sink:
            return subprocess.Popen(
                [placed(word, self.root) for word in self.command], env=own | inside | env, stdout=sink, stderr=sink,
                cwd="/",
            )  # fmt: skip


def placed(text: str, root: Path) -> str:
    """A path of the image as one of this machine."""
    return re.sub(r"(?<![\w.])/(build|asset|var|opt)\b", rf"{root}/\1", text)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", "", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    for line in joined.splitlines():
        if line.strip():
            name, rest = line.split(maxsplit=1)
            yield name, rest


def carried_out(recipe: Path, folder: Path) -> Image:
    """Do what a recipe says: each stage in a folder of its own, from the context that ``.dockerignore`` leaves."""
    context, stages, root = folder / "context", dict[str, Path](), folder
    let_in(recipe.with_name(recipe.name + ".dockerignore"), context)
    env: dict[str, str] = {}
    words: dict[str, list[str]] = {"ENTRYPOINT": [], "CMD": []}
    user = "root"
    for name, rest in instructions(recipe.read_text()):
        match name:
            case "FROM":
                root, env, user = folder / f"stage-{len(stages)}", {}, "root"
                stages[rest.split(" AS ")[-1]] = root
            case "COPY":
                stage = re.match(r"--from=(\S+) ", rest)
                source, target = rest.split()[-2:]
                origin = Path(placed(source, stages[stage[1]])) if stage else context / source
                place = Path(placed(target, root))
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copytree(origin, place) if origin.is_dir() else shutil.copyfile(origin, place)
            case "RUN":
                made_with = {"PYTHON": sys.executable, "PIP": f"{uv()} pip", "VIRTUAL_ENV": sys.prefix}
                subprocess.run(shlex.split(placed(rest, root)), check=True, env=os.environ | made_with)
            case "ENV":
                env |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            case "ENTRYPOINT" | "CMD":
                words[name] = json.loads(rest)
            case "USER":
                user = rest
            case _:
                assert name in ("ARG", "EXPOSE"), name
    return Image(root, env, [*words["ENTRYPOINT"], *words["CMD"]], user)


def let_in(ignore: Path, context: Path) -> None:
    assert ignore.read_text().splitlines()[0] == "*"
    for line in ignore.read_text().splitlines():
        if line.startswith("!"):
            origin, target = ROOT / line[1:], context / line[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            left = shutil.ignore_patterns("__pycache__")
            shutil.copytree(origin, target, ignore=left) if origin.is_dir() else shutil.copyfile(origin, target)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return carried_out(FOLDER / "Dockerfile", tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with working_bucket(tmp_path_factory.mktemp("aws")) as (_, env):
        yield env


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def server(image: Image, bucket: dict[str, str], tmp_path: Path) -> Iterator[tuple[httpx.Client, Any, Path]]:
    port, log = free_port(), tmp_path / "log"
    process = image.start(env=bucket | {"HOST": "127.0.0.1", "PORT": str(port)}, output=log)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                client.get("/health")
                break
            except httpx.TransportError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
        yield client, process, log
    finally:
        process.kill()
        process.wait()


def test_it_serves_outside_of_lambda(server: tuple[httpx.Client, Any, Path]) -> None:
    client, _, log = server
    assert client.get("/health").json() == {"status": "ok"}
    assert {model["name"] for model in client.get("/ready").json()["models"]} == {"iris", "mixed", "pets", "spoilt"}
    answer = client.post("/models/iris/predict", json=IRIS_RECORD)
    assert answer.status_code == 200 and sum(answer.json()["probabilities"].values()) == pytest.approx(1)
    assert client.post("/models/iris/predict", json={}).headers["content-type"] == "application/problem+json"
    assert "server" not in answer.headers
    client.get("/models/iris?token=hush", headers={"authorization": "Bearer hush"}).raise_for_status()
    told = log.read_text()
    assert '"perennial.prediction"' in told and "/models/{model}" in told and "hush" not in told


def test_it_answers_what_is_under_way_before_it_ends(server: tuple[httpx.Client, Any, Path]) -> None:
    """As a scheduler of containers ends it: no new connection, and no request cut off."""
    client, process, _ = server
    client.post("/models/iris/predict", json=IRIS_RECORD).raise_for_status()
    body = json.dumps({"instances": [IRIS_RECORD] * 1000}).encode()
    taken, answers = threading.Event(), list[httpx.Response]()

    def slowly() -> Iterator[bytes]:
        yield body[:100]
        taken.set()
        time.sleep(1.0)
        yield body[100:]

    def ask() -> None:
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        answers.append(client.post("/models/iris/predict", content=slowly(), headers=headers))

    asking = threading.Thread(target=ask)
    asking.start()
    assert taken.wait(10)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    asking.join(20)
    assert [(one.status_code, len(one.json()["predictions"])) for one in answers] == [(200, 1000)]
    assert process.wait(10) in (0, -signal.SIGTERM)
    with pytest.raises(httpx.ConnectError):
        httpx.get(client.base_url)


HEAD = b"POST /models/iris/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
ENDLESS = {
    "headers": (HEAD, b"x: y\r\n"),
    "one header": (HEAD + b"x: ", b"a"),
    "a path": (b"GET /", b"a"),
    "trailers": (HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"x: y\r\n"),
}


@pytest.mark.parametrize("begun", ENDLESS.values(), ids=ENDLESS.keys())
def test_what_never_ends_is_cut_off(server: tuple[httpx.Client, Any, Path], begun: tuple[bytes, bytes]) -> None:
    client, _, _ = server
    start, more = begun
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), 10) as connection:
        connection.sendall(start)
        sent = 0
        with pytest.raises(ConnectionError):
            while sent < 32 << 20:
                connection.sendall(more * (65_536 // len(more)))
                sent += 65_536
    assert sent < 32 << 20
    assert client.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    "said", [b"BREW / HTTP/1.1\r\n\r\n", HEAD + b"content-length: m4rk\r\n\r\n"], ids=["line", "head"]
)
def test_what_is_no_http_is_told_so_as_any_error_is(server: tuple[httpx.Client, Any, Path], said: bytes) -> None:
    client, _, _ = server
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), 10) as connection:
        connection.sendall(said)
        answer = HTTPResponse(connection)
        answer.begin()
        found = json.loads(answer.read())
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert found["type"] == "urn:perennial:problem:broken-request" and "m4rk" not in json.dumps(found)
    assert found["request_id"] == answer.headers["x-request-id"]


def test_what_comes_in_many_parts_is_read(server: tuple[httpx.Client, Any, Path]) -> None:
    """A long head that ends, and a body in chunks."""
    client, _, _ = server
    body = json.dumps({"instances": [IRIS_RECORD] * 1000}).encode()
    parts = (body[place : place + 1000] for place in range(0, len(body), 1000))
    headers = {"content-type": "application/json", "x-long": "a" * 60_000}
    assert len(client.post("/models/iris/predict", content=parts, headers=headers).json()["predictions"]) == 1000


def test_in_lambda_it_is_the_function(image: Image, tmp_path: Path) -> None:
    entry = tmp_path / "entry"
    entry.write_text(f'#!/bin/sh\nexec {sys.executable} -B -c "{FUNCTION}" "$PERENNIAL_TASK" "$@"\n')
    entry.chmod(0o755)
    told = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001", "LAMBDA_ENTRYPOINT": str(entry), "PERENNIAL_BUCKET": "none"}
    process = image.start(env=told, output=tmp_path / "log")
    assert process.wait(60) == 0, (tmp_path / "log").read_text()
    assert "<function handler" in (tmp_path / "log").read_text()


def test_nobody_is_root_and_the_base_never_moves(image: Image) -> None:
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", image.user)
    base = dict(instructions((FOLDER / "Dockerfile").read_text()))["ARG"]
    assert re.fullmatch(r"BASE=public\.ecr\.aws/lambda/python:3\.13\.\d{4}(\.\d\d){3}@sha256:[0-9a-f]{64}", base)
    assert not list((image.root / "var/task").rglob("tests"))
    assert not {"boto3", "pandas", "sklearn", "pip"} & {path.name for path in (image.root / "var/task").iterdir()}


@pytest.mark.parametrize("recipe", sorted(ROOT.glob("infra/**/Dockerfile")), ids=lambda path: path.parent.name)
def test_recipes_of_images_keep_the_rules(recipe: Path) -> None:
    # Packages of a pinned distribution; a base given by ARG; a user whom the base names.
    allowed = [word for rule in ("DL3041", "DL3006", "DL3066") for word in ("--ignore", rule)]
    result = subprocess.run(
        [str(TOOLS / "hadolint"), *allowed, str(recipe)], capture_output=True, text=True, check=False
    )
    assert result.stdout == "" and result.returncode == 0
