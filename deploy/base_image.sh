#!/bin/sh
# Makes the base image from Debian's packages, for a machine that reaches no image registry:
#
#     deploy/base_image.sh            # as root; needs docker.io and debootstrap
#
# Debian 12 carries Python 3.11, so it can replace the image of that name.
set -eu
base="${1:-python:3.11-slim}"
root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$root"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc "$root"/usr/share/man
tar -C "$root" -c . | docker import --change 'CMD ["python3"]' - "$base"
