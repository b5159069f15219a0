#!/bin/sh
# Find a Python 3.11 to 3.13 ($PYTHON, else the machine's own) and run a script of this folder with it:
#   setup.sh environments.py main ministack
set -eu
script=$(dirname "$0")/$1
shift
probe='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14)); '
seen=""
for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    # The real interpreter: version managers put wrappers on PATH, and an active environment may be the one to renew.
    if "$name" -c "$probe" >/dev/null 2>&1; then
        exec "$("$name" -c 'import sys; print(sys._base_executable)')" -I -B "$script" "$@"
    fi
    seen="$seen $name ($("$name" -V 2>&1 | head -n 1 || true))"
done
echo "Python 3.11, 3.12 or 3.13 is needed; found:$seen." >&2
echo "Install one, or name it: make PYTHON=/path/to/python3.12" >&2
exit 1
