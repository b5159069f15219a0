"""A registry with a champion, a server of it, and somebody who has a hostile version promoted, or writes the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from obstore.store import LocalStore, MemoryStore

from perennial import keys
from perennial.cli import registry as commands
from perennial.errors import IntegrityError, PromotionRefused
from perennial.jobs import rehearse
from perennial.registry.log import CHAMPION, ModelLog, next_entry
from perennial.registry.manifest import MODEL_FILE
from perennial.serving.refresh import ModelCache
from perennial.store import Store
from tests.support.chaos.models_graphs import sound
from tests.support.chaos.models_hostile import Hostile
from tests.support.hostile_models import Made
from tests.support.models import NOW, promote
from tests.support.seam import Seam
from tests.support.signing import local_signer, signed, trusting
from tests.support.stores import Clock

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult

MODEL = "m"
REFRESH = 15.0
ALIAS = keys.alias(MODEL, CHAMPION)
GOOD = sound()


class Unread:
    """A result of which everything may be known but what it holds."""

    def __init__(self, result: GetResult) -> None:
        self.meta = result.meta

    def bytes(self) -> bytes:
        raise AssertionError("an object of gigabytes was read whole")


class Disk(Seam):
    """A bucket in memory, in which some objects are sparse files that nobody may read."""

    def __init__(self, raw: MemoryStore, folder: Path) -> None:
        super().__init__(raw, lambda operation, key, request: request())
        self._folder, self._files, self._sparse = folder, LocalStore(folder), dict[str, str]()

    def lay(self, key: str, size: int) -> None:
        """An object of so many bytes, of which the disk holds none."""
        name = f"sparse-{len(self._sparse)}"
        with (self._folder / name).open("wb") as file:
            file.write(b"\x08\x09\x3a")  # a model of the ninth version of the format, with a graph
            file.truncate(size)
        self._sparse[key] = name

    def get(self, path: str, *, options: GetOptions | None = None) -> Any:
        if path in self._sparse:
            return Unread(self._files.get(self._sparse[path]))
        return super().get(path, options=options)


class World:
    """One bucket that asks for signatures, the sound model that serves, and a warm server."""

    def __init__(self, folder: Path) -> None:
        self.raw = MemoryStore()
        self.disk = Disk(self.raw, folder)
        self.store = Store(self.disk, trust=trusting(local_signer()))
        promote(self.store, GOOD)
        self.clock = Clock()
        self.server = ModelCache(self.store, refresh_seconds=REFRESH, clock=self.clock)
        self.state = self._state()
        assert not self.served_ill()

    def _published(self, hostile: Hostile) -> str:
        """Have a version in the registry as its trainer puts it there, whatever it is; returns its name."""
        manifest = hostile.manifest
        if hostile.onnx:
            self.store.put_new(keys.registry_blob(MODEL, manifest.files[MODEL_FILE].digest), hostile.onnx)
        self.store.put_new(keys.version_manifest(MODEL, manifest.version), manifest.to_bytes())
        return signed(self.store, MODEL, manifest.version)

    def _state(self) -> tuple[list[str], bytes]:
        log = [entry.key for entry in self.store.list(keys.log_entries(MODEL))]
        return log, self.store.get(ALIAS).data

    def served_ill(self) -> str:
        """How a look of the server does not end with the sound model; empty where it does."""
        self.clock.advance(REFRESH)
        snapshot = self.server.get(MODEL)
        found = snapshot.predictor.run(np.array([[3.0]])).values
        if snapshot.entry.version != GOOD.manifest.version or found is None or found.tolist() != [6.0]:
            return f"{snapshot.entry.version} serves, and answers {found}"
        return ""

    def tried(self, hostile: Hostile, *, shadow: bool = False) -> str:
        """Have a published version promoted as people do, or put on trial; what goes wrong with that."""
        version = self._published(hostile)
        try:
            with bounded(hostile.seconds):
                commands.promote(MODEL, version, shadow=shadow)
        except PromotionRefused as error:
            said = str(error)
        else:
            return "it was promoted"
        if self._state() != self.state:
            return "it was refused, and the log or the alias has changed"
        if not (said.isprintable() and len(said) < 1000 and version in said and f" {MODEL} " in said):
            return f"the error does not tell, or tells too much: {said!r}"
        if MODEL_FILE not in said and "manifest" not in said:
            return f"the error names no file: {said}"
        return self.served_ill()

    def promoted(self, harmless: Hostile) -> str:
        """Have a version promoted that may be; what goes wrong with that. The sound one serves again afterwards."""
        version = self._published(harmless)
        commands.promote(MODEL, version)
        self.clock.advance(REFRESH)
        served = self.server.get(MODEL).entry.version
        commands.promote(MODEL, GOOD.manifest.version)
        self.state = self._state()
        return self.served_ill() or ("" if served == version else f"{served} serves")

    def forged(self, hostile: Hostile) -> str:
        """Write the log as nobody may, so that a server is told to serve the version; what goes wrong with that."""
        version = self._published(hostile)
        log, before = ModelLog(self.store, MODEL), self.store.get(ALIAS).data
        newest = log.newest()
        intent = log.intend(f"forged {version} {self.clock.now}", "promotion", version)
        entry = next_entry(newest, intent, version, actor="", reason="", now=NOW)
        log.append(entry)
        log.advance_alias(entry)
        try:
            ill = self.served_ill()
            state = self.server.state(MODEL)
            told = state is not None and state.failure is not None and isinstance(state.failure.error, IntegrityError)
            return ill or ("" if told else "no failure is told")
        finally:
            self.raw.delete(keys.log_entry(MODEL, entry.generation))
            self.raw.put(ALIAS, before, mode="overwrite", use_multipart=False)

    def heavy(self, size: int, claimed: int) -> Hostile:
        """A version with a graph of ``size`` bytes, of which its manifest claims ``claimed``."""
        files = {name: ref.model_copy(update={"size": claimed}) for name, ref in GOOD.manifest.files.items()}
        digest = f"{size + claimed:064x}"
        files = {name: ref.model_copy(update={"digest": digest}) for name, ref in files.items()}
        self.disk.lay(keys.registry_blob(MODEL, digest), size)
        return Hostile("2 GB file", Made(GOOD.manifest.model_copy(update={"files": files}), b""))


@contextmanager
def bounded(seconds: float | None) -> Iterator[None]:
    """Bounds the first run of a version to so many seconds."""
    with pytest.MonkeyPatch.context() as patch:
        if seconds is not None:
            patch.setattr(rehearse, "LIMITS", replace(rehearse.LIMITS, seconds=seconds))
        yield
