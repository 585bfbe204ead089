"""What a model folder may ask for, checked before memory is taken: the sizes of its JSON files, and the network's
parameters, which must be those that its weights hold."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from model.errors import ModelError

MOST_BYTES = {  # a tokenizer of 256,000 tokens has 34 MB
    "tokenizer.json": 200_000_000,
    "text/tokenizer.json": 200_000_000,
    "config.json": 1_000_000,
    "vision/config.json": 1_000_000,
    "vision/preprocessor_config.json": 1_000_000,
    "text/config.json": 1_000_000,
    "text/1_Pooling/config.json": 1_000_000,
}
SPARE = 64  # parameters that are made and not kept, as those of a head that a tower leaves out


def check_sizes(folder: Path) -> None:
    """Raises ModelError for a JSON file of the model folder that is too large to be one."""
    for name, most in MOST_BYTES.items():
        path = folder / name
        if path.is_file() and (size := path.stat().st_size) > most:
            raise ModelError(f"{path} has {size:,} bytes, more than the {most:,} of any model; copy it again.")


@contextmanager
def without_memory(path: Path, tensors: int) -> Iterator[None]:
    """Within the block this thread builds networks without memory, of about as many parameters as the weights have.

    path: of the weights, beside the configuration; tensors: that they hold.

    Raises:
        ModelError: the configuration asks for more parameters, or for sizes that no tensor has.
    """
    most, made, here = 2 * tensors + SPARE, 0, threading.get_ident()

    def count(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal made
        made += threading.get_ident() == here
        if made > most:
            raise ModelError(
                f"The configuration in {path.parent} asks for more parameters than {path.name} has ({tensors:,}); "
                "copy both from one training run."
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"), _Undrawn():
            yield
    except (RuntimeError, ArithmeticError, MemoryError, ValueError, TypeError, AssertionError) as error:
        said = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        raise ModelError(
            f"The configuration in {path.parent} describes no network that can be built ({said}); copy it again."
        ) from None
    finally:
        hook.remove()


class _Undrawn(TorchFunctionMode):
    """Draws no normal numbers: for a tensor without memory torch would import its compiler first, 1.8 s."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        named = named or {}
        if function is nn.init.normal_:
            return args[0] if args else named["tensor"]
        return function(*args, **named)


def read_tokenizer(path: Path, rows: int) -> Tokenizer:
    """rows: tokens that the weights know.

    Raises:
        ModelError: the file is missing or no tokenizer, or knows tokens that the weights do not.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library has no narrower one
        raise ModelError(f"{path} is no tokenizer ({str(error).rstrip('.')}); copy it again.") from None
    if max(tokenizer.get_vocab().values(), default=-1) >= rows:
        raise ModelError(f"{path} knows more tokens than the {rows:,} of the weights; copy both from one training run.")
    return tokenizer


def check_finite(network: nn.Module, path: Path) -> None:
    """Raises ModelError for NaN or infinite weights."""
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelError(f"{path} has NaN or infinite numbers in {name}; train again or copy another model.")
