"""The pictures a model is wrong about and sure of: what to look at first."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from perennial.datasets.load import Rows
from perennial.spec import Frame
from perennial.training.answers import Answers
from perennial.training.evaluation import Mistake, Mistakes

SHEET_TYPE = "image/jpeg"
SHOWN = 24
COLUMNS = 6
_SIDE, _GAP, _TEXT, _LINE = 160, 12, 48, 15
_FONT_SIZE, _QUALITY = 11, 88
_PAPER, _INK = (255, 255, 255), (26, 26, 26)


@dataclass(frozen=True)
class Shown:
    """One mistake in words: labels of classes, ``probability`` of the answer, and the file the picture came from."""

    file: str
    truth: str
    answer: str
    probability: float


@dataclass(frozen=True)
class Sheet:
    """The most confident mistakes of ``total``, the surest first; ``jpeg`` shows them, None where there are none."""

    total: int
    shown: tuple[Shown, ...]
    jpeg: bytes | None


def mistakes(answers: Answers) -> Mistakes:
    """Which of the rows were classified wrongly, the surest answers first."""
    wrong = np.flatnonzero(answers.labels != answers.truth)
    sure = answers.probabilities[wrong, answers.labels[wrong]]
    surest = wrong[np.argsort(-sure, kind="stable")][:SHOWN]
    return Mistakes(
        total=len(wrong),
        surest=tuple(
            Mistake(
                row=int(row),
                truth=int(answers.truth[row]),
                answer=int(answers.labels[row]),
                probability=float(answers.probabilities[row, answers.labels[row]]),
            )
            for row in surest
        ),
    )


def sheet(found: Mistakes, holdout: Rows, classes: tuple[str, ...]) -> Sheet:
    """The mistakes with their pictures.

    Args:
        found: of an evaluation on ``holdout``, whose pictures are read from the store.
        classes: labels by class index.

    Raises:
        IntegrityError: a picture is gone or damaged.
    """
    assert holdout.pictures is not None  # a model of pictures
    rows = [one.row for one in found.surest]
    files = holdout.table.column("file").take(rows).to_pylist() if rows else []
    shown = tuple(
        Shown(file or holdout.pictures.digests[one.row][:16], classes[one.truth], classes[one.answer], one.probability)
        for one, file in zip(found.surest, files, strict=True)
    )
    frame = Frame(size=_SIDE, color="rgb", fit="pad")
    pictures = [Image.fromarray(pixels) for pixels in holdout.pictures.take(rows).framed(frame)]
    return Sheet(found.total, shown, _drawn(shown, pictures) if shown else None)


def percent(probability: float) -> str:
    """Never rounded up to certainty."""
    return f"{min(probability, 0.9999) * 100:.2f} %"


def _drawn(shown: Sequence[Shown], pictures: Sequence[Image.Image]) -> bytes:
    """A JPEG of all of them, numbered from 1 in rows of ``COLUMNS``."""
    across, down = min(COLUMNS, len(shown)), -(-len(shown) // COLUMNS)
    width, height = _SIDE + _GAP, _SIDE + _TEXT + _GAP
    paper = Image.new("RGB", (across * width + _GAP, down * height + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(paper), ImageFont.truetype(_font(), _FONT_SIZE)
    for place, (one, picture) in enumerate(zip(shown, pictures, strict=True)):
        left, top = _GAP + place % COLUMNS * width, _GAP + place // COLUMNS * height
        paper.paste(picture, (left, top))
        lines = (f"{place + 1}. is {one.truth}", f"{one.answer}: {percent(one.probability)}", one.file)
        for number, line in enumerate(lines):
            text = _fitting(line, font, from_end=line is one.file)
            pen.text((left, top + _SIDE + 3 + number * _LINE), text, fill=_INK, font=font)
    out = io.BytesIO()
    paper.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()


def _font() -> str:
    """The font of the charts, which knows most alphabets."""
    return str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf")


def _fitting(text: str, font: ImageFont.FreeTypeFont, *, from_end: bool) -> str:
    """What of a line fits under a picture: names come from data, and may be long or hold control characters."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    kept = printable[-200:] if from_end else printable[:200]
    cut = kept
    while cut and font.getlength(cut if cut == kept else f"{cut}…") > _SIDE:
        cut = cut[1:] if from_end else cut[:-1]
    return kept if cut == kept else f"…{cut}" if from_end else f"{cut}…"
