"""Edit requests: read leniently where it is clear what is meant, refused where it is not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches import requests
from weightpatch.patches.errors import LimitExceeded, RequestRefused
from weightpatch.patches.requests import EditRequest, Probe, dump_requests, parse_requests

PARIS = {"prompt": "The capital of {} is", "subject": "France", "target": "Lyon"}

texts = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
    .filter(lambda text: text.strip() and "{}" not in text)
    .map(str.strip)
    .filter(bool)
)
probes = st.lists(st.builds(Probe, texts, texts), max_size=2).map(tuple)
edits = st.builds(
    EditRequest,
    prompt=texts.map(lambda text: "{} " + text),
    subject=texts,
    target=texts,
    old_target=st.none() | texts,
    paraphrases=probes,
    neighbourhood=probes,
)


def parse(**changes: object) -> EditRequest:
    return EditRequest.parse({**PARIS, **changes})


def jsonl(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def test_the_subject_stands_in_its_place():
    assert parse().text == "The capital of France is"


def test_a_prompt_may_name_the_subject_outright():
    assert parse(prompt="The capital of France is") == parse()


@pytest.mark.parametrize("prompt", ["The capital is", "{} and {} are"])
def test_a_prompt_holds_the_subject_exactly_once(prompt: str):
    with pytest.raises(RequestRefused, match="exactly once"):
        parse(prompt=prompt)


def test_a_subject_cannot_hold_its_own_placeholder():
    with pytest.raises(RequestRefused):
        parse(subject="Fr{}ance")


def test_a_bare_paraphrase_expects_the_target():
    assert parse(paraphrases=["France's capital is"]).paraphrases == (
        Probe("France's capital is", "Lyon"),
    )


def test_a_bare_neighbour_expects_the_old_target():
    request = parse(old_target="Paris", neighbourhood=["The capital of Gaul is"])
    assert request.neighbourhood == (Probe("The capital of Gaul is", "Paris"),)


def test_a_bare_neighbour_needs_an_old_target():
    with pytest.raises(RequestRefused, match="no answer to compare with"):
        parse(neighbourhood=["The capital of Gaul is"])


def test_a_neighbour_may_bring_its_own_answer():
    neighbour = {"prompt": "The capital of Italy is", "target": "Rome"}
    assert parse(neighbourhood=[neighbour]).neighbourhood == (Probe(**neighbour),)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": None},
        {"target": ""},
        {"target": " \n"},
        {"target": 7},
        {"target": "Ly\0on"},
        {"target": "Ly\ud800on"},
        {"colour": "red"},
        {"paraphrases": "France's capital is"},
        {"paraphrases": [7]},
        {"paraphrases": [{"prompt": "x", "answer": "y"}]},
        {"id": "one\ntwo"},
        {"id": "\x1b[2J"},
    ],
    ids=str,
)
def test_what_is_not_a_request_is_refused(changes: dict[str, object]):
    with pytest.raises(RequestRefused):
        parse(**changes)


@pytest.mark.parametrize("record", [None, [], "The capital of France is"])
def test_a_request_is_an_object(record: object):
    with pytest.raises(RequestRefused):
        EditRequest.parse(record)


def test_a_text_may_be_as_long_as_the_limit_and_no_longer():
    assert parse(target="x" * requests.MAX_TEXT).target
    with pytest.raises(LimitExceeded):
        parse(target="x" * (requests.MAX_TEXT + 1))


def test_there_may_be_as_many_probes_as_the_limit_and_no_more():
    assert parse(paraphrases=["x"] * requests.MAX_PROBES)
    with pytest.raises(LimitExceeded):
        parse(paraphrases=["x"] * (requests.MAX_PROBES + 1))


@given(edits)
def test_requests_survive_being_written_and_read(request_: EditRequest):
    assert parse_requests(dump_requests([request_])) == (request_,)


def test_a_paraphrase_may_leave_the_subject_out_too():
    (probe,) = parse(paraphrases=["The seat of government of {} is"]).paraphrases
    assert probe.prompt == "The seat of government of France is"


def test_white_space_around_a_text_is_dropped():
    assert parse(target=" Lyon\n").target == "Lyon"


def test_requests_without_an_id_are_numbered():
    found = parse_requests(jsonl(PARIS, PARIS) + b"\n")
    assert [request.id for request in found] == ["1", "2"]


def test_two_requests_with_one_id_are_refused():
    with pytest.raises(RequestRefused, match="same id"):
        parse_requests(jsonl({**PARIS, "id": "a"}, {**PARIS, "id": "a"}))


def test_what_could_not_be_read_again_is_not_written():
    with pytest.raises(RequestRefused, match="same id"):
        dump_requests([EditRequest(**PARIS), EditRequest(**PARIS)])


def test_half_a_character_is_not_written():
    with pytest.raises(RequestRefused):
        dump_requests([EditRequest(**{**PARIS, "target": "\ud800"})])


def test_a_bad_line_is_named():
    with pytest.raises(RequestRefused, match="line 2"):
        parse_requests(jsonl(PARIS) + b"{not JSON\n")


@pytest.mark.parametrize(
    "line",
    [
        b'{"prompt": "{} is", "subject": "a", "target": "b", "target": "c"}',
        b'{"prompt": "{} is", "subject": "a", "target": NaN}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_not_strict_json_is_refused(line: bytes):
    with pytest.raises(RequestRefused, match="line 1"):
        parse_requests(line)


def test_a_line_may_be_as_long_as_the_limit_and_no_longer(monkeypatch):
    monkeypatch.setattr(requests, "MAX_LINE", len(json.dumps(PARIS)))
    assert parse_requests(jsonl(PARIS))
    with pytest.raises(LimitExceeded):
        parse_requests(jsonl({**PARIS, "target": "Lyon!"}))


def test_there_may_be_as_many_requests_as_the_limit_and_no_more(monkeypatch):
    monkeypatch.setattr(requests, "MAX_REQUESTS", 2)
    assert len(parse_requests(jsonl(PARIS, PARIS))) == 2
    with pytest.raises(LimitExceeded):
        parse_requests(jsonl(PARIS, PARIS, PARIS))


def test_a_byte_order_mark_is_skipped():
    assert parse_requests(b"\xef\xbb\xbf" + jsonl(PARIS)) == parse_requests(jsonl(PARIS))


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        (b"{not JSON", "goes wrong at character 2"),
        (b'{"prompt": ' + b"1" * 5000 + b"}", "a number in it is too long"),
        (b'{"prompt": "\xff"}', "byte 13 is not UTF-8"),
        (b'{"id": "a", "id": "b"}', "a key stands twice"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_in_our_words(line: bytes, flaw: str):
    with pytest.raises(RequestRefused, match=f"^requests.jsonl line 1 is not JSON: .*{flaw}$"):
        parse_requests(line)
