#!/bin/sh
# Prints the path of a Python 3.11 to 3.13, the oldest that this machine has; else of one that uv fetches.
#
#     setup/python.sh                 # whichever is there
#     setup/python.sh python3.12      # this one or none
#
# A name on PATH proves nothing: pyenv puts one there for every version it has, and most of them do not run.
set -eu
asked="${1:-}"

# Prints the path of a Python that fits.
fitting() {
    "$1" -c 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit(1); print(sys.executable)' 2> /dev/null
}

# pyenv's own folder of every version that is named, e.g. python3.12.
of_pyenv() {
    ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/${1#python}".*/bin/python 2> /dev/null || true
}

first_of() {
    for name in "$@"; do
        for candidate in "$name" $(of_pyenv "$name"); do
            ! fitting "$candidate" || exit 0
        done
    done
}

fetched() {
    uv="$(command -v uv)" || {
        folder="$(mktemp -d)"
        trap 'rm -rf "$folder"' EXIT
        python3 -m venv "$folder" && "$folder/bin/python" -m pip install --quiet uv && uv="$folder/bin/uv"
    } || return 1
    "$uv" python install --quiet 3.11 && "$uv" python find 3.11
}

if [ -n "$asked" ]; then
    first_of "$asked"
    echo "PYTHON=$asked is no Python 3.11, 3.12 or 3.13 that runs; name another, or leave PYTHON out." >&2
    exit 2
fi
first_of python3.11 python3.12 python3.13 python3 python
echo "No Python 3.11, 3.12 or 3.13 was found; uv fetches one." >&2
if ! fetched 2> /dev/null; then
    echo "There is no Python 3.11, 3.12 or 3.13, and uv could not fetch one; install one and name it: make setup PYTHON=/path/to/python3.12" >&2
    exit 2
fi
