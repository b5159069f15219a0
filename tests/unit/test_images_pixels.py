"""The one preprocessing, what is measured of a picture, and what makes two the same."""

from __future__ import annotations

import hashlib
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from perennial.datasets.pictures import Pictures, put_picture
from perennial.errors import IntegrityError
from perennial.images.decode import Picture, Pixels, decode
from perennial.images.describe import Descriptors, describe
from perennial.images.fingerprint import LENGTH, NEAR, fingerprint, near_pairs, related, same_value
from perennial.images.pixels import framed
from perennial.images.record import ImageRecord, read_record
from perennial.keys import image
from perennial.serving.predictor import Predictor
from perennial.spec_images import DESCRIPTORS, Color, Fit, Frame
from perennial.store import memory_store
from tests.support.picture_models import build_pictures
from tests.support.pictures import blotches, pet_bytes, picture_bytes

WIDE = blotches(5, size=(60, 30))


def picture(pixels: Pixels) -> Picture:
    return Picture(pixels, "image/png")


def halves(width: int = 60, height: int = 30) -> Picture:
    """Red left, blue right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = pixels[:, width // 2 :, 2] = 255
    return picture(pixels)


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    square = blotches(1, size=(16, 16))
    for fit in get_args(Fit):
        assert np.array_equal(framed(picture(square), Frame(size=16, fit=fit)), square)


def test_stretching_keeps_all_of_the_picture() -> None:
    found = framed(halves(), Frame(size=16, fit="stretch"))
    assert (found[:, 0] == (255, 0, 0)).all() and (found[:, -1] == (0, 0, 255)).all()


def test_cropping_takes_the_middle() -> None:
    pixels = np.zeros((30, 90, 3), np.uint8)
    pixels[:, 30:60] = 200
    assert (framed(picture(pixels), Frame(size=30, fit="crop")) == 200).all()
    assert (framed(picture(pixels.transpose(1, 0, 2)), Frame(size=30, fit="crop")) == 200).all()


def test_padding_puts_the_whole_picture_on_black() -> None:
    found = framed(picture(np.full((30, 60, 3), 255, np.uint8)), Frame(size=16, fit="pad"))
    assert (found[:4] == 0).all() and (found[12:] == 0).all() and (found[4:12] == 255).all()
    upright = framed(picture(np.full((60, 30, 3), 255, np.uint8)), Frame(size=16, fit="pad"))
    assert np.array_equal(upright, found.transpose(1, 0, 2))


def test_grey_is_the_luminance() -> None:
    found = framed(picture(np.full((16, 16, 3), (255, 0, 0), np.uint8)), Frame(size=16, color="grey"))
    assert found.shape == (16, 16, 1)
    assert (found == 76).all()


@settings(max_examples=60)
@given(
    width=st.integers(8, 90), height=st.integers(8, 90), size=st.integers(8, 40), fit=st.sampled_from(get_args(Fit)),
    color=st.sampled_from(get_args(Color)), seed=st.integers(0, 99),
)  # fmt: skip
def test_any_picture_fits_any_frame(width: int, height: int, size: int, fit: Fit, color: Color, seed: int) -> None:
    frame = Frame(size=size, fit=fit, color=color)
    found = framed(picture(blotches(seed, size=(width, height))), frame)
    assert found.shape == frame.shape == (size, size, frame.channels)
    assert found.dtype == np.uint8 and found.flags.c_contiguous


def test_pixels_are_the_same_bits_on_every_machine() -> None:
    """Pillow's filter counts in integers: a digest found on one processor holds on all."""
    rng = np.random.default_rng(7)
    noise = picture(rng.integers(0, 256, (61, 47, 3), dtype=np.uint8))
    found = {fit: hashlib.sha256(framed(noise, Frame(size=32, fit=fit)).tobytes()).hexdigest()[:12]
             for fit in get_args(Fit)}  # fmt: skip
    assert found == {"stretch": "8b06e5b7bf80", "crop": "30247a929514", "pad": "e9bd30489a63"}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_training_and_serving_see_the_same_bits(format: str) -> None:
    store, frame = memory_store(), Frame(size=24, color="rgb", fit="crop")
    files = [pet_bytes(seed, format=format, size=(50 + seed, 40)) for seed in range(20)]
    pictures = Pictures(store, "pets", tuple(put_picture(store, "pets", data) for data in files))
    built = build_pictures(frame=frame)
    predictor = Predictor(built.manifest, built.onnx)
    learnt = list(pictures.framed(frame))
    served = [predictor.frame(read_record(data)) for data in files]
    assert all(one.tobytes() == other.tobytes() for one, other in zip(learnt, served, strict=True))
    some = list(pictures.take([7, 3]).framed(frame))
    assert np.array_equal(some[0], learnt[7]) and np.array_equal(some[1], learnt[3])


