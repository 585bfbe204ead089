#!/bin/sh
# An environment for every Python from 3.11 to 3.13 that is here, all imported, and the smoke pipeline run in each;
# `make setup-matrix` calls it. MATRIX names the folder to work in; left out, a temporary one that is removed.
set -u
cd "$(dirname "$0")/.."
folder="${MATRIX:-$(mktemp -d)}"
[ -n "${MATRIX:-}" ] || trap 'rm -rf "$folder"' EXIT
failed=0
result=
for version in 3.11 3.12 3.13; do
    here="$folder/$version"
    mkdir -p "$here"
    if ! setup/python.sh "python$version" > /dev/null 2>&1; then
        result="$result
Python $version: not here, not tried"
        continue
    fi
    start=$(date +%s)
    if PYTHON="python$version" PINCLIP_VENV="$here/venv" setup/install.sh \
        && "$here/venv/bin/pinclip" generate --pins 300 --boards 60 --out "$here/catalogue" \
        && PINCLIP_HOME="$here/home" "$here/venv/bin/pinclip" run --profile smoke --catalogue "$here/catalogue" --out "$here/run"
    then
        says="set up and run in $(($(date +%s) - start)) s"
    else
        says="failed, see above"
        failed=1
    fi
    result="$result
Python $version: $says"
    [ -n "${MATRIX:-}" ] || rm -rf "$here"
done
echo "$result"
exit $failed
