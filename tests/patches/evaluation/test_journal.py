import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.evaluation import journal as journal_module
from weightpatch.patches.evaluation.journal import Journal, open_journal
from weightpatch.patches.evaluation.teacher_forcing import observe
from weightpatch.patches.requests import Probe

LABEL = {"base": "0" * 64, "suite": "requests"}
QUESTIONS = [[1, 5, 6, 7], [2, 5, 6, 7, 8]]
PROBES = [Probe("Danielle speaks", "French"), Probe("Paris is", "quite good"), Probe("Marcel", ".")]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "kept" / "journal.jsonl"


def kept(file, label=LABEL):
    journal = Journal(file, label)
    return [journal.get(question) for question in QUESTIONS]


def test_what_was_answered_is_known_to_the_next_run(file):
    Journal(file, LABEL).put([(QUESTIONS[0], [[3], [-0.1]])])
    assert kept(file) == [[[3], [-0.1]], None]


def test_lines_are_added_and_the_last_answer_counts(file):
    journal = Journal(file, LABEL)
    journal.put([(QUESTIONS[0], [1])])
    journal.put([(QUESTIONS[1], [2]), (QUESTIONS[0], [3])])
    assert kept(file) == [[3], [2]]


def test_a_journal_without_a_file_keeps_nothing():
    journal = Journal()
    journal.put([(QUESTIONS[0], [1])])
    assert journal.get(QUESTIONS[0]) is None


def test_another_model_has_not_answered(file):
    Journal(file, LABEL).put([(QUESTIONS[0], [1])])
    assert kept(file, {**LABEL, "base": "1" * 64}) == [None, None]


@given(cut=st.integers(1, 200))
def test_a_torn_last_line_is_asked_again_and_harms_no_other(tmp_path_factory, cut):
    file = tmp_path_factory.mktemp("torn") / "journal.jsonl"
    Journal(file, LABEL).put([(QUESTIONS[0], [1])])
    whole = file.stat().st_size
    Journal(file, LABEL).put([(QUESTIONS[1], [2])])
    data = file.read_bytes()
    file.write_bytes(data[: max(whole, len(data) - cut)])
    Journal(file, LABEL).put([(QUESTIONS[1], [3])])
    assert kept(file) == [[1], [3]]


HOSTILE = {
    "not JSON": b"{",
    "not UTF-8": b"\xff\xfe",
    "another shape": b'{"question": 1}',
    "no digest": b"[[1,5,6,7],[1]]",
    "an invented digest": json.dumps([QUESTIONS[0], [1], "0" * 64]).encode(),
    "a number for a digest": json.dumps([QUESTIONS[0], [1], 7]).encode(),
    "nested without end": b"[" * 100_000,
    "an endless number": b"[1" + b"0" * 10_000 + b"]",
    "infinity": b"[[1,5,6,7],[Infinity],0]",
    "half a character": b'["\\ud800",1,2]',
    "nothing": b"\n\n",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_line_that_is_not_ours_is_not_believed(file, what):
    Journal(file, LABEL).put([(QUESTIONS[1], [2])])
    with file.open("ab") as stream:
        stream.write(HOSTILE[what] + b"\n")
    assert kept(file) == [None, [2]]


def test_an_answer_that_was_changed_is_asked_again(file):
    Journal(file, LABEL).put([(QUESTIONS[0], [1])])
    file.write_bytes(file.read_bytes().replace(b",[1],", b",[2],"))
    assert kept(file) == [None, None]


def test_what_json_cannot_say_is_left_out(file):
    Journal(file, LABEL).put([(QUESTIONS[0], [float("-inf")]), (QUESTIONS[1], [2])])
    assert kept(file) == [None, [2]]


def test_a_place_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "kept").write_text("a file")
    journal = Journal(tmp_path / "kept" / "journal.jsonl", LABEL)
    journal.put([(QUESTIONS[0], [1])])
    assert journal.get(QUESTIONS[0]) is None


