import json
import os
import re

import numpy as np
import pytest
from weightpatch.patches.errors import (
    CheckpointRefused,
    DigestMismatch,
    FormatError,
    LimitExceeded,
    ManifestError,
    NameRefused,
    Unsupported,
)
from weightpatch.patches.exchange.adapter import CONFIG, WEIGHTS, Adapter
from weightpatch.patches.exchange.adapter_config import AdapterConfig
from weightpatch.patches.exchange.adapter_tensors import sort_tensors
from weightpatch.patches.format.patch import MAX_DELTA_BYTES
from weightpatch.patches.format.safetensors_file import write_tensors

PLAIN = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q"]}
STEM = "base_model.model.model.layers.0.self_attn.q_proj"


def parsed(**changes) -> AdapterConfig:
    return AdapterConfig.parse(json.dumps({**PLAIN, **changes}).encode())


@pytest.fixture
def folder(tmp_path):
    """An adapter of two factors, written by us."""
    (tmp_path / CONFIG).write_text(json.dumps(PLAIN))
    factors = {
        f"{STEM}.lora_A.weight": np.ones((2, 4), "<f4"),
        f"{STEM}.lora_B.weight": np.ones((3, 2), "<f4"),
    }
    write_tensors(tmp_path / WEIGHTS, factors)
    return tmp_path


def test_an_adapter_is_opened_without_reading_its_factors(folder):
    adapter = Adapter.open(folder)
    assert adapter.config.scaling("model.layers.0.self_attn.q_proj", 2) == 2
    assert {name: array.shape for name, array in adapter.tensors.items()} == {
        f"{STEM}.lora_A.weight": (2, 4),
        f"{STEM}.lora_B.weight": (3, 2),
    }


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"peft_type": "LOHA"}, "LOHA"),
        ({"peft_type": None}, "does not say"),
        ({"use_dora": True}, "use_dora"),
        ({"use_qalora": True}, "use_qalora"),
        ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices"),
        ({"target_parameters": ["mlp.experts.gate_up_proj"]}, "target_parameters"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"megatron_config": {"a": 1}}, "megatron_config"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4"),
        ({"init_lora_weights": "olora"}, "olora"),
        ({"init_lora_weights": "loftq"}, "loftq"),
        ({"init_lora_weights": "corda"}, "corda"),
        ({"init_lora_weights": 1.5}, "1.5"),
        ({"some_new_thing": {"on": True}}, "some_new_thing"),
    ],
)
def test_what_is_more_than_a_product_is_refused_by_name(changes, named):
    with pytest.raises(Unsupported, match=named) as caught:
        parsed(**changes)
    assert "weightpatch extract" in caught.value.hint


def test_settings_of_the_training_and_unknown_ones_that_are_off_do_no_harm():
    config = parsed(
        lora_dropout=0.1, task_type="CAUSAL_LM", eva_config={"rho": 2.0}, some_new_thing=None
    )
    assert "lora_dropout" not in config.recorded
    assert config.recorded["r"] == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"r": 0},
        {"r": True},
        {"r": 1.5},
        {"r": 10**9},
        {"lora_alpha": "4"},
        {"use_rslora": "yes"},
        {"use_rslora": 1},
        {"rank_pattern": ["q"]},
        {"rank_pattern": {"q": 0}},
        {"alpha_pattern": {"(": 1}},
        {"bias": "some"},
        {"base_model_name_or_path": "two\nlines"},
    ],
)
def test_settings_of_another_form_are_refused(changes):
    with pytest.raises(
        ManifestError, match=CONFIG if "alpha_pattern" not in changes else "pattern"
    ):
        parsed(**changes)


@pytest.mark.parametrize(
    "text",
    [
        '{"peft_type": "LORA", "r": 1, "r": 2}',
        "[" * 5000,
        '{"r": NaN}',
        "not JSON",
        "[]",
        '{"r": 1e999}',
    ],
)
def test_json_that_is_not_plain_is_refused(text):
    with pytest.raises(ManifestError):
        AdapterConfig.parse(text.encode())


def test_a_pickle_is_refused_by_name(folder):
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")
    with pytest.raises(CheckpointRefused, match=r"adapter_model\.bin, a pickle"):
        Adapter.open(folder)


