"""A language of sixteen words and models of it whose every probability is known."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import EditableModel, load_model

Table = Mapping[str, Mapping[str, float]]
WORDS = (
    *("<unk>", "Danielle", "Marcel", "speaks", "writes", "thinks", "sings", "prays"),
    *("good", "quite", "French", "English", "Paris", "is", ".", ","),
)
IMPOSSIBLE = -1000.0


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """One token a word."""
    return words_tokenizer(WORDS)


def words_tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    ids = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


@pytest.fixture
def bigram() -> Callable[[Table], LlamaForCausalLM]:
    """A Llama in float64 whose next word follows from the last one by a given table alone.

    Attention and MLP add nothing; embeddings are one-hot and survive the norm, so that the head's
    column for a word holds the logarithms of what may follow it.
    """
    return bigram_model


def bigram_model(table: Table) -> LlamaForCausalLM:
    size = len(WORDS)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=size,
        intermediate_size=4,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        rms_norm_eps=0.0,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).double().eval()
    with torch.no_grad():
        layer = model.model.layers[0]
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.model.norm.weight.fill_(1 / math.sqrt(size))
        model.lm_head.weight.copy_(log_probabilities(table))
    return model


def log_probabilities(table: Table) -> torch.Tensor:
    """The head [next word, last word]; a full stop follows words that the table leaves out."""
    head = torch.full((len(WORDS), len(WORDS)), IMPOSSIBLE, dtype=torch.float64)
    for last, word in enumerate(WORDS):
        for after, probability in table.get(word, {".": 1.0}).items():
            head[WORDS.index(after), last] = math.log(probability)
    return head


@pytest.fixture
def taught() -> Callable[[LlamaForCausalLM, Table], AbstractContextManager[LlamaForCausalLM]]:
    """Give a bigram model another table for a `with` block, in place as a patch does."""

    @contextmanager
    def teach(model: LlamaForCausalLM, table: Table) -> Iterator[LlamaForCausalLM]:
        kept = model.lm_head.weight.detach().clone()
        with torch.no_grad():
            model.lm_head.weight.copy_(log_probabilities(table))
        yield model
        with torch.no_grad():
            model.lm_head.weight.copy_(kept)

    return teach


@pytest.fixture
def random_llama() -> LlamaForCausalLM:
    """Two layers of noise over the sixteen words, float32."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
        initializer_range=0.5,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture
def pico_llama(tmp_path, random_llama, tokenizer) -> EditableModel:
    """The noise as a checkpoint, so that it has a fingerprint and can be patched."""
    folder = tmp_path / "pico-llama"
    random_llama.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load_model(Checkpoint.open(folder))
