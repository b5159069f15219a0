"""A model of pictures, twice round: class folders, Airflow, an upload by HTTP, new pictures, a better version."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from perennial import keys
from perennial.deploy.scheduler import environment, run_dag
from perennial.deploy.up import LocalStack
from perennial.jobs.results import OutcomeResult
from perennial.registry.check import check
from perennial.registry.manifest import ModelManifest
from perennial.registry.registry import Registry
from perennial.store import Store
from tests.support.pictures import digit_folders
from tests.support.warm import shared_warm

pytestmark = pytest.mark.timeout(600)  # two trainings, each task of which is a process

MODEL = "pen-digits"
SPEC = """
name: pen-digits
task: multiclass
input: image
target: {column: digit, classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]}
image: {size: 8, color: grey}
candidates:
  pixels: {features: pixels, estimator: sklearn.tree.DecisionTreeClassifier}
  hog: {features: hog, size: 16, estimator: sklearn.tree.DecisionTreeClassifier}
holdout: {fraction: 0.5}
metric: accuracy
gate: {minimum: {accuracy: 0.4}}
retrain: {schedule: null, new_rows: 100}
"""
NINTH = 9
"""Of the pictures every ninth lands first: enough to pass the gate, and far too few for a good model."""
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "model.yaml"
    path.write_text(SPEC)
    return path


def train(stack: LocalStack, home: Path, spec: Path, store: Store) -> OutcomeResult:
    """Airflow's DAG of this model, to its end."""
    told: list[str] = []
    env = environment(stack, str(spec), home) | {"PERENNIAL_PYTHON": str(shared_warm().python)}
    run_dag(f"train_{MODEL}", env, told.append, None)
    tasks = [line.strip() for line in told if not line.startswith("    ")]  # without what the steps say
    assert tasks[-2:] == ["conclude", "release"], told
    assert {"train [0]", "train [1]", "gate", "promote", "smoke"} <= set(tasks)
    outcomes = [store.get(entry.key).data for entry in store.list(keys.outcomes(MODEL))]
    return max(map(OutcomeResult.model_validate_json, outcomes), key=lambda outcome: outcome.generation or 0)


def test_pictures_land_serve_and_are_learnt_from_again(
    perennial: Run, stack: LocalStack, store: Store, spec: Path, airflow_home: Path, tmp_path: Path
) -> None:
    first, more = divided(tmp_path)
    (landed,) = perennial("land", spec, first)
    assert landed["pictures"] == len(list(first.rglob("*.png"))) and not landed["failures"]
    outcome = train(stack, airflow_home, spec, store)
    assert outcome.promoted and outcome.generation == 1

    unseen = sorted(more.rglob("*.png"))[::60]
    answers = [upload(stack, path) for path in unseen]
    assert {answer["model"]["version"] for answer in answers} == {outcome.version}
    picture = unseen[0]
    local = perennial("predict", MODEL, picture)
    assert local["probabilities"] == pytest.approx(answers[0]["probabilities"], abs=1e-6)
    same_answer_however_it_is_sent(stack, picture, answers[0])
    for answer, path in zip(answers, unseen, strict=True):
        tell(stack, answer, truth=path.parent.name)

    (landed,) = perennial("land", spec, more)
    assert landed["known"] == 0 and landed["pictures"] == len(list(more.rglob("*.png")))
    second = train(stack, airflow_home, spec, store)
    assert second.promoted and second.generation == 2
    assert second.metrics["accuracy"] > outcome.metrics["accuracy"] + 0.05
    assert upload(stack, picture)["model"] == {**answers[0]["model"], **named(store, second)}
    assert check(store, MODEL) == ()
    kept_and_shown(stack, store, second, picture)


def divided(folder: Path) -> tuple[Path, Path]:
    """scikit-learn's digits in class folders: those that land first, and the others."""
    more = digit_folders(folder / "more")
    for path in sorted(more.rglob("*.png"))[::NINTH]:
        target = folder / "first" / path.relative_to(more)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    return folder / "first", more


def upload(stack: LocalStack, path: Path) -> dict[str, Any]:
    """Send a picture as a browser's form does."""
    with path.open("rb") as file:
        form = {"image": (path.name, file, "image/png")}
        answer = httpx.post(f"{stack.api_url}/models/{MODEL}/predict", files=form, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def same_answer_however_it_is_sent(stack: LocalStack, path: Path, expected: dict[str, Any]) -> None:
    url, data = f"{stack.api_url}/models/{MODEL}/predict", path.read_bytes()
    raw = httpx.post(f"{url}?explain=1", content=data, headers={"Content-Type": "image/png"}, timeout=30).json()
    coded = httpx.post(url, json={"image": base64.b64encode(data).decode()}, timeout=30).json()
    assert raw["probabilities"] == coded["probabilities"] == expected["probabilities"]
    assert raw["explanation"]["class"] == expected["prediction"]
    refused = httpx.post(url, content=b"<svg/>", headers={"Content-Type": "image/png"}, timeout=30)
    assert refused.status_code == 415 and refused.headers["Content-Type"].startswith("application/problem+json")


def tell(stack: LocalStack, answer: dict[str, Any], *, truth: str) -> None:
    body = {key: answer[key] for key in ("prediction_id", "feedback_token")} | {"ground_truth": truth}
    stored = httpx.post(f"{stack.api_url}/models/{MODEL}/feedback", json=body, timeout=30)
    assert stored.status_code == 202, stored.text


def named(store: Store, outcome: OutcomeResult) -> dict[str, Any]:
    """What the API says of a version that an outcome does."""
    digest = manifest_of(store, outcome).files["model.onnx"].digest
    return {"version": outcome.version, "dataset": outcome.dataset, "digest": digest}


def manifest_of(store: Store, outcome: OutcomeResult) -> ModelManifest:
    assert outcome.version is not None
    return Registry(store).manifest(MODEL, outcome.version)


def kept_and_shown(stack: LocalStack, store: Store, outcome: OutcomeResult, picture: Path) -> None:
    """The card has its sheet, what was asked about is stored, and the page that anyone can open shows none of it."""
    manifest, registry = manifest_of(store, outcome), Registry(store)
    assert b"data:image/jpeg;base64," in registry.file(manifest, "card.html")
    assert Image.open(io.BytesIO(registry.file(manifest, "mistakes.jpg"))).format == "JPEG"
    digest = hashlib.sha256(picture.read_bytes()).hexdigest()
    assert store.get(keys.image(MODEL, digest)).data == picture.read_bytes()
    site = stack.site_url.rpartition("/")[0]
    page = httpx.get(f"{site}/{keys.page_data(MODEL, 'model.json')}", timeout=30).json()
    shown = {version["version"]: version["files"] for version in page["versions"]}
    assert "confusion.svg" in shown[manifest.version]
    assert not {"card.html", "mistakes.jpg"} & set(shown[manifest.version])
