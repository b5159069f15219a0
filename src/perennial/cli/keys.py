"""``keys``: make a key that signs versions, show its public part, sign, and look at what is signed."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perennial.cli.output import Json, show_json, show_table
from perennial.cli.registry import known, versions_of
from perennial.errors import SettingsError
from perennial.registry.registry import Registry
from perennial.registry.registry import models as models_of
from perennial.registry.signing import Signer, sign_version, untrusted
from perennial.settings import VARIABLES, Settings
from perennial.store_opening import open_store

if TYPE_CHECKING:
    from perennial.trust import PublicKey

Key = Annotated[
    str | None, typer.Option("--key", help="A key file, or kms: and an ARN or alias; PERENNIAL_SIGNING_KEY by default.")
]
_NO_KEY = "Name one by --key or PERENNIAL_SIGNING_KEY; `perennial keys new FILE` makes one."

app = typer.Typer(no_args_is_help=True, help="The keys that versions are signed with.")


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="keys")


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="Where the private key goes; a file that does not exist yet.")],
    as_json: Json = False,
) -> None:
    """Make a key of the curve P-256, in a file that only you may read."""
    from perennial.jobs.signers import new_key_file

    _tell(new_key_file(file).public_key(), as_json)


@app.command()
def show(key: Key = None, as_json: Json = False) -> None:
    """Show the public part of a key, as PERENNIAL_TRUSTED_KEYS and the parameter TrustedKeys take it."""
    settings = _settings()
    _tell(_signer(settings, key).public_key(), as_json)


@app.command()
def trusted(as_json: Json = False) -> None:
    """List the keys that are trusted here."""
    trust = _settings().trust
    rows = [{"id": key.id, "key": key.text} for key in trust.keys] if trust else []
    show_table(rows, ("id", "key"), as_json, "Versions need no signature here (PERENNIAL_TRUSTED_KEYS).")


@app.command()
def sign(
    model: Annotated[str | None, typer.Argument(help="Name of the model.")] = None,
    version: Annotated[str | None, typer.Argument(help="The version; you vouch for it.")] = None,
    all_serving: Annotated[
        bool, typer.Option("--all-serving", help="Every version that serves, is on trial, or is one rollback away.")
    ] = False,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Sign a version, so that it may serve where the key is trusted; or, to change keys, all that serve."""
    from perennial.jobs.resigning import Signed, sign_serving

    if all_serving == (model is not None) or (model is None) != (version is None):
        raise SettingsError("Name a model and a version, or give --all-serving.")
    settings = Settings.load()
    store, signer = open_store(settings), _signer(settings, key)
    if model is None or version is None:
        done = sign_serving(store, signer)
    else:
        known(Registry(store), model, version)
        done = (Signed(model, version, "", (sign_version(store, signer, model, version).key_id,)),)
    if as_json:
        show_json([asdict(one) for one in done])
        return
    for one in done:
        typer.echo(f"Signed {one.model} {one.version} with the key {one.keys[0]}{untrusted(store, one.keys[0])}.")
    if not done:
        typer.echo("Nothing serves yet.")


@app.command(name="list")
def list_signatures(
    model: Annotated[str | None, typer.Argument(help="Name of the model; all by default.")] = None,
    as_json: Json = False,
) -> None:
    """List all versions with the trusted keys that signed them: what has none cannot be promoted here."""
    from perennial.jobs.resigning import signatures

    store = open_store(Settings.load())
    if model is not None:
        versions_of(Registry(store), model)
    found = [one for name in ([model] if model else models_of(store)) for one in signatures(store, name)]
    if as_json:
        show_json([asdict(one) for one in found])
        return
    rows = [asdict(one) | {"signed by": ", ".join(one.keys) or "-"} for one in found]
    show_table(rows, ("model", "version", "serves", "signed by"), as_json, "No versions.")


def _settings() -> Settings:
    """A key can be looked at where there is no bucket yet."""
    try:
        return Settings.load()
    except SettingsError:
        return Settings.load(os.environ | {VARIABLES["bucket"]: "none"})


def _signer(settings: Settings, key: str | None) -> Signer:
    """Raises SettingsError where neither names a key."""
    from perennial.jobs.signers import open_signer

    signer = open_signer(settings if key is None else settings.model_copy(update={"signing_key": key}))
    if signer is None:
        raise SettingsError("No key is named to sign with.", remedy=_NO_KEY)
    return signer


def _tell(key: PublicKey, as_json: bool) -> None:
    if as_json:
        show_json({"id": key.id, "key": key.text})
        return
    typer.echo(f"id   {key.id}")
    typer.echo(f"key  {key.text}")
