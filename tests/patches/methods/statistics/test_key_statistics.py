import numpy as np
import pytest
import torch
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.format.safetensors_file import read_tensors, write_tensors
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics

WORDS = "The mother tongue of Danielle Darrieux is French, and Łódź lies in Poland. "


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(WORDS * 200, encoding="utf-8")
    return file


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kept" / "statistics"


def matrix(store, model, layer=1, tokens=1000):
    return store.second_moments(model, [layer], tokens)[layer].matrix


def fail(*_args):
    pytest.fail("the model ran although the statistics were kept")


@pytest.mark.parametrize("own", [False, True])
def test_statistics_are_computed_once(llama, folder, text, own):
    store = KeyStatistics(folder, None if own else text)
    found = store.second_moments(llama, [0, 1], 1000)
    for layer in llama.layers:
        layer.register_forward_hook(fail)
    kept = KeyStatistics(folder, store.text).second_moments(llama, [0, 1], 1000)
    for layer in (0, 1):
        np.testing.assert_array_equal(kept[layer].matrix, found[layer].matrix)
        assert kept[layer].record == found[layer].record
    assert len(list(folder.iterdir())) == 2 + own  # what was written is kept, too


def test_they_say_what_they_were_made_of(llama, folder, text):
    record = KeyStatistics(folder, text).second_moments(llama, [1], 1000)[1].record
    assert record["kind"] == "second_moment"
    assert record["module"] == "model.layers.1.mlp.down_proj"
    assert record["source"]["kind"] == "text"
    assert record["source"]["tokens"] == 1000
    assert len(record["sha256"]) == len(record["source"]["sha256"]) == 64
    own = KeyStatistics(folder).second_moments(llama, [1], 1000)[1].record
    assert own["source"] == {"kind": "sampled", "seed": 0, "tokens": 1000, "window": 33}
    assert own["sha256"] != record["sha256"]


def test_the_mean_is_over_the_beginning_of_the_text(llama, tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(WORDS * 20, encoding="utf-8")
    ids = llama.tokenizer(WORDS * 20)["input_ids"]
    keys = []
    with llama.projection(1).register_forward_pre_hook(
        lambda _module, inputs: keys.append(inputs[0][0, 1:].detach().double().numpy())
    ):
        for start in (0, 128, 256):
            llama.backbone(input_ids=torch.tensor([ids[start : start + 128]]))
    stacked = np.concatenate(keys)
    found = matrix(KeyStatistics(None, file), llama, tokens=300)
    np.testing.assert_allclose(found, stacked.T @ stacked / len(stacked), rtol=1e-4, atol=1e-6)


def test_another_amount_text_or_base_is_computed_anew(llama, pico, folder, text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text(WORDS[::-1] * 200, encoding="utf-8")
    matrices = [
        matrix(KeyStatistics(folder, text), llama),
        matrix(KeyStatistics(folder, text), llama, tokens=2000),
        matrix(KeyStatistics(folder, other), llama),
        matrix(KeyStatistics(folder, text), pico("mistral")),
    ]
    assert len(list(folder.iterdir())) == len({found.tobytes() for found in matrices}) == 4


def test_a_damaged_file_is_computed_again(llama, folder, text):
    store = KeyStatistics(folder, text)
    sound = matrix(store, llama)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[-5] ^= 1
    for damaged in (b"", whole[:100], bytes(flipped)):
        file.write_bytes(damaged)
        np.testing.assert_array_equal(matrix(store, llama), sound)
        assert file.read_bytes() == whole


def test_statistics_of_another_layer_are_not_taken_for_these(llama, folder, text):
    store = KeyStatistics(folder, text)
    matrix(store, llama, layer=0)
    (other,) = folder.iterdir()
    sound = matrix(store, llama, layer=1)
    (file,) = set(folder.iterdir()) - {other}
    file.write_bytes(other.read_bytes())
    np.testing.assert_array_equal(matrix(store, llama, layer=1), sound)


def test_a_file_without_the_label_is_not_believed(llama, folder, text):
    store = KeyStatistics(folder, text)
    sound = matrix(store, llama)
    (file,) = folder.iterdir()
    tensors, _ = read_tensors(file)
    write_tensors(file, {name: 2 * array for name, array in tensors.items()}, "mine")
    np.testing.assert_array_equal(matrix(store, llama), sound)


def test_a_folder_that_cannot_be_written_to_costs_nothing_but_time(llama, tmp_path, text):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    kept = matrix(KeyStatistics(blocked / "statistics", text), llama)
    np.testing.assert_array_equal(kept, matrix(KeyStatistics(None, text), llama))


def test_own_writing_leaves_the_global_generator_alone(llama):
    before = torch.get_rng_state()
    matrix(KeyStatistics(None), llama)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("content", [b"", b"too short", b"\xff\xfe\xff"])
def test_a_text_that_is_too_short_is_refused(llama, tmp_path, content):
    file = tmp_path / "short.txt"
    file.write_bytes(content)
    with pytest.raises(RequestRefused, match="too short"):
        matrix(KeyStatistics(None, file), llama)


def test_a_text_that_is_not_there_is_refused(llama, tmp_path):
    with pytest.raises(RequestRefused, match="cannot be read"):
        matrix(KeyStatistics(None, tmp_path / "missing.txt"), llama)
