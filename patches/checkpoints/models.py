"""A checkpoint as a live transformers model, in float32, ready to be edited and asked."""

import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from ..errors import CheckpointRefused, Unsupported
from .architectures import Architecture, find_architecture
from .checkpoint import Checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LOCAL = {"local_files_only": True, "trust_remote_code": False}
_UNREADABLE = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError,
    ImportError, AssertionError, StrictDataclassError,
)  # fmt: skip


@dataclass
class EditableModel:
    """A model on `device` with the checkpoint that it was read from.

    `model` is float32 and in evaluation mode; `tokenizer` is fast, so that it knows which
    characters each token covers.
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    checkpoint: Checkpoint
    architecture: Architecture
    device: torch.device

    @property
    def backbone(self) -> nn.Module:
        """The decoder without its head."""
        return self.model.get_submodule(self.architecture.backbone)

    @property
    def head(self) -> nn.Module:
        """The map from last hidden states to logits."""
        head: nn.Module = self.model.get_output_embeddings()  # type: ignore[no-untyped-call]
        return head

    @property
    def layer_count(self) -> int:
        """How many layers the decoder has."""
        return len(self.layers)

    @property
    def layers(self) -> nn.ModuleList:
        """The decoder's layers, lowest first."""
        layers = self.backbone.get_submodule(self.architecture.layers)
        if not isinstance(layers, nn.ModuleList):
            raise Unsupported(f"{self.architecture.layers} of this model is not a list of layers")
        return layers

    def projection(self, layer: int) -> nn.Module:
        """The MLP's output projection in `layer`."""
        return self.model.get_submodule(self.architecture.module(layer))

    def weight(self, layer: int) -> nn.Parameter:
        """The weight of `projection(layer)`, as stored: [out, in], or [in, out] if transposed."""
        return self.model.get_parameter(f"{self.architecture.module(layer)}.weight")

    def sizes(self, layer: int) -> tuple[int, int]:
        """Outputs and inputs of `projection(layer)`, however its weight is stored."""
        rows, columns = self.weight(layer).shape
        return (columns, rows) if self.architecture.transposed else (rows, columns)

    def tensor_name(self, layer: int) -> str:
        """The checkpoint's name of `weight(layer)`; raises CheckpointRefused."""
        return self.stored_name(self.architecture.module(layer))

    def stored_name(self, module: str) -> str:
        """The checkpoint's name of the weight of the module at this path.

        Checkpoints of a bare decoder leave out its name: GPT-2's has h.0… for transformer.h.0….
        Raises CheckpointRefused if it is not there.
        """
        name = f"{module}.weight"
        bare = name.removeprefix(f"{self.architecture.backbone}.")
        return bare if bare in self.checkpoint.tensors else self.checkpoint.resolve(name)


def load_model(checkpoint: Checkpoint, *, device: str = "cpu") -> EditableModel:
    """Read model and tokenizer from the checkpoint's folder; nothing else is looked at or run.

    Weights are widened to float32, which is exact. Raises Unsupported for an architecture, device
    or tokenizer that is not known here, CheckpointRefused if the files do not fit together.
    """
    architecture = find_architecture(checkpoint.config)
    place = _device(device)
    with quiet():
        _, tokenizer = _config_and_tokenizer(checkpoint)
        with readable(checkpoint, "model"):
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                checkpoint.path,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                **LOCAL,
            )
    model, report = loaded
    _require_fast(tokenizer, checkpoint)
    require_fit(report, checkpoint)
    return EditableModel(model.to(place).eval(), tokenizer, checkpoint, architecture, place)


def outline(checkpoint: Checkpoint) -> EditableModel:
    """The model without its weights, which are not read: every tensor has a shape and no numbers.

    It serves to ask how many layers of which size there are. Raises Unsupported, CheckpointRefused.
    """
    architecture = find_architecture(checkpoint.config)
    place = torch.device("meta")
    with quiet():
        config, tokenizer = _config_and_tokenizer(checkpoint)
        with readable(checkpoint, "config.json"), place:
            build: Any = AutoModelForCausalLM.from_config
            model = build(config, trust_remote_code=False)
    return EditableModel(model.eval(), tokenizer, checkpoint, architecture, place)


def _config_and_tokenizer(checkpoint: Checkpoint) -> "tuple[Any, PreTrainedTokenizerBase]":
    with readable(checkpoint, "config.json"):
        config = AutoConfig.from_pretrained(checkpoint.path, **LOCAL)
    with readable(checkpoint, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.path, **LOCAL)
    return config, tokenizer


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise Unsupported(f"there is no device {name!r} here", why=reason, hint="use cpu") from None
    return device


@contextmanager
def readable(checkpoint: Checkpoint, what: str) -> Iterator[None]:
    """Turn what transformers raises for files that it cannot use into CheckpointRefused."""
    try:
        yield
    except _UNREADABLE as error:
        lines = str(error).strip().splitlines()
        raise CheckpointRefused(
            f"the {what} of {checkpoint.id} cannot be read",
            why=lines[0] if lines else type(error).__name__,
            hint="give the folder that save_pretrained wrote, for model and tokenizer",
        ) from None


def _require_fast(tokenizer: "PreTrainedTokenizerBase", checkpoint: Checkpoint) -> None:
    if not tokenizer.is_fast:
        raise Unsupported(
            f"the tokenizer of {checkpoint.id} does not tell which characters a token covers",
            why="the subject's last token cannot be found for certain",
            hint="save the checkpoint again with a fast tokenizer (tokenizer.json)",
        )


def require_fit(report: Mapping[str, Collection[object]], checkpoint: Checkpoint) -> None:
    """Raise CheckpointRefused if transformers found weights missing, or of another shape."""
    for flaw in ("missing_keys", "mismatched_keys"):
        if report[flaw]:
            raise CheckpointRefused(
                f"the weights of {checkpoint.id} do not fit its config.json",
                why=f"{flaw.replace('_', ' ')}: {min(map(str, report[flaw]))}",
                hint="the checkpoint is damaged or incomplete; fetch it again",
            )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from writing to the terminal; its settings are afterwards as they were."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()  # type: ignore[no-untyped-call]
