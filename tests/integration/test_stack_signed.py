"""Signed versions on the embedded AWS: the API runs what the deployment trusts, and only that."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from perennial import keys
from perennial.deploy.up import LocalStack
from perennial.errors import PromotionRefused, SignatureRefused
from perennial.registry.log import CHAMPION
from perennial.registry.manifest import MODEL_FILE
from perennial.registry.registry import Registry
from perennial.registry.signing import sign_version
from perennial.serving.load import load
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store
from tests.support.models import IRIS_RECORD, NOW, Built, build, make_spec, promote
from tests.support.signing import signed, signer, trusting


def ready(stack: LocalStack, model: str) -> dict[str, Any]:
    models = httpx.get(f"{stack.api_url}/ready", timeout=60).json()["models"]
    return next(one for one in models if one["name"] == model)


def ask(stack: LocalStack, model: str) -> httpx.Response:
    return httpx.post(f"{stack.api_url}/models/{model}/predict", json=IRIS_RECORD, timeout=60)


def forced(stack: LocalStack, built: Built, op_id: str) -> str:
    """Make a version champion as whoever can write to the bucket would: published and promoted, without a signature."""
    careless = open_store(Settings.load(stack.environment() | {"PERENNIAL_TRUSTED_KEYS": "unsigned"}))
    registry = Registry(careless)
    version = registry.publish(built.manifest, {MODEL_FILE: built.onnx})
    registry.promote(built.manifest.model, version, op_id=op_id, actor="mallory", reason="", now=NOW)
    return version


def test_the_api_runs_no_version_without_a_trusted_signature(stack: LocalStack, store: Store) -> None:
    model = "unsigned-iris"
    version = forced(stack, build(make_spec(model)), "first")

    answer = ask(stack, model)
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:perennial:problem:model-unverifiable"
    assert ready(stack, model)["failure"]["reason"] == "signature"
    with pytest.raises(SignatureRefused, match=f"keys sign {model} {version}"):
        load(store, model, version)

    signed(store, model, version)
    assert ask(stack, model).json()["model"]["version"] == version


def test_a_warm_api_stays_with_the_last_version_that_was_signed(stack: LocalStack, store: Store) -> None:
    model = "stays-iris"
    good = promote(store, build(make_spec(model)))
    assert ask(stack, model).json()["model"]["version"] == good.version

    forced(stack, build(make_spec(model), seed=1), "second")
    assert ask(stack, model).json()["model"]["version"] == good.version
    told = ready(stack, model)
    assert (told["status"], told["version"], told["failure"]["reason"]) == ("stale", good.version, "signature")


def test_a_key_that_is_trusted_no_more_moves_no_alias(stack: LocalStack, store: Store) -> None:
    model, old = "rolled-iris", signer("removed")
    settings = Settings.load(stack.environment())
    both = trusting(old, signer("kept"))
    then = open_store(settings.model_copy(update={"trusted_keys": both.text}))
    versions = []
    for seed in (0, 1):
        built = build(make_spec(model), seed=seed)
        versions.append(Registry(then).publish(built.manifest, {MODEL_FILE: built.onnx}))
        sign_version(then, old if seed == 0 else signer("kept"), model, versions[-1])
        Registry(then).promote(model, versions[-1], op_id=f"p{seed}", actor="a", reason="", now=NOW)
    now = open_store(settings.model_copy(update={"trusted_keys": replace(both, keys=both.keys[1:]).text}))
    alias = now.get(keys.alias(model, CHAMPION)).data

    with pytest.raises(PromotionRefused, match=f"perennial keys sign {model} {versions[0]}"):
        Registry(now).rollback(model, op_id="back", actor="a", reason="", now=NOW)

    assert now.get(keys.alias(model, CHAMPION)).data == alias
    assert json.loads(alias)["version"] == versions[1]
