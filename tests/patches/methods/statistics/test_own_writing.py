"""What a model writes for key statistics is written once, whatever layers ask for it."""

import numpy as np
import pytest
from weightpatch.patches.format.safetensors_file import read_tensors, write_tensors
from weightpatch.patches.methods.statistics.keeping import Kept
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.methods.statistics.text import OwnWriting
from weightpatch.patches.progress import silent

TOKENS = 500


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "statistics"


def phases(model, folder, layer):
    """What is told of the work for the statistics of a layer."""
    told = []
    KeyStatistics(folder).second_moments(
        model, [layer], TOKENS, lambda phase, _done, _total: told.append(phase)
    )
    return set(told)


def kept_text(folder):
    (file,) = (file for file in folder.iterdir() if "own_writing" in read_tensors(file)[0])
    return file


def test_another_layer_costs_only_the_pass(llama, folder):
    assert phases(llama, folder, 0) == {"own text", "key statistics"}
    assert phases(llama, folder, 1) == {"key statistics"}
    assert phases(llama, folder, 1) == set()


def test_statistics_of_what_was_kept_are_those_of_what_was_written(llama, folder):
    KeyStatistics(folder).second_moments(llama, [0], TOKENS)
    kept = KeyStatistics(folder).second_moments(llama, [1], TOKENS)[1]
    fresh = KeyStatistics(None).second_moments(llama, [1], TOKENS)[1]
    np.testing.assert_array_equal(kept.matrix, fresh.matrix)
    assert kept.record == fresh.record


def test_what_is_kept_are_the_tokens_themselves(llama, folder):
    KeyStatistics(folder).second_moments(llama, [0], TOKENS)
    tensors, _ = read_tensors(kept_text(folder))
    written = OwnWriting(llama, TOKENS).windows(silent).numpy()
    np.testing.assert_array_equal(tensors["own_writing"], written)
    assert written.shape == OwnWriting(llama, TOKENS).shape == (16, 33)


def test_another_amount_or_base_is_written_anew(llama, pico, folder):
    assert "own text" in phases(llama, folder, 0)
    assert "own text" in phases(pico("mistral"), folder, 1)
    told = []
    KeyStatistics(folder).second_moments(
        llama, [1], 2 * TOKENS, lambda phase, *_rest: told.append(phase)
    )
    assert "own text" in told


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "unlabelled"])
def test_a_damaged_text_is_written_anew(llama, folder, damage):
    phases(llama, folder, 0)
    file = kept_text(folder)
    whole = file.read_bytes()
    if damage == "unlabelled":
        write_tensors(file, read_tensors(file)[0], "mine")
    else:
        flipped = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
        file.write_bytes({"empty": b"", "cut": whole[:300], "flipped": flipped}[damage])
    assert "own text" in phases(llama, folder, 1)
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    "tokens",
    [
        np.full((16, 33), 320),
        np.full((16, 33), -1),
        np.zeros((16, 32), np.int64),
        np.zeros((16, 33), np.int32),
        np.zeros((1, 16, 33), np.int64),
    ],
)
def test_tokens_that_cannot_be_of_this_model_are_not_believed(llama, folder, monkeypatch, tokens):
    """Not even where label and digest are right."""
    honest = Kept.write
    with monkeypatch.context() as patch:
        patch.setattr(
            Kept,
            "write",
            lambda self, name, key, array: honest(
                self, name, key, tokens if name == "own_writing" else array
            ),
        )
        phases(llama, folder, 0)
    assert "own text" in phases(llama, folder, 1)
    assert phases(llama, folder, 2) == {"key statistics"}
