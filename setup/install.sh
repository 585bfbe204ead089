#!/bin/sh
# Makes or renews the virtual environment; `make setup` calls it.
#
#     setup/install.sh
#     PYTHON=python3.12 TORCH_BACKEND=cu130 PINCLIP_VENV=/tmp/venv setup/install.sh
#
# Finds a Python (setup/python.sh), then hands over to setup/install.py.
set -eu
cd "$(dirname "$0")/.."
# Modules of another project must not come in between.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
python="$(setup/python.sh "${PYTHON:-}")"
exec "$python" setup/install.py