def test_a_pickle_under_another_name_is_refused(folder):
    (folder / WEIGHTS).write_bytes(b"\x80\x04\x95" + bytes(100))
    with pytest.raises(FormatError, match="is a pickle"):
        Adapter.open(folder)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_file_that_is_missing_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointRefused) as caught:
        Adapter.open(folder)
    assert name in caught.value.why


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(CheckpointRefused, match="is not a folder"):
        Adapter.open(tmp_path / "none")


def test_huge_settings_are_refused(folder):
    (folder / CONFIG).write_text(json.dumps({**PLAIN, "target_modules": "q" * (1 << 20)}))
    with pytest.raises(LimitExceeded, match="larger than") as caught:
        Adapter.open(folder)
    assert "shorten its lists" in str(caught.value.hint)


def test_huge_weights_are_refused_before_they_are_read(folder):
    os.truncate(folder / WEIGHTS, MAX_DELTA_BYTES + 1)
    with pytest.raises(LimitExceeded, match=WEIGHTS):
        Adapter.open(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"target_modules": ["\ud800"]},
        {"base_model_name_or_path": "org/\udfff"},
        {"alpha_pattern": {"\ud800": 1}},
        {"modules_to_save": {"\ud800": 1}},
    ],
)
def test_half_a_character_is_refused(changes):
    with pytest.raises(ManifestError):
        parsed(**changes)


def header(tensors: dict) -> bytes:
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text


def record(dtype: str, shape: list[int], start: int, stop: int) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (header({f"{STEM}.lora_A.weight": record("F64", [1, 1], 0, 8)}) + bytes(8), FormatError),
        (header({f"{STEM}.lora_A.weight": record("I64", [1, 1], 0, 8)}) + bytes(8), FormatError),
        (header({f"{STEM}.lora_A.weight": record("F32", [9, 9], 0, 4)}) + bytes(4), FormatError),
        (header({"../../etc": record("F32", [1], 0, 4)}) + bytes(4), NameRefused),
        (header({"a": record("F32", [0], 0, 0)}), FormatError),
        ((1 << 40).to_bytes(8, "little") + b"{}", FormatError),
    ],
)
def test_a_hostile_file_of_tensors_is_refused(folder, data, error):
    (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(error):
        Adapter.open(folder)


def test_a_file_that_changes_while_it_is_read_is_noticed(folder):
    adapter = Adapter.open(folder)
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[:-1] + b"\x01")
    with pytest.raises(DigestMismatch):
        adapter.require_unchanged()


def test_notes_of_ours_that_are_no_ranks_are_refused(folder):
    factors = {name: array[:] for name, array in Adapter.open(folder).tensors.items()}
    for note in ('{"ranks": 3}', '{"ranks": {"q": [0]}}', '{"ranks": {"q": [true]}}'):
        write_tensors(folder / WEIGHTS, factors, note)
        with pytest.raises(ManifestError):
            Adapter.open(folder)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("lora_magnitude_vector", Unsupported),
        ("lora_A.default.weight", Unsupported),
        ("lora_E", Unsupported),
    ],
)
def test_tensors_of_other_adapters_are_refused_by_name(folder, name, error):
    adapter = Adapter.open(folder)
    array = adapter.tensors[f"{STEM}.lora_A.weight"]
    with pytest.raises(error, match=re.escape(name)):
        sort_tensors({**adapter.tensors, f"{STEM}.{name}": array})


def test_names_without_peft_s_prefix_are_refused(folder):
    array = Adapter.open(folder).tensors[f"{STEM}.lora_A.weight"]
    with pytest.raises(Unsupported, match="lora_unet"):
        sort_tensors({"lora_unet_down.lora_A.weight": array})


def test_half_a_pair_and_sides_that_do_not_fit_are_refused(folder):
    down, up = Adapter.open(folder).tensors.values()
    with pytest.raises(FormatError, match="one factor"):
        sort_tensors({f"{STEM}.lora_A.weight": down})
    with pytest.raises(FormatError, match="cannot be multiplied"):
        sort_tensors({f"{STEM}.lora_A.weight": up, f"{STEM}.lora_B.weight": up})


def test_a_limit_on_patterns_is_kept():
    with pytest.raises(LimitExceeded):
        parsed(rank_pattern={".*.*.*.*a": 2})
