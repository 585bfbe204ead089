"""Entry point of the command `pinclip`: puts this project's packages first on the import path.

The packages are called model, serving and the like, as modules of other people are. Before any of them is imported,
the folder that holds them goes to the front of sys.path, and of PYTHONPATH for every process started from here.
"""

import os
import sys

from pinclip_path import PATH, ROOT, own_path_first


def main() -> None:
    sys.path[:] = [ROOT, *(folder for folder in sys.path if folder != ROOT)]
    os.environ[PATH] = own_path_first()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character gets "?" in its place
    from pipelines.cli.app import main

    main()
