"""Records that cannot be used are named: by number, by the field of their own form, and why."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.datasets import load, reading
from weightpatch.patches.datasets.counterfact import CounterFact
from weightpatch.patches.datasets.jsonl import Jsonl
from weightpatch.patches.datasets.knowedit import KnowEdit
from weightpatch.patches.datasets.zsre import ZsRE
from weightpatch.patches.errors import InputError, LimitExceeded
from weightpatch.patches.requests import MAX_PROBES

LOADERS = (CounterFact, Jsonl, KnowEdit, ZsRE)
FIELDS = (
    *("prompt", "subject", "target", "target_new", "ground_truth", "case_id", "src", "alt"),
    *("answers", "str", "requested_rewrite", "locality", "portability"),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def flaw(loader: type, record: object) -> str:
    loaded = loader().read(json.dumps([record]).encode(), name="file.json")
    assert loaded.requests == ()
    (refused,) = loaded.refused
    return str(refused)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"alt": ""}, "record 1: alt is empty"),
        ({"alt": None}, "record 1: alt is missing"),
        ({"alt": 3}, "record 1: alt is not a text"),
        ({"answers": "Noord"}, "record 1: answers is not a list"),
        ({"answers": [7]}, "record 1: answers is not a text"),
        ({"loc_ans": " "}, "record 1: loc_ans is empty"),
        ({"case_id": True}, "record 1: case_id is neither a whole number nor a text"),
        ({"case_id": 1e300}, "record 1: case_id is neither a whole number nor a text"),
        ({"case_id": "a\nb"}, "record 1: id must be one line of printable characters"),
    ],
)
def test_a_flaw_is_named_by_its_field(zsre_record, change, reason):
    assert flaw(ZsRE, {**zsre_record, **change}) == reason


def test_a_subject_that_is_not_in_the_prompt_is_shown_with_it(zsre_record):
    found = flaw(ZsRE, {**zsre_record, "subject": "Dordrecht"})
    assert "must hold the subject exactly once" in found
    assert "subject 'Dordrecht', prompt 'By which body of water" in found


def test_a_reason_is_short_however_long_the_record(zsre_record):
    loaded = ZsRE().read(json.dumps([{**zsre_record, "src": "x" * 9_000}]).encode(), name="z.json")
    (refused,) = loaded.refused
    assert len(refused.reason) == reading.MAX_REASON
    assert refused.reason.endswith("…")


def test_a_counterfact_must_be_counter_to_fact(rome_record):
    rome_record["requested_rewrite"]["target_new"] = {"str": "French"}
    assert "target_new is what target_true is, 'French'" in flaw(CounterFact, rome_record)


@pytest.mark.parametrize("value", [None, "English", {"str": ""}, {"str": ["English"]}, {}])
def test_a_nested_field_is_named_with_its_path(rome_record, value):
    rome_record["requested_rewrite"]["target_new"] = value
    assert flaw(CounterFact, rome_record).startswith("record 1: requested_rewrite.target_new")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"portability": {"Colour": []}}, "portability.'Colour' is not a known kind of probe"),
        ({"portability": []}, "portability is not an object"),
        ({"locality": {"Forgetfulness": ["x"]}}, "locality.Forgetfulness is not a list of probes"),
        (
            {"locality": {"Forgetfulness": [{"prompt": "x", "ground_truth": [[]]}]}},
            "locality.Forgetfulness.ground_truth is not a text",
        ),
        (
            {"locality": {"n": {"prompt": ["x", "y"], "ground_truth": ["z"]}}},
            "locality.n.ground_truth does not hold one answer for each prompt",
        ),
    ],
)
def test_flawed_probes_are_named_with_their_group(knowedit_record, change, reason):
    assert flaw(KnowEdit, {**knowedit_record, **change}) == f"record 1: {reason}"


def test_texts_and_sentiments_of_knowedit_are_no_edits():
    assert flaw(KnowEdit, {"text": "Leo is", "concept": "Leo", "labels": "kind"}) == (
        "record 1: prompt is missing"
    )


def test_the_second_of_two_with_one_id_is_refused(zsre_record):
    records = [{**zsre_record, "case_id": number} for number in (3, 4, 3)]
    loaded = ZsRE().read(json.dumps(records).encode(), name="z.json")
    assert [request.id for request in loaded.requests] == ["3", "4"]
    assert [str(refused) for refused in loaded.refused] == [
        "record 3: an earlier record has the id '3'"
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"7",
        b'"x"',
        b'{"prompt": NaN}',
        b'{"prompt": 1, "prompt": 1}',
        b'{"prompt": "\xff"}',
        b'{"prompt": ' + b"[" * 100_000,
        b'{"prompt": ' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"prompt": ' + b"9" * 5000 + b"}",
        b'{"prompt": "' + b"x" * reading.MAX_LINE + b'"}',
        b'{"prompt": "{} is", "subject": "x", "target": "y\\u0000"}',
        b'{"prompt": "{} is", "subject": "x", "target": "\\ud800"}',
        b'{"prompt": "{} is", "subject": "x", "target": "y", "colour": "red"}',
        b'{"prompt": "{} is", "subject": "x", "target": "y", "id": 7}',
    ],
    ids=lambda line: repr(line[:40]),
)
def test_a_hostile_line_is_refused_and_the_next_one_read(line):
    good = b'{"prompt": "{} is", "subject": "x", "target": "y"}'
    loaded = Jsonl().read(line + b"\n" + good, name="own.jsonl")
    assert [request.target for request in loaded.requests] == ["y"]
    assert [(refused.number, refused.unit) for refused in loaded.refused] == [(1, "line")]
    assert len(loaded.refused[0].reason) <= reading.MAX_REASON


@pytest.mark.parametrize("data", [b"[", b"[1,]", b"[NaN]", b"[" * 100_000, b'["\xff"]'])
def test_an_array_that_is_not_json_is_refused_as_a_whole(data):
    with pytest.raises(InputError, match=r"^file\.json is not well-formed JSON"):
        CounterFact().read(data, name="file.json")


def test_there_is_a_most_of_records(monkeypatch):
    monkeypatch.setattr(reading, "MAX_RECORDS", 2)
    assert len(Jsonl().read(b"[1, 2]", name="x").refused) == 2
    with pytest.raises(LimitExceeded):
        Jsonl().read(b"[1, 2, 3]", name="x")


@given(st.lists(values, max_size=4))
def test_whatever_json_holds_each_record_is_a_request_or_refused(records):
    data = json.dumps(records, allow_nan=False, default=str) if _finite(records) else "[]"
    count = len(json.loads(data))
    for loader in LOADERS:
        loaded = loader().read(data.encode(), name="x")
        assert len(loaded.requests) + len(loaded.refused) == count


def _finite(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def test_a_file_with_flaws_is_refused_unless_they_are_to_be_skipped(tmp_path, zsre_record):
    records = [{**zsre_record, "alt": ""}, zsre_record, {**zsre_record, "subject": 7}]
    file = tmp_path / "z.json"
    file.write_text(json.dumps(records))
    with pytest.raises(InputError) as refused:
        load(f"zsre:{file}")
    assert refused.value.message == "z.json record 1: alt is empty; 1 more cannot be used either"
    assert "--skip-bad" in refused.value.hint
    found = load(f"zsre:{file}", skip_bad=True)
    assert len(found.requests) == 1
    assert [refused.number for refused in found.refused] == [1, 3]


def test_a_limit_is_named_by_the_field_alone():
    record = {
        "prompt": "The capital of France is",
        "subject": "France",
        "target_new": "Lyon",
        "rephrase_prompt": ["France's capital is"] * (MAX_PROBES + 1),
    }
    assert flaw(KnowEdit, record).startswith("record 1: paraphrases has more than")


def test_a_record_whose_id_is_null_has_its_number():
    lines = [{"id": name, "prompt": "{} is", "subject": "x", "target": "y"} for name in (None, "a")]
    data = b"\n".join(json.dumps(line).encode() for line in [*lines, lines[0]])
    loaded = Jsonl().read(data, name="file.jsonl")
    assert [request.id for request in loaded.requests] == ["1", "a", "3"]
