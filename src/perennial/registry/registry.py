"""Publish, promote, roll back: the state of a model is what its log says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from perennial import keys
from perennial.errors import AlreadyExistsError, ConflictError, IntegrityError, PromotionRefused
from perennial.registry.commit import commit, refuse_damaged
from perennial.registry.log import CHAMPION, LogEntry, ModelLog, next_entry
from perennial.registry.manifest import MODEL_FILE, ModelManifest, is_model_name, model_name
from perennial.registry.verify import look_up, matches, read_file
from perennial.store import Store

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
ANYONE = "*"  # no version is called so


def models(store: Store) -> list[str]:
    """Names of all models that have a published version, sorted."""
    names = (name for name in store.folders() if is_model_name(name))
    return [name for name in names if Registry(store).has(name)]


class Registry:
    """Versions, log and champion of every model in one bucket.

    Any process may die at any instruction: repeating an operation with the same ``op_id`` finishes it, or
    finds it done, and never does it twice. Every method raises StoreUnavailable when S3 does not answer,
    IntegrityError when what is stored was tampered with, and NotFoundError for a name that is none.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def publish(self, manifest: ModelManifest, files: Mapping[str, bytes]) -> str:
        """Store a version: files first, manifest last. Returns its version; publishing it again changes nothing.

        Raises:
            IntegrityError: ``files`` are not those the manifest names, or an object of that digest holds other bytes.
        """
        _check_files(manifest, files)
        try:
            for name, data in files.items():
                self.store.put_new(keys.registry_blob(manifest.model, manifest.files[name].digest), data)
            self.store.put_new(keys.version_manifest(manifest.model, manifest.version), manifest.to_bytes())
        except AlreadyExistsError as error:
            raise IntegrityError(
                f"Version {manifest.version} of {manifest.model} cannot be stored: {error.message}",
                remedy="That object was tampered with; remove it.",
            ) from error
        return manifest.version

    def manifest(self, model: str, version: str) -> ModelManifest:
        """What a version says of itself, matched with its name; what is run is signed too. Raises NotFoundError."""
        return look_up(self.store, model, version)

    def file(self, manifest: ModelManifest, name: str) -> bytes:
        """One verified file of a version. Raises NotFoundError."""
        return read_file(self.store, manifest, name)

    def has(self, model: str, version: str | None = None) -> bool:
        """Whether a version is published, or any at all, which a champion says: nothing is listed for that."""
        if version is not None:
            return self.store.exists(keys.version_manifest(model_name(model), keys.segment(version)))
        return self.store.exists(keys.alias(model_name(model), CHAMPION)) or self.store.holds(keys.versions(model))

    def versions(self, model: str) -> list[str]:
        """Every published version, sorted by name; the log tells their order in production."""
        return list(self.store.folders(keys.versions(model_name(model))))

    def head(self, model: str) -> LogEntry | None:
        """The newest log entry, whose version is the champion; None before the first promotion."""
        return ModelLog(self.store, model).newest()

    def log(self, model: str, last: int | None = None) -> list[LogEntry]:
        """The log, oldest entry first; only the ``last`` entries where given."""
        log = ModelLog(self.store, model)
        newest = log.newest()
        if newest is None:
            return []
        first = 1 if last is None else max(1, newest.generation - last + 1)
        return [log.entry(generation) for generation in range(first, newest.generation)] + [newest]

    def promote(
        self,
        model: str,
        version: str,
        *,
        op_id: str,
        actor: str,
        reason: str,
        now: datetime,
        over: str | None = ANYONE,
    ) -> LogEntry:
        """Make ``version`` the champion. Returns the entry that did so.

        Promoting the champion changes nothing and returns the entry that made it so. With ``over``, only while that
        version is champion, None for while there is none: a comparison holds against the champion it was made with.

        Raises:
            PromotionRefused: the version is not published, or does not verify; or another than ``over`` is champion.
            AlreadyExistsError: ``op_id`` was used for something else.
        """
        log = ModelLog(self.store, model)
        intent = log.intend(op_id, "promotion", version)

        def propose(newest: LogEntry | None) -> LogEntry:
            champion = newest.version if newest else None
            if over not in (ANYONE, champion):
                raise PromotionRefused(
                    f"{version} was compared with {over or 'no champion'}, but {champion} serves now.",
                    remedy=f"Train again, or `perennial promote {model} {version}` past the comparison.",
                )
            refuse_damaged(self.store, model, version)
            return next_entry(newest, intent, version, actor=actor, reason=reason, now=now)

        return _moved(log, commit(log, intent, lambda entry: entry.version == version, propose))

    def rollback(
        self,
        model: str,
        *,
        op_id: str,
        actor: str,
        reason: str,
        now: datetime,
        to: str | None = None,
        over: str | None = ANYONE,
    ) -> LogEntry:
        """Make a former champion the champion again: ``to``, or the one promoted before the present one.

        Repeated rollbacks go ever further back, never to and fro. Without ``to``, the choice is made once,
        when the operation is first tried. With ``over``, only while that version is champion.

        Raises:
            PromotionRefused: there is no champion before, ``to`` never was one, or it does not verify.
            ConflictError: without ``to``, another champion was promoted meanwhile; or another than ``over`` serves.
            AlreadyExistsError: ``op_id`` was used for something else.
        """
        log = ModelLog(self.store, model)
        intent = log.intend(op_id, "rollback", to)
        before = log.before(intent) if to is None else None

        def propose(newest: LogEntry | None) -> LogEntry:
            champion = newest.version if newest else None
            if over not in (ANYONE, champion):
                raise ConflictError(f"{champion} serves now, not {over}.", remedy="Look at the log.")
            former = log.former(str(to), newest) if before is None else before
            if to is None and newest and newest.generation != intent.generation:
                raise ConflictError(
                    f"{model}: {newest.version} was promoted meanwhile (generation {newest.generation}).",
                    remedy="Look at the log and, if still wanted, roll back again.",
                )
            restores = log.promoted(former).generation
            refuse_damaged(self.store, model, former.version)
            return next_entry(newest, intent, former.version, actor=actor, reason=reason, now=now, restores=restores)

        version = before.version if before else str(to)
        return _moved(log, commit(log, intent, lambda entry: entry.version == version, propose))


def _moved(log: ModelLog, entry: LogEntry) -> LogEntry:
    """The entry that made the version champion, where a trial beside it is what settled the operation."""
    return entry if entry.moves else log.promoted(entry)


def _check_files(manifest: ModelManifest, files: Mapping[str, bytes]) -> None:
    if set(files) != set(manifest.files) or MODEL_FILE not in files:
        odd = sorted({MODEL_FILE, *manifest.files} ^ set(files))
        raise IntegrityError(f"Files and manifest of {manifest.model} disagree on {', '.join(odd)}.")
    for name, data in files.items():
        if not _FILE_NAME.fullmatch(name):
            raise IntegrityError(f"{name!r} is no file name.", remedy="Use letters, digits, '.', '_', '-' and '/'.")
        if not matches(data, manifest.files[name]):
            raise IntegrityError(f"{name} of {manifest.model} does not match the digest in the manifest.")
