"""Write scikit-learn's handwritten digits as grey PNG files, in one folder for each class.

``python examples/digits/pictures.py digits`` writes all 1,797; ``--first`` and ``--count`` choose some of them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

INKS = 16
"""The data count ink from 0 to 16."""


def write(folder: Path, first: int = 0, count: int | None = None) -> int:
    """Write ``count`` digits from the ``first`` on as ``<folder>/<class>/<number>.png``, and return how many."""
    data = load_digits()
    chosen = range(len(data.images))[first : None if count is None else first + count]
    for number in chosen:
        path = folder / str(data.target[number]) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((data.images[number] * 255 // INKS).astype(np.uint8)).save(path)
    return len(chosen)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int)
    given = parser.parse_args(arguments)
    written = write(given.folder, given.first, given.count)
    sys.stdout.write(f"{written:,} pictures in {given.folder}\n")


if __name__ == "__main__":
    main()