def test_a_picture_that_is_gone_or_altered_is_told_by_its_key() -> None:
    store = memory_store()
    digest = put_picture(store, "pets", pet_bytes(1))
    broken = put_picture(store, "pets", pet_bytes(2)[:100])
    with pytest.raises(IntegrityError, match="is gone"):
        list(Pictures(store, "pets", (digest, "0" * 64)).framed(Frame(size=8)))
    with pytest.raises(IntegrityError, match=image("pets", broken)):
        list(Pictures(store, "pets", (broken,)).framed(Frame(size=8)))
    store.put_if_match(image("pets", digest), pet_bytes(3), store.get(image("pets", digest)).etag)
    with pytest.raises(IntegrityError, match="does not match its name"):
        list(Pictures(store, "pets", (digest,)).framed(Frame(size=8)))


def test_descriptors_are_those_that_a_spec_watches() -> None:
    assert list(DESCRIPTORS) == list(Descriptors._fields)
    assert list(DESCRIPTORS) == [name for name in ImageRecord.model_fields if name != "image"]


def test_black_white_and_stripes_measure_as_they_should() -> None:
    black, white = (describe(picture(np.full((20, 30, 3), shade, np.uint8))) for shade in (0, 255))
    assert black == Descriptors(30, 20, 0.0, 0.0, 0.0)
    assert white == Descriptors(30, 20, 1.0, 0.0, 0.0)
    stripes = np.zeros((20, 30, 3), np.uint8)
    stripes[::2] = 255
    assert describe(picture(stripes)) == Descriptors(30, 20, 0.5, 0.5, 2.0)


