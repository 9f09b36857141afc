"""An editor's file is hostile until it is checked."""

import json
from dataclasses import replace

import numpy as np
import pytest
from method_fixtures import training_records
from weightpatch.patches.errors import (
    BaseMismatch,
    FormatError,
    ManifestError,
    NonFinite,
    ShapeMismatch,
)
from weightpatch.patches.format.safetensors_file import write_tensors
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.hypernetworks.artifact import Label, TrainedEditor
from weightpatch.patches.methods.mend import Mend, MendTraining
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.progress import silent
from weightpatch.patches.requests import EditRequest

MARIE = EditRequest("{} was born in", "Marie Curie", "Pisa")
SETTINGS = MendTraining(layers=1, steps=1, rank=2, held_out=0.25)


@pytest.fixture(scope="module")
def made(pico) -> TrainedEditor:
    """A sound editor of the small Llama."""
    return Mend().train(pico("llama"), training_records(), SETTINGS, seed=0, progress=silent)


@pytest.fixture
def opened(llama, tmp_path):
    """Write an editor and edit with it."""

    def open_(editor):
        editor.write(tmp_path / "e")
        return use(llama, tmp_path / "e")

    return open_


def use(model, file):
    resources = Resources(KeyStatistics(), editor=file)
    return Mend().edit(
        model, [MARIE], Mend.defaults(model), seed=0, resources=resources, progress=silent
    )


def with_tensor(editor, name, array):
    return replace(editor, tensors={**editor.tensors, name: array})


def test_a_label_is_read_back_as_it_was(made):
    assert Label.parse(made.label.to_text(), what="e") == made.label


def test_a_sound_editor_is_used(made, opened):
    assert opened(made).operations


def test_nan_is_refused(made, opened):
    array = np.full_like(made.tensors["own.0.s1"], np.nan)
    with pytest.raises(NonFinite, match=r"own\.0\.s1"):
        opened(with_tensor(made, "own.0.s1", array))


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (np.zeros((3, 2), np.float32), ShapeMismatch),
        (np.zeros(80, np.float64), FormatError),
        (np.zeros(80, np.int32), FormatError),
    ],
)
def test_another_shape_or_type_is_refused(made, opened, array, error):
    with pytest.raises(error, match=r"own\.0\.s1"):
        opened(with_tensor(made, "own.0.s1", array))


def test_missing_and_additional_tensors_are_refused(made, opened):
    with pytest.raises(FormatError, match="has a tensor that no such editor has, 'evil'"):
        opened(with_tensor(made, "evil", np.zeros(3, np.float32)))
    rest = {name: array for name, array in made.tensors.items() if name != "own.0.s1"}
    with pytest.raises(FormatError, match=r"lacks 'own\.0\.s1'"):
        opened(replace(made, tensors=rest))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"base": "0" * 64}, BaseMismatch, "not trained for"),
        ({"tensors": {}}, BaseMismatch, "not trained for"),
        ({"base": "short"}, ManifestError, "sha256"),
        ({"method": "ke"}, FormatError, "an editor of ke"),
        ({"version": "2"}, FormatError, "an editor of mend 2"),
        ({"seed": -1}, ManifestError, "seed"),
        ({"steps": 1.5}, ManifestError, "steps"),
        ({"data": {"count": 1}}, ManifestError, "sha256"),
        ({"tensors": {"w": {"dtype": "F32"}}}, ManifestError, "shape"),
        ({"hyperparameters": {}}, ManifestError, "hyperparameters"),
    ],
)
def test_a_label_that_lies_is_refused(made, opened, changes, error, words):
    with pytest.raises(error, match=words):
        opened(replace(made, label=replace(made.label, **changes)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rank", 10**9),
        ("rank", True),
        ("rank", "2"),
        ("layers", 1000),
        ("rate", -1),
        ("clip", None),
    ],
)
def test_hyperparameters_that_cannot_be_are_refused(made, opened, name, value):
    changed = {**made.label.hyperparameters, name: value}
    with pytest.raises((ManifestError, BaseMismatch)):
        opened(replace(made, label=replace(made.label, hyperparameters=changed)))


def test_a_rank_other_than_the_tensors_is_refused_before_they_are_read(made, opened):
    changed = {**made.label.hyperparameters, "rank": 4096}
    with pytest.raises(ShapeMismatch):
        opened(replace(made, label=replace(made.label, hyperparameters=changed)))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format":"weightpatch.editor/1"}', '{"a":1}'])
def test_a_label_that_is_none_is_refused(llama, made, tmp_path, text):
    write_tensors(tmp_path / "e", made.tensors, text)
    with pytest.raises(ManifestError):
        use(llama, tmp_path / "e")


def test_a_label_in_another_spelling_or_format_is_refused(llama, made, tmp_path):
    record = json.loads(made.label.to_text())
    spelt = {"spaces": json.dumps(record), "newer": made.label.to_text().replace("or/1", "or/2")}
    for name, text in spelt.items():
        write_tensors(tmp_path / name, made.tensors, text)
        with pytest.raises(ManifestError, match=r"canonical|format"):
            use(llama, tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04.", b"\xff" * 4096])
def test_another_kind_of_file_is_refused(llama, tmp_path, content):
    (tmp_path / "e").write_bytes(content)
    with pytest.raises(FormatError):
        use(llama, tmp_path / "e")


def test_a_delta_and_a_folder_are_no_editors(llama, tmp_path):
    write_tensors(tmp_path / "e", {"w": np.zeros(3, np.float32)})
    with pytest.raises(FormatError, match="is not a trained editor"):
        use(llama, tmp_path / "e")
    with pytest.raises(FormatError, match="is not a file"):
        use(llama, tmp_path)


def test_cut_short_anywhere_it_is_refused(llama, made, tmp_path):
    made.write(tmp_path / "e")
    whole = (tmp_path / "e").read_bytes()
    for length in (7, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "e").write_bytes(whole[:length])
        with pytest.raises(FormatError):
            use(llama, tmp_path / "e")


def test_a_file_that_cannot_be_moved_into_place_leaves_nothing(made, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        made.write(tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
