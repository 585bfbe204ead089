"""The registered model's one file of Python, imported without MLflow: `module.PinModel`."""

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

from components.registry.one_file import one_file
from serving.encoder.export import REGISTERED


def shipped_module(folder: Path) -> ModuleType:
    file = folder / "shipped_pin_model.py"
    file.write_text(one_file("components.registry.pin_model"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    sys.modules[file.stem] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def opened(module: ModuleType, model_folder: Path, graphs: Path, folder: Path):
    """Its PinModel with a copy of the model folder and its graphs, as a version holds them."""
    artifact = shutil.copytree(model_folder, folder / "model")
    shutil.copytree(graphs, artifact / REGISTERED, dirs_exist_ok=True)
    model = module.PinModel()
    model.load_context(SimpleNamespace(artifacts={"model": str(artifact)}))
    return model