def test_a_blurred_picture_is_less_sharp_and_a_dark_one_less_bright() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    plain = describe(picture(noise))
    blurred = np.asarray(Image.fromarray(noise).resize((16, 16)).resize((64, 64)))
    assert describe(picture(blurred)).sharpness < plain.sharpness / 2
    assert describe(picture(noise // 2)).brightness == pytest.approx(plain.brightness / 2, abs=0.01)


@settings(max_examples=40)
@given(width=st.integers(8, 700), height=st.integers(8, 40), seed=st.integers(0, 9))
def test_every_picture_has_finite_descriptors(width: int, height: int, seed: int) -> None:
    found = describe(picture(blotches(seed, size=(width, height))))
    assert (found.width, found.height) == (width, height)
    assert 0 <= found.brightness <= 1 and 0 <= found.contrast <= 0.5 and 0 <= found.sharpness <= 8


def prints(*pictures: Pixels) -> list[bytes]:
    return [fingerprint(picture(pixels)) for pixels in pictures]


def test_copies_that_were_resized_or_saved_again_are_copies() -> None:
    original = blotches(4, size=(200, 160))
    small = np.asarray(Image.fromarray(original).resize((90, 72)))
    saved = decode(picture_bytes(original, "JPEG", quality=40)).pixels
    darker = (original * 0.8).astype(np.uint8)
    for some in ((original, small), (original, saved), (original, darker), (small, saved, darker)):
        assert not related(len(some), near_pairs(prints(*some))).any()


def test_other_pictures_are_no_copies() -> None:
    assert not set(near_pairs(prints(*(blotches(seed) for seed in range(80)))))
    original = blotches(4)
    assert not set(near_pairs(prints(original, np.ascontiguousarray(original[:, ::-1]))))


def test_flat_pictures_are_copies_where_they_are_of_one_grey() -> None:
    flat = [np.full((20, 20, 3), shade, np.uint8) for shade in (0, 9, 0, 9, 9)]
    assert set(near_pairs(prints(*flat, blotches(1)))) == {(0, 2), (1, 3), (1, 4)}


def test_copies_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = prints(*(blotches(seed % 7) for seed in range(23)))
    whole = related(23, near_pairs(pictures)).tolist()
    monkeypatch.setattr("perennial.images.fingerprint._BLOCK", 4)
    assert related(23, near_pairs(pictures)).tolist() == whole == [place % 7 for place in range(23)]


@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 7, 2048]))
def test_copies_of_copies_hang_together_as_if_every_two_were_tied(seed: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    ends, share = rng.integers(0, 256, (4, LENGTH)), rng.random((40, 1))
    blended = share * ends[rng.integers(0, 4, 40)] + (1 - share) * ends[rng.integers(0, 4, 40)]
    some = [row.astype(np.uint8).tobytes() for row in blended]
    correlation = np.corrcoef([list(one) for one in some])
    assume(np.abs(correlation - NEAR).min() > 1e-5)
    alike = correlation >= NEAR
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("perennial.images.fingerprint._BLOCK", block)
        found = list(near_pairs(some))
    assert len(found) < len(some)
    assert related(40, found).tolist() == related(40, zip(*np.nonzero(alike), strict=True)).tolist()


def test_a_camera_that_stands_still_asks_for_no_more_than_one_that_moves() -> None:
    """All of them are alike: every two would be two million ties."""
    assert len(list(near_pairs(prints(blotches(0)) * 2000))) == 1999


def test_no_pictures_have_no_copies() -> None:
    assert not list(near_pairs([]))
    assert len(fingerprint(picture(blotches(0)))) == LENGTH


@settings(max_examples=60)
@given(st.data())
def test_what_hangs_together_by_any_chain_is_one_group(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 20))
    place = st.integers(0, count - 1)
    ties = data.draw(st.lists(st.tuples(place, place), max_size=25))
    groups = related(count, ties[::2], iter(ties[1::2]))
    for one, other in ties:
        assert groups[one] == groups[other]
    joined = {frozenset(np.flatnonzero(groups == group).tolist()) for group in groups.tolist()}
    assert all(min(members) == groups[min(members)] for members in joined)
    lonely = set(range(count)) - {one for pair in ties if pair[0] != pair[1] for one in pair}
    assert all(frozenset({one}) in joined for one in lonely)


def test_equal_values_tie_and_missing_ones_do_not() -> None:
    assert list(same_value(["a", None, "b", "a", None, "a"])) == [(0, 3), (0, 5)]


def test_a_record_names_its_bytes_and_forgets_its_pixels_where_it_is_stored() -> None:
    data = pet_bytes(1, "dog", "JPEG")
    record = read_record(data)
    assert record.image == hashlib.sha256(data).hexdigest()
    assert record.data == data
    assert np.array_equal(record.picture.pixels, decode(data).pixels)
    stored = ImageRecord.model_validate_json(record.model_dump_json())
    assert stored.model_dump() == record.model_dump()
    assert set(stored.model_dump()) == {"image", *DESCRIPTORS}
    assert record.without_pixels().model_dump() == record.model_dump()
    for gone in (stored, record.without_pixels()):
        with pytest.raises(RuntimeError, match="no pixels"):
            _ = gone.picture
        assert gone.data == b""


@pytest.mark.parametrize("digest", ["", "a" * 63, "A" * 64, "g" * 64])
def test_a_record_is_named_by_a_digest(digest: str) -> None:
    with pytest.raises(ValidationError):
        ImageRecord(image=digest, width=8, height=8, brightness=0, contrast=0, sharpness=0)
