"""Opening a bucket: where credentials come from, and that nothing heavy is imported for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from perennial.errors import SettingsError
from perennial.settings import Settings
from perennial.store_opening import open_store

SETTINGS = Settings(bucket="models")
HEAVY = ("numpy", "pandas", "sklearn", "scipy", "pyarrow", "boto3", "botocore", "yaml", "pickle", "joblib", "rich",
         "onnxruntime", "asyncio")  # fmt: skip


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
                 "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                 "AWS_WEB_IDENTITY_TOKEN_FILE"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    empty = tmp_path_factory.mktemp("aws") / "none"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(empty))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(empty))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_without_credentials_it_says_what_to_set(no_credentials: None) -> None:
    with pytest.raises(SettingsError, match=r"There are no AWS credentials.*AWS_PROFILE"):
        open_store(SETTINGS)


def test_an_unknown_profile_is_named(no_credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SettingsError, match="nobody"):
        open_store(SETTINGS)


@pytest.mark.parametrize("module", ["registry", "check", "gate"])
def test_the_registry_imports_nothing_heavy(module: str) -> None:
    """With credentials in the environment, as in a Lambda, opening the bucket needs no boto3 either."""
    program = (
        f"import sys, perennial.registry.{module}\n"
        "from perennial.settings import Settings\n"
        "from perennial.store_opening import open_store\n"
        "open_store(Settings(bucket='models'))\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    environment = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
