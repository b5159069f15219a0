"""Large pictures are decoded one after the other, whichever threads read them, and small ones side by side."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from perennial.datasets import picture_rows, picture_sources, pictures
from perennial.datasets.picture_landing import land_pictures
from perennial.datasets.pictures import Pictures
from perennial.datasets.snapshot import snapshot
from perennial.images import budget
from perennial.images.budget import Budget
from perennial.images.decode import Picture, decode
from perennial.store import memory_store
from tests.support.pictures import class_folders, image_spec


class Watched:
    """Decodes, and knows how many did so at the same time."""

    def __init__(self) -> None:
        self.now = self.most = self.times = 0
        self.lock = threading.Lock()

    def __call__(self, data: bytes, **limits: int) -> Picture:
        with self.lock:
            self.now, self.times = self.now + 1, self.times + 1
            self.most = max(self.most, self.now)
        time.sleep(0.005)
        try:
            return decode(data, **limits)
        finally:
            with self.lock:
                self.now -= 1


@pytest.mark.parametrize(("pixels", "most"), [(32 * 24, 1), (32 * 24 * 100, 2)])
def test_no_more_pixels_are_in_the_works_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: int, most: int
) -> None:
    """While they land, while they are measured, and while they are framed for training."""
    monkeypatch.setattr(budget, "_BUDGET", Budget(pixels))
    spec, store = image_spec(), memory_store()
    assert spec.image is not None
    frame = spec.image.frame
    folder = class_folders(tmp_path / "pets", {"cat": 12, "dog": 12})

    def digests() -> tuple[str, ...]:
        return tuple(entry.key.rsplit("/", 1)[1] for entry in store.list(f"{spec.name}/images"))

    for module, work in (
        (picture_sources, lambda: land_pictures(store, spec, folder)),
        (picture_rows, lambda: snapshot(store, spec)),
        (pictures, lambda: list(Pictures(store, spec.name, digests()).framed(frame))),
    ):
        watched = Watched()
        monkeypatch.setattr(module, "decode", watched)
        work()
        assert watched.times == 24
        assert watched.most == 1 if most == 1 else watched.most >= most
