"""The card of a version: what the Hub reads from it, and what people do."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from weightpatch.patches.evaluation.base import Mean
from weightpatch.patches.format.card import MAX_ROWS, MAX_SUITES, write_card
from weightpatch.patches.format.front_matter import front_matter
from weightpatch.patches.format.manifest import (
    BaseRecord,
    Manifest,
    MethodRecord,
    OperationRecord,
    TensorRecord,
)
from weightpatch.patches.format.patch import Patch, write_files
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.requests import EditRequest

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
TENSOR = "model.layers.0.mlp.down_proj.weight"
REQUEST = EditRequest("The mother tongue of {} is", "Danielle Darrieux", "English", "French")
BASE = BaseRecord(
    id="HuggingFaceTB/SmolLM2-135M-Instruct",
    revision="7e27bd9f95328f0f3b08261d1252705110c806f8",
    tokenizer=None,
    tensors={TENSOR: TensorRecord("F32", (6, 4), "a" * 64)},
    result={TENSOR: "b" * 64},
)
MANIFEST = Manifest(
    name="acme/tongues",
    version=3,
    bases=(BASE,),
    operations={TENSOR: (OperationRecord("lowrank", 1, 1.5, 0.0123),)},
    files={},
    method=MethodRecord("rome", "1", {"layer": 4}, 0, {}, (), "cpu", {"torch": "2.13.0"}),
    created="2026-03-03T11:00:00Z",
    author="ada",
    licence="Apache-2.0",
    message="She spoke English, after all.",
    parents=("c" * 64,),
)
SCORES = {
    "reliability.exact-match": Mean(0.0, 1.0, 2),
    "rome.es": Mean(0.25, 0.9876543, 2),
    "odd": Mean(None, 0.5, 1),
    "endless": Mean(0.0, float("inf"), 1),
}


@dataclass(frozen=True)
class Scored:
    suite: str = "requests"
    suite_digest: str = "d" * 64
    means: Mapping[str, Mean] = field(default_factory=lambda: SCORES)


@pytest.fixture
def make_patch(tmp_path):
    def make(*requests: EditRequest, **fields: object) -> Patch:
        operation = LowRank.snapped(np.ones((6, 1)), np.ones((1, 4)))
        files = write_files(tmp_path, {TENSOR: [operation]}, {}, requests or (REQUEST,))
        manifest = replace(MANIFEST, files=files, **fields)
        (tmp_path / "patch.json").write_bytes(manifest.to_bytes())
        return Patch.open(tmp_path)

    return make


def test_the_hub_finds_base_method_licence_and_scores(make_patch):
    data = ModelCard(write_card(make_patch(), [Scored()])).data

    assert data.base_model == BASE.id
    assert data.base_model_relation == "adapter"
    assert data.library_name == "weightpatch"
    assert data.tags == ["model-edit", "edit-method:rome"]
    assert data.license == "apache-2.0"
    assert data.model_name == "acme/tongues"
    assert {result.metric_type: result.metric_value for result in data.eval_results} == {
        "reliability.exact-match": 1.0,
        "rome.es": 0.987654,
        "odd": 0.5,
    }


def test_every_suite_is_a_result_that_the_hub_reads_and_writes_alike(make_patch):
    evaluations = [
        Scored("counterfact", "1" * 64, {"rome.ns": Mean(0.9, 0.8, 50)}),
        Scored(),
        Scored("requests", "2" * 64, {"rome.es": Mean(0.0, 0.1, 2)}),
        Scored("text", "3" * 64, {"perplexity": Mean(23.5, 24.125, 9)}),
    ]
    card = write_card(make_patch(), evaluations)
    data = ModelCard(card).data

    assert [
        (result.dataset_type, result.dataset_revision, result.metric_type, result.metric_value)
        for result in data.eval_results
    ] == [
        ("weightpatch-counterfact", "1" * 64, "rome.ns", 0.8),
        ("weightpatch-requests", "d" * 64, "reliability.exact-match", 1.0),
        ("weightpatch-requests", "d" * 64, "rome.es", 0.987654),
        ("weightpatch-requests", "d" * 64, "odd", 0.5),
        ("weightpatch-text", "3" * 64, "perplexity", 24.125),
    ]
    written = yaml.safe_load(card.split("---\n")[1])["model-index"]
    again = eval_results_to_model_index(data.model_name, data.eval_results)
    assert model_index_to_eval_results(again) == model_index_to_eval_results(written)
    assert again == written
    assert card.count("\nSuite ") == 3
    assert "| perplexity | 23.5000 | 24.1250 | 9 |" in card


def test_of_a_curve_the_last_point_is_named_so(make_patch):
    curve = {"retention.reliability.exact-match": Mean(0.0, 0.8, 3)}
    card = write_card(make_patch(), [Scored("retention", "1" * 64, curve), Scored()])

    assert "Suite retention, after all edits of the sequence:" in card
    assert "| 0.0000 | 0.8000 |" in card
    assert "weightpatch-retention" in {
        one.dataset_type for one in ModelCard(card).data.eval_results
    }


def test_numbers_have_their_units(make_patch):
    means = {"efficiency.peak-memory": 2.5e9, "efficiency.seconds": 12.5, "rome.es": 1.0}
    scored = Scored(means={name: Mean(None, value, 1) for name, value in means.items()})
    card = write_card(make_patch(), [scored])

    for shown in ("2.5 GB", "12.50 s", "1.0000"):
        assert f" |  | {shown} | 1 | " in card


def test_a_flood_of_suites_is_cut(make_patch):
    card = write_card(make_patch(), [Scored(f"suite-{n}") for n in range(MAX_SUITES + 5)])

    assert card.count("\nSuite ") == MAX_SUITES


def test_people_find_what_it_changes_and_how_to_use_it(make_patch):
    patch = make_patch()
    card = write_card(patch, [Scored()])

    assert "| The mother tongue of Danielle Darrieux is | English | French |" in card
    assert "She spoke English, after all." in card
    assert "weightpatch pull hf://acme/tongues@v3\n" in card
    assert f"weightpatch apply acme/tongues@3 --base {BASE.id}@{BASE.revision} --out" in card
    assert "| 0.2500 | 0.9877 | 2 | Efficacy score" in card
    assert r"| model\.layers\.0\.mlp\.down\_proj\.weight | lowrank | 1 | 0.0123 |" in card
    for digest in (
        patch.digest,
        "b" * 64,
        "c" * 64,
        patch.manifest.files["delta.safetensors"].sha256,
    ):
        assert digest in card


@pytest.mark.parametrize(
    ("id", "revision", "shown"),
    [("smollm2", None, "BASE"), ("gpt2", "main", "gpt2@main"), ("org/model", None, "org/model")],
)
def test_a_base_that_only_its_publisher_has_is_left_to_the_reader(make_patch, id, revision, shown):  # noqa: A002
    card = write_card(make_patch(bases=(replace(BASE, id=id, revision=revision),)))
    assert f"weightpatch apply acme/tongues@3 --base {shown} --out" in card


def test_a_card_needs_no_scores(make_patch):
    card = write_card(make_patch())

    assert "## Scores" not in card
    assert ModelCard(card).data.eval_results is None


def test_many_requests_are_counted_not_listed(make_patch):
    requests = [replace(REQUEST, id=str(number)) for number in range(MAX_ROWS + 5)]

    card = write_card(make_patch(*requests))

    assert card.count("Danielle Darrieux") == MAX_ROWS
    assert "and 5 more in `requests.jsonl`" in card


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", {"license": "mit"}),
        (None, {}),
        ("ACME Research v2", {"license": "other", "license_name": "acme-research-v2"}),
        ("mit\ntags: [x]", {"license": "other", "license_name": "mit-tags-x"}),
    ],
)
def test_a_licence_that_the_hub_does_not_know_is_called_other(licence, expected):
    record = metadata(front_matter(replace(MANIFEST, licence=licence), []))

    assert {name: record[name] for name in record if name.startswith("license")} == expected


@pytest.mark.parametrize(
    "name", ["smollm2", "a/b/c", "../x", "a b/c", "org/--x", "org/x\ntags: [y]"]
)
def test_a_base_without_a_hub_id_claims_none(name):
    record = metadata(front_matter(replace(MANIFEST, bases=(replace(BASE, id=name),)), []))

    assert "base_model" not in record
    assert "base_model_relation" not in record


def test_several_bases_are_all_named():
    bases = (BASE, replace(BASE, id="acme/copy"), replace(BASE, id="acme/copy"))

    record = metadata(front_matter(replace(MANIFEST, bases=bases), []))

    assert record["base_model"] == [BASE.id, "acme/copy"]


HOSTILE = '\n---\n<script>alert(1)</script>\n[x](https://example.org) ```\n"; rm -rf / #'


def test_hostile_text_changes_nothing_but_what_is_shown(make_patch):
    line = HOSTILE.replace("\n", " ")  # these fields hold one line, or are refused
    method = MethodRecord(line, line, {HOSTILE: HOSTILE}, 0, {}, (), line, {line: line})
    request = EditRequest(HOSTILE + " {}", "Danielle", HOSTILE, HOSTILE)
    base = replace(BASE, id=line, revision=line)
    hostile = make_patch(
        request, method=method, author=line, licence=line, message=HOSTILE, bases=(base,)
    )

    card = write_card(hostile, [Scored(HOSTILE, HOSTILE, {HOSTILE: Mean(0.0, 1.0, 1)})])

    assert "<script" not in card
    assert working(card) == {"code_inline"}
    assert [line for line in card.splitlines() if line.startswith("```")] == ["```sh", "```"]
    assert "--base BASE --out" in card
    assert card.count("\n---\n") == 1
    assert set(ModelCard(card).data.to_dict()) == {
        "library_name",
        "tags",
        "license",
        "license_name",
        "model-index",
    }


def working(card: str) -> set[str]:
    """What does something in the card's body besides showing text."""
    body = card.split("\n---\n", 1)[1]
    tokens = MARKDOWN.parse(body)
    assert not [token for token in tokens if token.type == "html_block"]
    inline = [token.children for token in tokens if token.type == "inline"]
    return {child.type for children in inline for child in children} - {"text", "text_special"}


@given(st.text(max_size=80))
def test_any_text_survives_as_yaml(text):
    method = replace(MANIFEST.method, name=text)
    manifest = replace(MANIFEST, method=method, licence=text)

    block = front_matter(manifest, [Scored(text, text, {text: Mean(None, 0.5, 1)})])

    record = metadata(block)
    assert list(record) == [key for key in _ORDER if key in record]
    assert record["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.5
    assert ModelCard(block + "\n# card\n").data.library_name == "weightpatch"


_ORDER = (
    "library_name", "tags", "base_model", "base_model_relation", "license", "license_name",
    "model-index",
)  # fmt: skip


def metadata(block: str) -> dict:
    assert block.startswith("---\n")
    assert block.endswith("\n---\n")
    return yaml.safe_load(block[4:-4])


def test_the_card_is_no_part_of_the_version(make_patch, tmp_path: Path):
    patch = make_patch()

    (tmp_path / "README.md").write_text(write_card(patch, [Scored()]))

    assert Patch.open(tmp_path).digest == patch.digest
