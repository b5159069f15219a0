"""What the tests of the form for pictures do and look at, and the model they ask."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, expect

from perennial.images.decode import Picture, decode
from perennial.store import Store
from tests.support import models
from tests.support.picture_models import BuiltPictures, build_pictures, picture_onnx
from tests.support.pictures import Pixels, picture_bytes

MODEL = "pets"
ORIENTATION = 0x0112
TURNED = 6
"""What a camera held upright writes: the picture is to be turned by a quarter to the right."""
RED, GREEN, BLUE = (230, 20, 20), (20, 200, 20), (20, 20, 230)


def promote_pets(store: Store, seed: int = 0) -> BuiltPictures:
    """Cats are red and dogs are green, in the top right corner of a picture; nothing else of it is looked at."""
    faint = build_pictures(seed=seed, cell=(slice(0, 2), slice(14, 16)))
    weights = faint.weights * 50
    graph = picture_onnx(faint.frame, weights)
    manifest = models.make_manifest(faint.manifest.spec, faint.manifest.classes, graph, seed)
    built = BuiltPictures(manifest.model_copy(update={"pixels": faint.frame}), graph, weights)
    models.promote(store, built)
    return built


def quarters(size: tuple[int, int] = (64, 48), *, noise: int = 0) -> Pixels:
    """Blue, with a red top right quarter: uint8 [height, width, 3]. ``noise`` makes its file large."""
    width, height = size
    pixels = np.full((height, width, 3), BLUE, np.int64)
    pixels[: height // 2, width // 2 :] = RED
    if noise:
        pixels += np.random.default_rng(1).integers(-noise, noise, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def cat(name: str = "cat.png", format: str = "PNG", **options: Any) -> FilePayload:
    """A file of a picture that is a cat to the model."""
    data = picture_bytes(quarters(), format, **options)
    return {"name": name, "mimeType": "", "buffer": data}


def photograph(size: tuple[int, int] = (3000, 2000)) -> bytes:
    """A large JPEG that lies on its side, as its EXIF says; seen upright its top right quarter is red."""
    lying = Image.fromarray(quarters(size[::-1], noise=90)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED
    sink = io.BytesIO()
    lying.save(sink, "JPEG", quality=95, exif=exif)
    return sink.getvalue()


def field(page: Page) -> Locator:
    return page.get_by_label("Choose a picture, drop one here, or paste one")


def choose(page: Page, file: FilePayload | None = None) -> None:
    field(page).set_input_files(file or cat())


def predict(page: Page) -> None:
    page.get_by_role("button", name="Predict").click()


def shown(page: Page) -> Locator:
    return page.locator(".prediction data")


def asked(page: Page, file: FilePayload | None = None) -> Locator:
    """Choose a picture and ask; the answer, once it is there."""
    choose(page, file)
    expect(preview(page)).to_be_visible()
    predict(page)
    expect(shown(page)).to_be_visible()
    return page.get_by_role("region", name="Answer")


def preview(page: Page) -> Locator:
    return page.get_by_role("img", name="Preview of")


def problem(page: Page) -> Locator:
    return page.locator("#picture-problem")


def arrived(store: Store) -> list[tuple[bytes, Picture]]:
    """What the API was sent and has kept, as bytes and decoded."""
    found = [store.get(entry.key).data for entry in store.list(f"{MODEL}/images/sha256/")]
    return [(data, decode(data)) for data in found]


def sized(width: int, height: int) -> str:
    """A picture's size as the page says it."""
    return f"{width} \N{MULTIPLICATION SIGN} {height} pixels"


def pixel(canvas: Locator, x: float, y: float) -> list[int]:
    """Red, green and blue of a canvas at a place from 0 to 1 across and down."""
    color: list[int] = canvas.evaluate(_PIXEL, [x, y])
    return color


_PIXEL = """(shown, [x, y]) => {
  const copy = Object.assign(document.createElement("canvas"), { width: shown.width, height: shown.height });
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(shown, 0, 0);
  return [...pen.getImageData(x * shown.width, y * shown.height, 1, 1).data].slice(0, 3);
}"""
