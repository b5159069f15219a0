#!/bin/sh
# Install the API into a folder, as locked: install.sh REPOSITORY FOLDER
# PYTHON will run it; PIP installs with it, by its own pip if nothing else is said.
set -eu
python=${PYTHON:-python3}
${PIP:-$python -m pip} install --quiet --no-deps --require-hashes --only-binary :all: --target "$2" \
    --requirement "$1/requirements/serve-image.txt"
PYTHONPATH="$1/src" "$python" -B -m perennial.deploy.image "$1" "$2"
