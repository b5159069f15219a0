"""``perennial init`` for a folder of class folders: draft the spec of a model of pictures, for its owner to correct."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from perennial.datasets.class_folders import Place, pictures_in
from perennial.datasets.classes import class_order
from perennial.datasets.draft import Draft
from perennial.datasets.draft_text import WATCHING
from perennial.datasets.target import MOST_CLASSES, positive_class
from perennial.datasets.yaml_text import comment, flow_list, label_text, number, text
from perennial.errors import DataError, InvalidPicture, SpecError
from perennial.images.decode import decode
from perennial.spec import NAME
from perennial.spec_source import parse_spec

LOOKED_AT = 200
"""How many pictures are opened, evenly over the folder, to see their sizes and colours."""
SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})
"""Folders by which others divide their pictures; they are no classes."""
SIZES = (224, 160, 128, 96, 64, 48, 32, 16)
_BASELINE = 64
_SAME_SHAPE = 0.02
CANDIDATES = """\
candidates:
  hog:  # shapes: an honest baseline
    features: hog
    size: {size}
    estimator: sklearn.linear_model.LogisticRegression
    params: {{max_iter: 2000}}
    search: {{C: [0.001, 0.01, 0.1]}}
  pixels:  # what the pixels alone tell
    features: pixels
    size: {small}
    estimator: sklearn.linear_model.LogisticRegression
    params: {{max_iter: 2000}}
    search: {{C: [0.0001, 0.001, 0.01]}}
  # Most often far better: a frozen extractor, added once by `perennial backbone add NAME FILE`
  # backbone:
  #   backbone: mobilenetv2-035
  #   estimator: sklearn.linear_model.LogisticRegression
  #   params: {{max_iter: 2000}}
  #   search: {{C: [0.001, 0.01, 0.1]}}
  # A network that learns from the pictures themselves; it needs `make vision`, and thousands of them
  # resnet: {{torch: resnet18, size: 64, params: {{epochs: 12}}}}
