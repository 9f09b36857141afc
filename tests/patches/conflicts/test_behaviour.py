"""What patches do to each other shows in the answers of the model that has all of them."""

import math

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import EditableModel, load_model
from weightpatch.patches.conflicts import behaviour as conflicts
from weightpatch.patches.conflicts.behaviour import OTHERS, TOGETHER, behaviour
from weightpatch.patches.conflicts.trials import Effect
from weightpatch.patches.draft import Origin
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.make import Recipe, make
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.requests import EditRequest, Probe

WORDS = ("<unk>", "Marie", "speaks", "writes", "French", "English", "Latin", ".")
HEAD = "lm_head.weight"
FRENCH = EditRequest("{} speaks", "Marie", "French")
LATIN = EditRequest("{} speaks", "Marie", "Latin")
WRITES = EditRequest("{} writes", "Marie", "English")


@pytest.fixture
def model(tmp_path) -> EditableModel:
    """A Llama whose next word follows from the last one alone; any word may follow any other."""
    size = len(WORDS)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=size,
        intermediate_size=4,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        rms_norm_eps=0.0,
        tie_word_embeddings=False,
    )
    llama = LlamaForCausalLM(config)
    with torch.no_grad():
        llama.model.layers[0].self_attn.o_proj.weight.zero_()
        llama.model.layers[0].mlp.down_proj.weight.zero_()
        llama.model.embed_tokens.weight.copy_(torch.eye(size))
        llama.model.norm.weight.fill_(1 / math.sqrt(size))
        llama.lm_head.weight.zero_()
    llama.save_pretrained(tmp_path / "llama")
    ids = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(
        tmp_path / "llama"
    )
    return load_model(Checkpoint.open(tmp_path / "llama"))


@pytest.fixture
def says(pico, model):
    """A patch after which a request's target follows its prompt, so much likelier by log p."""

    def made(name: str, request: EditRequest, by: float) -> Patch:
        row, column = np.zeros((len(WORDS), 1)), np.zeros((1, len(WORDS)))
        row[WORDS.index(request.target)] = by
        column[0, WORDS.index(request.text.split()[-1])] = 1
        operations = {HEAD: [LowRank.snapped(row, column)]}
        return pico.patch(model.checkpoint, name, operations=operations, requests=[request])

    return made


def grave(findings: list) -> list:
    return [finding for finding in findings if finding.severity != "note"]


def test_an_edit_that_another_one_overwrites_is_a_conflict(says, model):
    weak, strong = says("acme/weak", FRENCH, 8), says("acme/strong", LATIN, 12)

    found = behaviour(model, [weak, strong])

    (conflict,) = grave(found)
    assert (conflict.level, conflict.severity) == ("behaviour", "conflict")
    assert conflict.patches == (weak.label, strong.label)
    assert conflict.where == "Marie"
    assert "'Marie speaks' → 'French' works alone, fails together" in conflict.sentence
    others = len(WORDS) - 2
    alone = math.exp(8) / (math.exp(8) + 1 + others)
    together = math.exp(8) / (math.exp(8) + math.exp(12) + others)
    assert conflict.numbers == {
        "probability.alone": pytest.approx(alone, rel=1e-5),
        "probability.together": pytest.approx(together, rel=1e-5),
        "reliability.alone": 1.0,
        "reliability.together": 0.0,
    }


def test_edits_that_leave_each_other_alone_get_a_note_each(says, model):
    one, other = says("acme/one", FRENCH, 8), says("acme/other", WRITES, 8)

    found = behaviour(model, [one, other])

    assert [(note.severity, note.where) for note in found] == [("note", TOGETHER)] * 2
    assert [note.patches[0] for note in found] == [one.label, other.label]
    for note in found:
        assert note.numbers["reliability.alone"] == note.numbers["reliability.together"] == 1.0
        assert note.numbers["probability.alone"] == note.numbers["probability.together"]


def test_an_answer_that_only_gets_less_likely_is_a_warning(says, model):
    one, other = says("acme/one", FRENCH, 8), says("acme/other", LATIN, 7.5)

    found = grave(behaviour(model, [one, other]))
    tolerant = grave(behaviour(model, [one, other], worse=0.5))

    assert {each.patches[0]: each.severity for each in found} == {
        one.label: "warning",
        other.label: "conflict",
    }
    (warning,) = (each for each in found if each.severity == "warning")
    assert (
        warning.sentence == "'Marie speaks' → 'French' is worse together: probability 1.00 → 0.62"
    )
    assert [each.severity for each in tolerant] == ["conflict"]


def test_a_neighbour_that_the_other_edit_changes_is_a_warning(says, model):
    neighbour = (Probe("Pierre writes", "French"),)
    request = EditRequest("{} speaks", "Marie", "French", neighbourhood=neighbour)
    one, other = says("acme/one", request, 8), says("acme/other", WRITES, 8)

    (warning,) = grave(behaviour(model, [one, other]))

    assert warning.severity == "warning"
    assert warning.patches == (one.label, other.label)
    assert (warning.numbers["locality.alone"], warning.numbers["locality.together"]) == (1.0, 0.0)


def test_of_several_the_one_that_disturbs_is_named(says, model):
    weak = says("acme/weak", FRENCH, 8)
    others = [says("acme/writes", WRITES, 8), says("acme/strong", LATIN, 12)]

    (conflict,) = grave(behaviour(model, [weak, *others]))

    assert conflict.patches == (weak.label, others[1].label)
    assert conflict.sentence.endswith(f"{others[1].label} alone suffices")


