"""A checkpoint as a live transformers model, in float32, ready to be edited and asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from .architectures import Architecture, find_architecture
from .checkpoint import Checkpoint
from .errors import CheckpointRefused, Unsupported

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass
class EditableModel:
    """A model on `device` with the checkpoint that it was read from.

    `model` is float32 and in evaluation mode; `tokenizer` is fast, so that it knows which characters
    each token covers.
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerFast"
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
        return self.model.get_output_embeddings()

    @property
    def layer_count(self) -> int:
        """How many layers the decoder has."""
        return len(self.layers)

    @property
    def layers(self) -> nn.ModuleList:
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

    def tensor_name(self, layer: int) -> str:
        """The checkpoint's name of `weight(layer)`.

        Checkpoints of a bare decoder leave out its name: GPT-2's has h.0… for transformer.h.0….
        Raises CheckpointRefused if it is not there.
        """
        name = f"{self.architecture.module(layer)}.weight"
        bare = name.removeprefix(f"{self.architecture.backbone}.")
        return bare if bare in self.checkpoint.tensors else self.checkpoint.resolve(name)


def load_model(checkpoint: Checkpoint, *, device: str = "cpu") -> EditableModel:
    """Read model and tokenizer from the checkpoint's folder; nothing else is looked at or run.

    Weights are widened to float32, which is exact. Raises Unsupported for an architecture, device or
    tokenizer that is not known here, CheckpointRefused if model, tokenizer and weights do not fit.
    """
    architecture = find_architecture(checkpoint.config)
    place = _device(device)
    with _quiet():
        tokenizer = _load_tokenizer(checkpoint)
        model = _load_weights(checkpoint)
    return EditableModel(model.to(place).eval(), tokenizer, checkpoint, architecture, place)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise Unsupported(f"there is no device {name!r} here", why=reason, hint="use cpu") from None
    return device


def _load_tokenizer(checkpoint: Checkpoint) -> "PreTrainedTokenizerFast":
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            checkpoint.path, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise _refused(checkpoint, "tokenizer", error) from None
    if not tokenizer.is_fast:
        raise Unsupported(
            f"the tokenizer of {checkpoint.id} does not tell which characters a token covers",
            why="the subject's last token cannot be found for certain",
            hint="save the checkpoint again with a fast tokenizer (tokenizer.json)",
        )
    return tokenizer


def _load_weights(checkpoint: Checkpoint) -> "PreTrainedModel":
    from transformers import AutoModelForCausalLM

    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            checkpoint.path,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
        raise _refused(checkpoint, "model", error) from None
    for flaw in ("missing_keys", "mismatched_keys"):
        if report[flaw]:
            raise CheckpointRefused(
                f"the weights of {checkpoint.id} do not fit its config.json",
                why=f"{flaw.replace('_', ' ')}: {sorted(map(str, report[flaw]))[0]}",
                hint="the checkpoint is damaged or incomplete; fetch it again",
            )
    return model


def _refused(checkpoint: Checkpoint, what: str, error: Exception) -> CheckpointRefused:
    lines = str(error).strip().splitlines()
    return CheckpointRefused(
        f"the {what} of {checkpoint.id} cannot be read",
        why=lines[0] if lines else type(error).__name__,
        hint="give the folder that save_pretrained wrote, for model and tokenizer",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing on the terminal; as it was afterwards."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
