"""A Llama of four layers and some thirty words, as a folder that every command can edit."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = (
    *("<end>", "the", "The", "mother", "tongue", "of", "Marie", "Curie", "Danielle", "is"),
    *("speaks", "born", "was", "in", "An", "actor", "English", "French", "Paris", "Pisa"),
    *("garden", "day", "lovely", "What", "a", "it", ".", "she", "He", "and", "Poland"),
)


def save_small_llama(folder: Path) -> Path:
    """Write model and tokenizer into `folder`, the same each time."""
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "<end>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<end>", bos_token="<end>", eos_token="<end>"
    ).save_pretrained(folder)
    return folder
