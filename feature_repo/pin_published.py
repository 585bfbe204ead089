"""Read by `feast apply`, which takes its objects from module variables: one for every object that is published.

The home is the folder of the feature_store.yaml named by FEAST_FS_YAML_FILE_PATH, else this checkout's .pinclip.
"""

import os
from pathlib import Path

from feature_repo.ranking_services import feast_objects

_default = Path(__file__).resolve().parents[1] / ".pinclip" / "feast" / "feature_store.yaml"
_home = Path(os.environ.get("FEAST_FS_YAML_FILE_PATH", _default)).resolve().parent

globals().update({definition.name: definition for definition in feast_objects(_home)})
