"""``python -m perennial.deploy.image REPOSITORY FOLDER``: make what is installed in a folder the API of an image.

It is the package of the API, with a server beside it: the same files go, and the same code comes in.
"""

from __future__ import annotations

import sys
from pathlib import Path

from perennial.deploy import tree
from perennial.deploy.package import copy_source
from perennial.deploy.recipes import API
from perennial.errors import DeployError


def finish(repository: Path, folder: Path, python: Path) -> None:
    """Strip the packages in ``folder``, add our code, compile it for ``python`` and see that the handlers import.

    Raises:
        DeployError: something is missing, or must not ship.
    """
    tree.strip(folder, API)
    tree.slim(folder)
    for source in API.sources:
        copy_source(repository, source, folder)
    tree.compile_tree(folder, python, API)
    tree.prove(folder, python, API)


if __name__ == "__main__":
    try:
        finish(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.executable))
    except DeployError as error:
        sys.exit(str(error))
