"""Each published form is read as its authors mean it."""

import json

from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.datasets.counterfact import CounterFact
from weightpatch.patches.datasets.jsonl import Jsonl
from weightpatch.patches.datasets.knowedit import KnowEdit
from weightpatch.patches.datasets.zsre import ZsRE
from weightpatch.patches.requests import PORTABILITY, EditRequest, Probe, dump_requests

texts = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
    .map(str.strip)
    .filter(lambda text: text and "{}" not in text)
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
    portability=st.tuples(st.sampled_from(PORTABILITY), probes).map(
        lambda found: {found[0]: found[1]} if found[1] else {}
    ),
    generation=st.lists(texts, max_size=2).map(tuple),
    id=texts.filter(lambda text: text.isprintable()),
)


def one(loader: type, record: dict) -> EditRequest:
    loaded = loader().read(json.dumps([record]).encode(), name="file.json")
    assert loaded.refused == ()
    (request,) = loaded.requests
    return request


def test_counterfact_in_romes_form(rome_record):
    assert one(CounterFact, rome_record) == EditRequest(
        id="7",
        prompt="The mother tongue of {} is",
        subject="Danielle Darrieux",
        target="English",
        old_target="French",
        paraphrases=(Probe("Shayna does this. Danielle Darrieux, a native", "English"),),
        neighbourhood=(
            Probe("The mother tongue of Léon Blum is", "French"),
            Probe("Montesquieu spoke", "French"),
        ),
        generation=("Danielle Darrieux was born in",),
    )


def test_counterfact_in_easyedits_form(easyedit_record):
    assert one(CounterFact, easyedit_record) == EditRequest(
        id="2",
        prompt="{}, the",
        subject="Toko Yasuda",
        target="piano",
        old_target="guitar",
        paraphrases=(Probe("Toko Yasuda is incredible at", "piano"),),
        neighbourhood=(Probe("John Lennon performs on the", "guitar"),),
    )


def test_easyedits_list_of_edits_has_its_probes_by_name(easyedit_record):
    easyedit_record["locality"] = {
        "neighborhood": {"prompt": ["Bach plays the", "Hendrix plays the"],
                         "ground_truth": ["organ", ["guitar"]]},
    }  # fmt: skip
    easyedit_record["portability"] = {
        "synonym": {"prompt": "Yasuda plays the", "ground_truth": "piano"},
        "one_hop": {"prompt": ["Her instrument has"], "ground_truth": ["keys"]},
    }
    request = one(CounterFact, easyedit_record)
    assert request.neighbourhood[1:] == (
        Probe("Bach plays the", "organ"),
        Probe("Hendrix plays the", "guitar"),
    )
    assert request.portability == {
        "alias": (Probe("Yasuda plays the", "piano"),),
        "one-hop": (Probe("Her instrument has", "keys"),),
    }


def test_zsre_in_mends_form(zsre_record):
    assert one(ZsRE, zsre_record) == EditRequest(
        prompt="By which body of water is {} located?",
        subject="Papendrecht",
        target="Benedenrecht",
        old_target="Beneden Merwede",
        paraphrases=(Probe("Which is the water body of Papendrecht?", "Benedenrecht"),),
        neighbourhood=(Probe("who made the song i like to move it", "Reel 2 Real"),),
    )


def test_knowedit(knowedit_record):
    assert one(KnowEdit, knowedit_record) == EditRequest(
        prompt="What is the native tongue of {}?",
        subject="Leo Arons",
        target="Dutch",
        old_target="German",
        paraphrases=(Probe("Leo Arons grew up speaking what?", "Dutch"),),
        neighbourhood=(
            Probe("The field of Leo Arons is", "physics"),
            Probe("Leo Arons died in", "Berlin"),
        ),
        portability={
            "alias": (Probe("Martin Leo Arons spoke", "Dutch"),),
            "reversed": (Probe("Dutch is spoken by", "Leo Arons"),),
            "one-hop": (Probe("Leo Arons's country is", "Netherlands"),),
        },
    )


def test_knowedit_without_probes_and_old_answer(knowedit_record):
    for name in ("ground_truth", "locality", "portability", "rephrase_prompt"):
        del knowedit_record[name]
    request = one(KnowEdit, knowedit_record)
    assert (request.old_target, request.paraphrases, request.neighbourhood) == (None, (), ())


def test_an_edit_that_teaches_the_true_answer_has_no_old_one(zsre_record, knowedit_record):
    assert one(KnowEdit, {**knowedit_record, "ground_truth": ["Dutch"]}).old_target is None
    answers = ["Benedenrecht", "Noord"]
    assert one(ZsRE, {**zsre_record, "answers": answers}).old_target == "Noord"


def test_a_subject_is_spelled_as_the_prompt_spells_it(zsre_record):
    request = one(ZsRE, {**zsre_record, "subject": "papendrecht"})
    assert request.subject == "Papendrecht"


def test_our_own_form_needs_three_fields():
    data = b'\n{"prompt": "The capital of {} is", "subject": "France", "target": "Lyon"}\n'
    assert Jsonl().read(data, name="own.jsonl").requests == (
        EditRequest("The capital of {} is", "France", "Lyon"),
    )


def test_published_forms_may_come_one_record_a_line(zsre_record):
    second = {**zsre_record, "case_id": "x"}
    data = b"\xef\xbb\xbf" + b"\n".join(json.dumps(r).encode() for r in (zsre_record, second))
    assert [request.id for request in ZsRE().read(data, name="z.jsonl").requests] == ["1", "x"]


@given(st.lists(edits, max_size=3))
def test_what_we_write_our_own_form_reads_back(found):
    requests = {request.id: request for request in found}.values()
    loaded = Jsonl().read(dump_requests(requests), name="requests.jsonl")
    assert loaded.requests == tuple(requests)
    assert loaded.refused == ()