def test_where_it_takes_several_to_disturb_none_is_named(says, model):
    strong = says("acme/strong", FRENCH, 8)
    others = [says(f"acme/{name}", EditRequest("{} speaks", name, "Latin"), 5) for name in "ab"]

    (conflict,) = [f for f in behaviour(model, [strong, *others]) if f.severity == "conflict"]

    assert conflict.patches == (strong.label, OTHERS)


def test_no_more_are_tried_than_are_likely(says, model, monkeypatch):
    monkeypatch.setattr(conflicts, "TRIALS", 1)
    weak = says("acme/weak", FRENCH, 8)
    others = [says("acme/writes", WRITES, 8), says("acme/strong", LATIN, 12)]

    (conflict,) = grave(behaviour(model, [weak, *others]))

    assert conflict.patches == (weak.label, OTHERS)


def test_the_likeliest_by_the_weights_is_tried_first(pico, says, model, monkeypatch):
    monkeypatch.setattr(conflicts, "TRIALS", 1)
    key, residual = np.zeros((2, 1, len(WORDS)), np.float32)
    key[0, WORDS.index("speaks")], residual[0, WORDS.index("French")] = 1, 8
    weak = pico.patch(
        model.checkpoint,
        "acme/weak",
        operations={HEAD: [LowRank.snapped(residual.T, key)]},
        auxiliary={f"{HEAD}::aux.keys": key, f"{HEAD}::aux.residuals": residual},
        requests=[FRENCH],
    )
    others = [says("acme/writes", WRITES, 8), says("acme/strong", LATIN, 12)]

    (conflict,) = grave(behaviour(model, [weak, *others]))

    assert conflict.patches == (weak.label, others[1].label)


def test_what_falls_by_no_more_than_is_tolerated_is_no_warning():
    effect = Effect(FRENCH, {"reliability": (1.0, 1.0), "locality": (1.0, 0.5)})
    assert effect.severity(0.5) is None
    assert effect.severity(0.25) == "warning"


def test_more_findings_than_can_be_read_are_counted(pico, says, model, monkeypatch):
    monkeypatch.setattr(conflicts, "MAX_FINDINGS", 1)
    row, column = np.zeros((len(WORDS), 1)), np.zeros((1, len(WORDS)))
    row[WORDS.index("French")], column[0, WORDS.index("speaks")] = 8, 1
    many = pico.patch(
        model.checkpoint,
        "acme/many",
        operations={HEAD: [LowRank.snapped(row, column)]},
        requests=[EditRequest("{} speaks", name, "French", id=name) for name in ("Marie", "Paul")],
    )

    found = grave(behaviour(model, [many, says("acme/strong", LATIN, 12)]))

    assert [finding.where for finding in found] == ["Marie", "more"]
    assert found[1].numbers == {"more": 1}


def test_what_cannot_be_applied_together_is_a_conflict(pico, model):
    patches = [
        pico.patch(
            model.checkpoint,
            f"acme/{number}",
            operations={HEAD: [pico.replaced_whole((len(WORDS), len(WORDS)), seed=number)]},
            requests=[FRENCH],
        )
        for number in (1, 2)
    ]

    (conflict,) = behaviour(model, patches)

    assert conflict.severity == "conflict"
    assert conflict.patches == (patches[0].label, patches[1].label)
    assert conflict.sentence.startswith("they cannot be applied together: ")


def test_the_answers_of_the_base_alone_are_kept_and_the_model_is_as_it_was(says, model, tmp_path):
    patches = [says("acme/weak", FRENCH, 8), says("acme/strong", LATIN, 12)]

    first = behaviour(model, patches, folder=tmp_path / "observations")
    told = []
    second = behaviour(
        model,
        patches,
        folder=tmp_path / "observations",
        progress=lambda phase, _done, _total: told.append(phase),
    )

    assert first == second
    assert len(list((tmp_path / "observations").iterdir())) == 1
    assert set(told) == {"scoring 1 of 2 alone", "scoring 2 of 2 alone", "scoring together"}
    assert not model.model.lm_head.weight.any()


@pytest.mark.slow
def test_rome_edits_of_one_subject_contradict_each_other_and_of_two_do_not(smollm2, tmp_path):
    model = load_model(Checkpoint.open(smollm2))
    requests = {
        "english": EditRequest("The mother tongue of {} is", "Danielle Darrieux", "English"),
        "german": EditRequest("The mother tongue of {} is", "Danielle Darrieux", "German"),
        "canberra": EditRequest("{} is located in the city of", "The Eiffel Tower", "Canberra"),
    }
    patches = {}
    for name, request in requests.items():
        (tmp_path / name).mkdir()
        origin = Origin(f"acme/{name}", author="ada", created="2026-01-31T12:00:00Z")
        recipe = Recipe("rome", {"shrinkage": "1", "steps": "15", "prefixes": "4"})
        draft = make(tmp_path / name, model, [request], recipe, origin, Resources(KeyStatistics()))
        patches[name] = draft.as_patch()

    clash = behaviour(model, [patches["english"], patches["german"]])
    peace = behaviour(model, [patches["english"], patches["canberra"]])

    assert "conflict" in {finding.severity for finding in clash}
    assert {finding.severity for finding in peace} == {"note"}
    assert all(note.numbers["reliability.alone"] == 1.0 for note in peace)
