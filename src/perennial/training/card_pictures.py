"""What the card of a model of pictures says, where that of tables speaks of features."""

from __future__ import annotations

from perennial.registry.manifest import ModelManifest
from perennial.spec import Candidate, Frame
from perennial.training.card_parts import figure, table
from perennial.training.mistakes import SHEET_TYPE, Sheet, percent

_FITS = {
    "stretch": "stretched to a square",
    "crop": "cut to the square in their middle",
    "pad": "laid on a black square",
}
_COLORS = {"rgb": "in colour", "grey": "in grey"}


def purpose(frame: Frame) -> str:
    """What it predicts from."""
    return f"from a picture of {frame.size} x {frame.size} pixels {_COLORS[frame.color]}"


def input_table(manifest: ModelManifest, frame: Frame) -> str:
    """How a picture gets to the model, and what is watched of it (HTML)."""
    rows = [
        ("Pictures", f"{frame.size} x {frame.size} pixels {_COLORS[frame.color]}, {_FITS[frame.fit]}"),
        ("The model sees", _seen(manifest.spec.candidates[manifest.candidate])),
        ("Kept together", _together(manifest)),
        ("Watched", ", ".join(manifest.spec.features)),
    ]
    return table((), rows)


def mistakes_part(sheet: Sheet, rows: int) -> str:
    """The sheet, and the same as a table for those who do not see it (HTML)."""
    if sheet.jpeg is None:
        return f"<p>None: all {rows:,} holdout pictures are classified rightly.</p>"
    of = f"The {len(sheet.shown):,} surest" if sheet.total > len(sheet.shown) else "All"
    answers = "wrong answer" if sheet.total == 1 else "wrong answers"
    caption = f"{of} of {sheet.total:,} {answers} to {rows:,} holdout pictures, by the probability of the answer."
    lines = [
        (str(number), one.file, one.truth, one.answer, percent(one.probability))
        for number, one in enumerate(sheet.shown, start=1)
    ]
    return figure(SHEET_TYPE, sheet.jpeg, "Most confident mistakes", caption) + table(
        ("", "File", "Is", "Answer", "Probability"), lines
    )


def limits() -> list[str]:
    """What holds for any model of pictures."""
    return [
        "A model follows whatever goes with the classes in its pictures: a device, a frame, a place. Asked with "
        "?explain=1 it shows which parts of a picture its answer rests on.",
        "Copies of a picture were kept on one side of the split where they were resized, saved again or slightly "
        "changed; mirrored, turned or cut ones are not recognised.",
        "This card shows pictures as they were landed: give it only to those who may see them.",
    ]


def _seen(candidate: Candidate) -> str:
    small = ", quantised to 8 bits" if candidate.quantize else ""
    if candidate.backbone is not None:
        return f"what the frozen extractor {candidate.backbone} makes of them{small}"
    if candidate.torch is not None:
        start = " from given weights" if candidate.weights else " from nothing"
        return f"the pictures themselves: a network {candidate.torch}, trained{start}{small}"
    return {"pixels": "their pixels", "hog": "histograms of oriented gradients"}[candidate.features or "pixels"]


def _together(manifest: ModelManifest) -> str:
    image = manifest.spec.image
    grouped = image is not None and (image.group or image.group_pattern)
    return f"near duplicates, and pictures of one group ({grouped})" if grouped else "near duplicates"
