"""eval: several suites of one version, a gate, and what is refused before a model is loaded."""

import json
from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from weightpatch.cli.questions import questions
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.requests import EditRequest, Probe
from weightpatch.registry.registry import Registry

FRANCE = EditRequest(
    "The capital of {} is",
    "France",
    "Lyon",
    "Paris",
    paraphrases=(Probe("France 's capital is", "Lyon"),),
    neighbourhood=(Probe("The capital of Italy is", "Rome"),),
)
ITALY = EditRequest("The capital of {} is", "Italy", "Milan", "Rome", id="2")
WORDS = (
    *("<unk>", "The", "capital", "of", "is", "'s"),
    *("France", "Italy", "Lyon", "Paris", "Rome", "Milan"),
)


@pytest.fixture
def folder(pico):
    """A small Llama of random weights whose tokens are words."""
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=32,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(pico.root / "llama")
    ids = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    fast.save_pretrained(pico.root / "llama")
    return pico.root / "llama"


@pytest.fixture
def sequence(pico, folder) -> Patch:
    """Two edits, one after the other, of the same tensor."""
    operations = {pico.DOWN: [pico.lowrank((8, 12), seed=seed) for seed in (1, 2)]}
    made = pico.patch(
        Checkpoint.open(folder), "acme/two", operations=operations, requests=[FRANCE, ITALY]
    )
    steps = [{"requests": 1, "operations": {pico.DOWN: 1}}] * 2
    return Patch.open(pico.rewrite(made, method=replace(pico.method(), sampled={"steps": steps})))


def test_each_suite_is_asked_judged_and_stored(sequence, folder, run_command, tmp_path):
    place = sequence.files["patch.json"].parent
    with Registry.create(home=tmp_path / "home", actor="tester") as registry:
        registry.admit(sequence)
    data = tmp_path / "own.jsonl"
    other = EditRequest("The capital of {} is", "Rome", "Paris", id="other").to_json()
    data.write_text("\n".join(json.dumps(one) for one in (other, FRANCE.to_json())))
    asked = ("--suite", "requests", "--suite", f"jsonl:{data}", "--retention", "1,2")
    gate = ("--gate", "locality<=1,perplexity<9")

    found = run_command("eval", "acme/two", "--base", folder, *asked, *gate, "--json")

    assert found.returncode == 3, found.stderr
    error = json.loads(found.stderr)["error"]
    assert error["code"] == "E_GATE"
    assert error["why"] == "it fails perplexity<9.0 (not scored)"
    assert error["hint"] == "perplexity: --suite text scores it"
    document = json.loads(found.stdout)
    suites = [one["suite"] for one in document["evaluations"]]
    assert suites == ["requests", "jsonl", "retention"]
    assert {one["case"] for one in document["evaluations"][1]["scores"]} == {"1"}
    assert {one["case"] for one in document["evaluations"][2]["scores"]} == {"1", "2"}
    assert [(one["suite"], one["met"]) for one in document["gate"]] == [
        ("requests", True),
        ("jsonl", True),
        (None, False),
    ]
    assert document["passed"] is False
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        stored = registry.evaluations("acme/two")
    assert [one.suite for one in stored] == ["retention", "jsonl", "requests"]

    (shown,) = [
        one
        for one in json.loads(run_command("show", "acme/two", "--json").stdout)["evaluations"]
        if one["suite"] == "retention"
    ]
    last = [one for one in shown["points"] if one["case"] == "2"]
    assert {name: mean["after"] for name, mean in shown["means"].items()} == {
        one["measure"]: one["after"] for one in last
    }
    table = run_command("show", "acme/two").stdout
    assert "after edits" in table
    assert "retention.reliability" not in table

    passed = run_command("eval", place, "--base", folder, "--gate", "locality<=1")
    assert passed.returncode == 0, passed.stderr
    assert "suite requests" in passed.stdout
    (line,) = [line for line in passed.stdout.splitlines() if line.startswith("met ")]
    assert line.split()[1] == "locality.exact-match<=1.0"


@pytest.mark.parametrize(
    ("status", "said", "arguments"),
    [
        (1, "carries out no request of jsonl:", ["--suite", "jsonl:{other}"]),
        (1, "no suite or data set named 'requestss'", ["--suite", "requestss"]),
        (1, "was not made as a sequence", ["--retention", "1,10"]),
        (2, "is no list of numbers", ["--retention", "1,x"]),
        (2, "after 1 edit at least", ["--retention", "0,1"]),
        (2, "is not a condition on a score", ["--gate", "locality=>1"]),
        (2, "no score is called 'generalisation'", ["--gate", "generalisation>=0.9"]),
    ],
)
def test_what_cannot_be_asked_is_refused_at_once(desk, tmp_path, status, said, arguments):
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps(ITALY.to_json()))
    version = desk.exchange / "acme" / "one" / "v1"
    found = desk.run("eval", version, *(one.format(other=other) for one in arguments))
    assert found.returncode == status
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_counts_beyond_the_sequence_are_refused_and_rounded_ones_told(pico, sequence):
    with pytest.raises(RequestRefused, match="after 9 edits"):
        questions(sequence, [], (1, 9), note=print)
    steps = [{"requests": 2, "operations": {pico.DOWN: 2}}]
    method = replace(pico.method(), sampled={"steps": steps})
    at_once = Patch.open(pico.rewrite(sequence, method=method))
    told: list[str] = []
    questions(at_once, [], (1, 2), note=told.append)
    assert told == ["retention is scored after 2 edits: 1 lies inside a batch"]
