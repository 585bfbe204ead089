#!/bin/sh
# Builds deploy/Dockerfile; `make image` calls it.
#
#     IMAGE=pinclip-python TORCH_BACKEND=cpu deploy/build_image.sh
#
# What this machine needs to reach its packages is passed to the build and stays in no layer: certificates (SSL_CERT_FILE, PIP_CERT),
# wheels (PIP_FIND_LINKS), addresses of a mirror and its password (pip's settings), a proxy (HTTPS_PROXY).
set -eu
cd "$(dirname "$0")/.."
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE # set by a git hook, and would point to its repository
image="${IMAGE:-pinclip-python}"
backend="${TORCH_BACKEND:-cpu}"
revision="$(git describe --always --dirty --abbrev=40 --exclude='*')"
tag="$(git describe --always --dirty --abbrev=12 --exclude='*')"
certificates="${SSL_CERT_FILE:-${PIP_CERT:-}}"
indexes="$(mktemp)"
trap 'rm -f deploy/wheels/*.whl "$indexes"' EXIT
trap 'exit 1' INT TERM
"$(setup/python.sh "${PYTHON:-}")" setup/indexes.py > "$indexes"
for folder in ${PIP_FIND_LINKS:-}; do
    for wheel in "$folder"/torch-*.whl; do
        [ ! -f "$wheel" ] || cp "$wheel" deploy/wheels/
    done
done
DOCKER_BUILDKIT=1 docker build --network host --file deploy/Dockerfile \
    ${BASE:+--build-arg "BASE=$BASE"} \
    --secret "id=indexes,src=$indexes" \
    ${certificates:+--secret "id=ca,src=$certificates"} \
    ${HTTPS_PROXY:+--build-arg HTTPS_PROXY} ${HTTP_PROXY:+--build-arg HTTP_PROXY} ${NO_PROXY:+--build-arg NO_PROXY} \
    --build-arg "UV_VERSION=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)" \
    --build-arg "TORCH_BACKEND=$backend" \
    --build-arg "REVISION=$revision" \
    --tag "$image:latest" --tag "$image:$tag" .
docker image inspect --format '{{.RepoTags}} {{.Size}} bytes, revision {{index .Config.Labels "org.opencontainers.image.revision"}}' "$image:latest"
