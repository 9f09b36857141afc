import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)
from weightpatch.patches.errors import BaseMismatch, LimitExceeded
from weightpatch.patches.evaluation.logits import inference, logits_at

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 12,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT2 = GPT2Config(
    vocab_size=50, n_embd=16, n_layer=2, n_head=2, n_positions=12, bos_token_id=1, eos_token_id=2
)
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2),
    "granite, divides its logits": lambda: GraniteForCausalLM(
        GraniteConfig(**SMALL, logits_scaling=8.0)
    ),
    "cohere, scales its logits": lambda: CohereForCausalLM(CohereConfig(**SMALL, logit_scale=0.25)),
    "gemma 2, caps its logits": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SMALL, head_dim=8, final_logit_softcapping=3.0)
    ),
}
ROWS = [(5, 6, 7), (8, 9, 10, 11, 12, 13), (14,)]
PLACES = [(1, 5), (0, 2), (2, 0), (1, 0), (1, 5)]


@pytest.fixture
def llama():
    torch.manual_seed(1)
    return MODELS["llama"]().eval()


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_the_model_asked_row_by_row_without_padding(name):
    torch.manual_seed(1)
    model = MODELS[name]().eval()
    with inference(model):
        found = logits_at(model, ROWS, PLACES)
        expected = [model(torch.tensor([ROWS[row]])).logits[0, place] for row, place in PLACES]
    assert found.shape == (len(PLACES), 50)
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-5, atol=1e-5)


def test_the_head_sees_the_chosen_positions_only(llama):
    seen = []
    llama.lm_head.register_forward_hook(lambda _head, inputs, _output: seen.append(inputs[0].shape))
    logits_at(llama, ROWS, PLACES)
    assert seen == [(1, len(PLACES), 16)]


def test_a_model_that_does_not_show_its_head_gives_its_logits_in_full(llama):
    with inference(llama):
        expected = logits_at(llama, ROWS, PLACES)
        llama.get_output_embeddings = lambda: None
        torch.testing.assert_close(logits_at(llama, ROWS, PLACES), expected)


def test_the_model_is_whole_again_afterwards(llama):
    before = llama(torch.tensor([ROWS[1]])).logits
    logits_at(llama, ROWS, PLACES)
    assert torch.equal(llama(torch.tensor([ROWS[1]])).logits, before)
    assert not llama.lm_head._forward_pre_hooks


def test_a_failure_leaves_no_hook_behind(llama):
    llama.lm_head.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        logits_at(llama, ROWS, PLACES)
    assert not llama.lm_head._forward_pre_hooks


def test_training_flags_are_put_back_one_by_one(llama):
    llama.train()
    llama.model.layers[1].eval()
    flags = [module.training for module in llama.modules()]
    with inference(llama):
        assert not any(module.training for module in llama.modules())
        assert torch.is_inference_mode_enabled()
    assert [module.training for module in llama.modules()] == flags
    assert not torch.is_inference_mode_enabled()


def test_a_token_that_the_model_does_not_know_is_refused(llama):
    with pytest.raises(BaseMismatch, match="no embedding"):
        logits_at(llama, [(5, 50)], [(0, 1)])


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_more_tokens_than_the_model_reads_are_refused(name):
    with pytest.raises(LimitExceeded, match="13 tokens long, the model reads 12"):
        logits_at(MODELS[name](), [(5,) * 13], [(0, 12)])