def test_what_is_forgotten_is_gone(file):
    journal = Journal(file, LABEL)
    journal.put([(QUESTIONS[0], [1])])
    assert journal.get(QUESTIONS[0]) == [1]
    journal.forget()
    assert journal.get(QUESTIONS[0]) is None
    assert not file.exists()


def test_a_run_that_was_stopped_asks_only_for_the_rest(random_llama, tokenizer, file):
    whole = observe(random_llama, tokenizer, PROBES, batch_size=1)

    def stop(_phase, done, _total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        observe(
            random_llama, tokenizer, PROBES,
            batch_size=1, progress=stop, journal=Journal(file, LABEL),
        )  # fmt: skip
    told = []
    found = observe(
        random_llama, tokenizer, PROBES, batch_size=1,
        progress=lambda *step: told.append(step), journal=Journal(file, LABEL),
    )  # fmt: skip
    assert told == [("scoring", 1, 1)]
    assert found == whole


@pytest.mark.parametrize(
    "answer",
    [
        *([1], [[1], [-0.5], [0]], [[1], []], [[-1], [-0.5]], [["1"], [-0.5]]),
        *([[1], ["-0.5"]], [[1], -0.5], [[1], [0.5]], [[1], [-1e7]], [[1], [1.7e308]]),
        *([[1], [10**15]], [[1], [True]]),
    ],
)
def test_an_answer_that_is_no_observation_is_asked_again(random_llama, tokenizer, file, answer):
    expected = observe(random_llama, tokenizer, PROBES[:1])
    ids = tokenizer("Danielle speaks French").input_ids
    Journal(file, LABEL).put([([2, *ids], answer)])
    journal = Journal(file, LABEL)
    assert observe(random_llama, tokenizer, PROBES[:1], journal=journal) == expected


def test_the_journal_of_a_base_is_not_that_of_a_patch_on_it(pico_llama, tmp_path):
    base = open_journal(tmp_path, pico_llama, "requests")
    base.put([(QUESTIONS[0], [1])])
    assert open_journal(tmp_path, pico_llama, "requests").get(QUESTIONS[0]) == [1]
    for other in (
        open_journal(tmp_path, pico_llama, "requests", patch="1" * 64),
        open_journal(tmp_path, pico_llama, "text"),
        open_journal(None, pico_llama, "requests"),
    ):
        assert other.get(QUESTIONS[0]) is None


@pytest.mark.parametrize("kind", ["a pipe", "a link", "a device", "a folder"])
def test_what_is_no_regular_file_is_neither_read_nor_written(file, kind):
    file.parent.mkdir()
    elsewhere = file.with_name("elsewhere")
    Journal(elsewhere, LABEL).put([(QUESTIONS[0], [1])])
    written = elsewhere.read_bytes()
    {
        "a pipe": lambda: os.mkfifo(file),
        "a link": lambda: file.symlink_to(elsewhere),
        "a device": lambda: file.symlink_to("/dev/zero"),
        "a folder": file.mkdir,
    }[kind]()
    journal = Journal(file, LABEL)
    assert journal.get(QUESTIONS[0]) is None
    journal.put([(QUESTIONS[0], [2])])
    assert elsewhere.read_bytes() == written


def test_a_pipe_that_somebody_reads_is_not_written_to(file):
    file.parent.mkdir()
    os.mkfifo(file)
    reader = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    Journal(file, LABEL).put([(QUESTIONS[0], [1])])
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_a_journal_that_is_too_long_is_not_read(file, monkeypatch):
    Journal(file, LABEL).put([(QUESTIONS[0], [1])])
    monkeypatch.setattr(journal_module, "MAX_BYTES", file.stat().st_size)
    assert kept(file) == [[1], None]
    monkeypatch.setattr(journal_module, "MAX_BYTES", file.stat().st_size - 1)
    assert kept(file) == [None, None]
