import json
import shutil

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import load_model
from weightpatch.patches.errors import CheckpointRefused, Unsupported


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A bfloat16 checkpoint of a Llama of three layers, with a word-level tokenizer."""
    folder = tmp_path_factory.mktemp("made")
    words = Tokenizer(models.WordLevel({"<unk>": 0, "one": 1, "two": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>").save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=3,
        num_attention_heads=2,
        tie_word_embeddings=True,
        pad_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(made, tmp_path / "checkpoint")


def configure(folder, **changes):
    file = folder / "config.json"
    config = json.loads(file.read_text())
    config.update(changes)
    file.write_text(json.dumps({key: value for key, value in config.items() if value != "gone"}))


def load(folder):
    return load_model(Checkpoint.open(folder))


def test_a_model_is_loaded_in_float32_for_evaluation(made):
    loaded = load(made)
    assert not loaded.model.training
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    assert loaded.layer_count == 3
    assert loaded.device == torch.device("cpu")
    assert loaded.tokenizer("one two")["input_ids"] == [1, 2]


def test_bfloat16_weights_are_widened_exactly(made):
    loaded = load(made)
    bits = loaded.checkpoint.read(loaded.tensor_name(1))
    live = loaded.weight(1).detach().numpy().view("<u4")
    assert ((live >> 16) == bits).all()
    assert not (live & 0xFFFF).any()


def test_the_projection_its_weight_and_the_tensor_belong_together(made):
    loaded = load(made)
    assert loaded.tensor_name(2) == "model.layers.2.mlp.down_proj.weight"
    assert loaded.projection(2).weight is loaded.weight(2)
    assert loaded.projection(2) is loaded.layers[2].mlp.down_proj
    assert loaded.weight(2).shape == loaded.checkpoint.tensors[loaded.tensor_name(2)].shape
    assert loaded.head.weight is loaded.backbone.embed_tokens.weight


def test_a_checkpoint_of_the_decoder_alone_names_its_tensors_without_it(tmp_path, made):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=16, n_embd=8, n_layer=2, n_head=2, n_positions=8, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).transformer.save_pretrained(tmp_path)
    for file in made.glob("token*"):
        shutil.copy(file, tmp_path)
    loaded = load(tmp_path)
    assert loaded.tensor_name(1) == "h.1.mlp.c_proj.weight"
    assert loaded.weight(1).shape == loaded.checkpoint.tensors["h.1.mlp.c_proj.weight"].shape


def test_nothing_is_written_to_the_terminal(made, capfd):
    logging.enable_progress_bar()
    before = logging.get_verbosity()
    load(made)
    assert capfd.readouterr() == ("", "")
    assert logging.get_verbosity() == before
    assert logging.is_progress_bar_enabled()


def test_an_unknown_architecture_is_unsupported(folder):
    configure(folder, model_type="mamba")
    with pytest.raises(Unsupported, match="mamba"):
        load(folder)


def test_a_device_that_is_not_there_is_unsupported(made):
    checkpoint = Checkpoint.open(made)
    for device in ("toaster", "cuda:77"):
        with pytest.raises(Unsupported, match="no device"):
            load_model(checkpoint, device=device)


@pytest.mark.parametrize("changes", [{"num_hidden_layers": 4}, {"intermediate_size": 16}])
def test_weights_that_do_not_fit_the_config_are_refused(folder, changes):
    configure(folder, **changes)
    with pytest.raises(CheckpointRefused):
        load(folder)


@pytest.mark.parametrize(
    "changes", [{"hidden_size": "wide"}, {"num_attention_heads": 0}, {"hidden_act": "magic"}]
)
def test_a_config_that_makes_no_model_is_refused(folder, changes):
    configure(folder, **changes)
    with pytest.raises(
        CheckpointRefused, match=r"(config.json|model) of checkpoint cannot be read"
    ):
        load(folder)


def test_a_checkpoint_without_tokenizer_is_refused(folder):
    for file in folder.glob("token*"):
        file.unlink()
    with pytest.raises(CheckpointRefused, match="tokenizer of checkpoint cannot be read"):
        load(folder)


@pytest.mark.parametrize("content", ["", "{", "{}", '{"model": 3}'])
def test_a_damaged_tokenizer_is_refused(folder, content):
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(CheckpointRefused, match="tokenizer of checkpoint cannot be read"):
        load(folder)


def test_code_that_comes_with_a_checkpoint_is_not_run(folder, tmp_path):
    trace = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(trace)!r}, 'w')\nclass Evil: pass\n")
    configure(folder, auto_map={"AutoModelForCausalLM": "evil.Evil", "AutoConfig": "evil.Evil"})
    load(folder)
    assert not trace.exists()