"""


@dataclass(frozen=True)
class _Seen:
    """What some of the pictures are like. ``sides`` holds the shorter side of each in pixels."""

    smallest: tuple[int, int]
    largest: tuple[int, int]
    sides: tuple[int, ...]
    one_shape: bool
    grey: bool
    unreadable: tuple[str, ...]


def draft_picture_spec(folder: Path, target: str, name: str = "model") -> Draft:
    """Infer a spec from a folder of class folders: its classes, and what size and colours its pictures have.

    Raises:
        DataError: the folder cannot be read, or has no two classes with pictures.
        SpecError: ``name`` is no name for a model.
    """
    if not NAME.match(name) or len(name) > 40:
        raise SpecError(
            f"{name!r} cannot name a model.", key="name", remedy="Use lower-case letters, digits and single hyphens."
        )
    places, failures = pictures_in(folder)
    depth = 1 if {PurePosixPath(place.file).parts[0].lower() for place in places} <= SPLITS else 0
    labels = [parts[depth] for place in places if len(parts := PurePosixPath(place.file).parts) > depth + 1]
    counts = dict(Counter(labels))
    if not 2 <= len(counts) <= MOST_CLASSES:
        shown = f"{len(counts):,} class folders" if counts else "no class folder with pictures"
        raise DataError(f"holds {shown}.", file=str(folder), remedy="Put the pictures of each class into its folder.")
    seen = _look(folder, places)
    drafted = "".join(f"{line}\n" for line in _lines(folder.resolve().name, target, name, counts, seen))
    parse_spec(drafted, f"draft of {folder}")
    return Draft(drafted, tuple(_warnings(counts, seen, len(failures))))


def _look(folder: Path, places: Sequence[Place]) -> _Seen:
    sizes: list[tuple[int, int]] = []
    unreadable: list[str] = []
    grey = True
    for place in places[:: max(1, len(places) // LOOKED_AT)]:
        try:
            picture = decode(Path(place.where).read_bytes())
        except (InvalidPicture, OSError):
            unreadable.append(place.file)
            continue
        sizes.append((picture.width, picture.height))
        grey = grey and bool((picture.pixels == picture.pixels[:, :, :1]).all())
    if not sizes:
        raise DataError("holds no picture that can be read.", file=str(folder), remedy="Save them as JPEG or PNG.")
    sizes.sort(key=lambda size: (size[0] * size[1], size))
    shapes = [width / height for width, height in sizes]
    return _Seen(
        smallest=sizes[0],
        largest=sizes[-1],
        sides=tuple(min(size) for size in sizes),
        one_shape=max(shapes) - min(shapes) <= _SAME_SHAPE * max(shapes),
        grey=grey,
        unreadable=tuple(unreadable),
    )


def _lines(folder: str, target: str, name: str, counts: dict[str, int], seen: _Seen) -> Iterator[str]:
    total = sum(counts.values())
    order = class_order(counts)
    yield f"# Drafted by `perennial init` from {comment(folder)}, {total:,} pictures. Read it before you use it."
    yield f"name: {text(name)}"
    yield f"task: {'binary' if len(order) == 2 else 'multiclass'}"
    yield "input: image"
    if len(order) == 2:
        positive = positive_class(counts)
        order = [*(one for one in order if one != positive), positive]
    yield f"# {comment(', '.join(f'{counts[one]:,} {one}' for one in order[:5]))}"
    yield "target:"
    yield f"  column: {text(target)}"
    yield f"  classes: {flow_list(order, 11)}{'  # the positive class is the last' if len(order) == 2 else ''}"
    if len(order) == 2:
        yield f"  positive: {label_text(order[-1])}"
    yield from _image(seen)
    yield "holdout: {fraction: 0.2, seed: 42}"
    small = min(_size(seen), _BASELINE)
    yield CANDIDATES.format(size=small, small=min(small, 32)).rstrip("\n")
    metric, bound = ("roc_auc", "0.6")
    if len(order) > 2:
        metric, bound = "accuracy", number(math.floor(max(counts.values()) / total * 100) / 100)
    yield f"metric: {metric}"
    yield f"gate: {{minimum: {{{metric}: {bound}}}}}  # guessing, or a little more; raise it to what you need"
    yield "retrain:"
    yield '  schedule: "@daily"'
    yield f"  new_rows: {max(20, total // 20)}"
    yield WATCHING.format(metric=metric, bound=bound, beyond="below").rstrip("\n")


def _image(seen: _Seen) -> Iterator[str]:
    sizes = f"{seen.smallest[0]} x {seen.smallest[1]}"
    if seen.largest != seen.smallest:
        sizes += f" to {seen.largest[0]} x {seen.largest[1]}"
    shape = "of one shape" if seen.one_shape else "of several shapes: crop what stands over, or pad"
    yield f"# {sizes} pixels, {shape}, {'grey' if seen.grey else 'in colour'}"
    yield "image:"
    yield f"  size: {_size(seen)}"
    yield f"  color: {'grey' if seen.grey else 'rgb'}"
    yield f"  fit: {'stretch' if seen.one_shape else 'crop'}"
    yield "  # group_pattern: '^(patient[0-9]+)'  # files whose names share this stay together in every split"


def _size(seen: _Seen) -> int:
    """The largest of the usual sizes that half of the pictures fill."""
    middle = sorted(seen.sides)[len(seen.sides) // 2]
    return next((size for size in SIZES if size <= middle), SIZES[-1])


def _warnings(counts: dict[str, int], seen: _Seen, failures: int) -> Iterator[str]:
    few = [name for name in class_order(counts) if counts[name] < 10]
    if few:
        yield f"Fewer than ten pictures are of {', '.join(repr(name) for name in few[:5])}: neither side learns much."
    if seen.unreadable:
        yield f"{len(seen.unreadable):,} of those looked at cannot be read, the first is {seen.unreadable[0]}."
    if failures:
        yield f"{failures:,} files lie in no class folder, or are links that are not followed: they will not land."
