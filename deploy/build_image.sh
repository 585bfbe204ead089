#!/bin/sh
# Builds deploy/Dockerfile; `make image` calls it.
#
#     IMAGE=pinclip-python TORCH_BACKEND=cpu deploy/build_image.sh
#
# What this machine needs to reach its packages (certificates of SSL_CERT_FILE, wheels of PIP_FIND_LINKS) is lent to
# the build and stays in no layer.
set -eu
cd "$(dirname "$0")/.."
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE # a git hook's lead to its own repository
image="${IMAGE:-pinclip-python}"
backend="${TORCH_BACKEND:-cpu}"
revision="$(git describe --always --dirty --abbrev=40 --exclude='*')"
tag="$(git describe --always --dirty --abbrev=12 --exclude='*')"
trap 'rm -f deploy/wheels/*.whl' EXIT
trap 'exit 1' INT TERM
for folder in ${PIP_FIND_LINKS:-}; do
    for wheel in "$folder"/torch-*.whl; do
        [ ! -f "$wheel" ] || cp "$wheel" deploy/wheels/
    done
done
DOCKER_BUILDKIT=1 docker build --network host --file deploy/Dockerfile \
    ${BASE:+--build-arg "BASE=$BASE"} \
    ${SSL_CERT_FILE:+--secret "id=ca,src=$SSL_CERT_FILE"} \
    --build-arg "UV_VERSION=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)" \
    --build-arg "TORCH_BACKEND=$backend" \
    --build-arg "REVISION=$revision" \
    --tag "$image:latest" --tag "$image:$tag" .
docker image inspect --format '{{.RepoTags}} {{.Size}} bytes, revision {{index .Config.Labels "org.opencontainers.image.revision"}}' "$image:latest"
