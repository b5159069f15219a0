"""Registries that each lack one part of the protocol: proof that the rules can be broken, and that it shows."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

from obstore.exceptions import AlreadyExistsError as PresentError
from obstore.exceptions import BaseError, PreconditionError

from perennial import keys
from perennial.errors import AlreadyExistsError, PromotionRefused
from perennial.registry import registry as registry_module
from perennial.registry import trials
from perennial.registry.commit import commit
from perennial.registry.entries import Intent, Kind, LogEntry, Trial, next_entry
from perennial.registry.log import CHAMPION, ModelLog
from perennial.registry.manifest import ModelManifest
from perennial.registry.registry import Registry
from perennial.store import Store
from perennial.store_objects import Raw


def overwrite(store: Store, key: str, data: bytes) -> None:
    """Put without a condition, as often as it takes."""
    while True:
        try:
            store._raw.put(key, data, mode="overwrite", use_multipart=False)
            return
        except BaseError:
            continue


class Patch:
    """Replaces attributes until a stack is undone. Without pytest, whose import workers would pay for."""

    def __init__(self, undone: ExitStack) -> None:
        self._undone = undone

    def setattr(self, target: object, name: str, value: object) -> None:
        self._undone.callback(setattr, target, name, getattr(target, name))
        setattr(target, name, value)


class Mutants:
    """Each makes the registry of this process one without it."""

    @staticmethod
    def log_put_without_condition(patch: Patch) -> None:
        def append(self: ModelLog, entry: LogEntry) -> None:
            overwrite(self._store, keys.log_entry(self.model, entry.generation), entry.to_bytes())

        patch.setattr(ModelLog, "append", append)

    @staticmethod
    def no_search_for_ones_own_commit(patch: Patch) -> None:
        true = ModelLog.intend

        def intend(self: ModelLog, op_id: str, kind: Kind, to: str | None, **more: Any) -> Intent:
            newest = self.newest()
            kept = true(self, op_id, kind, to, **more)
            return kept.model_copy(update={"generation": newest.generation if newest else 0})

        patch.setattr(ModelLog, "intend", intend)

    @staticmethod
    def taken_generation_believed_to_be_ones_own(patch: Patch) -> None:
        true = ModelLog.append

        def append(self: ModelLog, entry: LogEntry) -> None:
            try:
                true(self, entry)
            except AlreadyExistsError:
                return

        patch.setattr(ModelLog, "append", append)

    @staticmethod
    def commit_before_publish(patch: Patch) -> None:
        patch.setattr(registry_module, "refuse_damaged", lambda store, model, version: None)

    @staticmethod
    def condition_that_failed_believed_to_be_ones_own_success(patch: Patch) -> None:
        """What S3 answers with 412 or 409 is not read back."""
        true = Store._write

        class Believing:
            def __init__(self, raw: Raw) -> None:
                self._raw = raw

            def __getattr__(self, name: str) -> Any:
                return getattr(self._raw, name)

            def put(self, path: str, file: bytes, **how: Any) -> Any:
                try:
                    return self._raw.put(path, file, **how)
                except (PresentError, PreconditionError):
                    return {"e_tag": "believed", "version": None}

        def write(self: Store, *arguments: Any) -> str:
            return true(Store(Believing(self._raw)), *arguments)

        patch.setattr(Store, "_write", write)

    @staticmethod
    def publish_after_commit(patch: Patch) -> None:
        true_publish, true_promote = Registry.publish, Registry.promote

        def publish(self: Registry, manifest: ModelManifest, files: Mapping[str, bytes]) -> str:
            self.__dict__["published"] = (manifest, files)
            return manifest.version

        def promote(self: Registry, *arguments: Any, **named: Any) -> LogEntry:
            entry = true_promote(self, *arguments, **named)
            if entry.time == named["now"]:  # else it was done long ago, so its version must be there
                true_publish(self, *self.__dict__.pop("published"))
            return entry

        patch.setattr(Registry, "publish", publish)
        patch.setattr(Registry, "promote", promote)
        patch.setattr(registry_module, "refuse_damaged", lambda store, model, version: None)

    @staticmethod
    def trial_before_publish(patch: Patch) -> None:
        patch.setattr(trials, "_refuse", lambda store, model, champion, version: None)

    @staticmethod
    def trial_that_forgets_its_promotion(patch: Patch) -> None:
        def beside(
            log: ModelLog, newest: LogEntry, intent: Intent, actor: str, reason: str, now: datetime, trial: Trial | None
        ) -> LogEntry:
            return next_entry(newest, intent, newest.version, actor=actor, reason=reason, now=now, trial=trial)

        patch.setattr(trials, "_beside", beside)

    @staticmethod
    def alias_written_blindly(patch: Patch) -> None:
        def advance(self: ModelLog, entry: LogEntry) -> None:
            overwrite(self._store, keys.alias(self.model, CHAMPION), entry.to_bytes())

        patch.setattr(ModelLog, "advance_alias", advance)

    @staticmethod
    def alias_before_the_log(patch: Patch) -> None:
        true = ModelLog.append

        def append(self: ModelLog, entry: LogEntry) -> None:
            self.advance_alias(entry)
            true(self, entry)

        patch.setattr(ModelLog, "append", append)

    @staticmethod
    def retry_leaves_the_alias_behind(patch: Patch) -> None:
        true_append, true_advance = ModelLog.append, ModelLog.advance_alias

        def append(self: ModelLog, entry: LogEntry) -> None:
            true_append(self, entry)
            self.__dict__["committed"] = True

        def advance(self: ModelLog, entry: LogEntry) -> None:
            if "committed" in self.__dict__:
                true_advance(self, entry)

        patch.setattr(ModelLog, "append", append)
        patch.setattr(ModelLog, "advance_alias", advance)

    @staticmethod
    def rollback_to_the_very_first(patch: Patch) -> None:
        true = ModelLog.before

        def before(self: ModelLog, intent: Intent) -> LogEntry:
            true(self, intent)
            return self.entry(1)

        patch.setattr(ModelLog, "before", before)

    @staticmethod
    def rollback_over_a_newer_promotion(patch: Patch) -> None:
        """What came after a rollback was asked for is undone with the rest."""

        def rollback(
            self: Registry, model: str, *, op_id: str, actor: str, reason: str, now: datetime, to: str | None = None
        ) -> LogEntry:
            log = ModelLog(self.store, model)
            intent = log.intend(op_id, "rollback", to)
            before = log.before(intent) if to is None else None

            def propose(newest: LogEntry | None) -> LogEntry:
                former = before or log.former(str(to), newest)
                restores = log.promoted(former).generation
                return next_entry(
                    newest, intent, former.version, actor=actor, reason=reason, now=now, restores=restores
                )

            version = before.version if before else str(to)
            return registry_module._moved(log, commit(log, intent, lambda entry: entry.version == version, propose))

        patch.setattr(Registry, "rollback", rollback)

    @staticmethod
    def refuses_now_and_then(patch: Patch) -> None:
        """A third of all rollbacks, though they could be done."""
        true = Registry.rollback

        def rollback(self: Registry, model: str, *, op_id: str, to: str | None = None, **more: Any) -> LogEntry:
            ModelLog(self.store, model).intend(op_id, "rollback", to)
            if zlib.crc32(op_id.encode()) % 3 == 0:
                raise PromotionRefused(f"{model} is not rolled back.")
            return true(self, model, op_id=op_id, to=to, **more)

        patch.setattr(Registry, "rollback", rollback)


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """The registry of this process lacks what a mutant is named for, for the time of the block."""
    with ExitStack() as undone:
        getattr(Mutants, name)(Patch(undone))
        yield
