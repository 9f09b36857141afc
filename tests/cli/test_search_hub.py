"""search --hub, as a user and as a program read it."""

from dataclasses import replace

import pytest
from loopback_faults import Fault
from loopback_messages import Reply
from weightpatch.patches.evaluation.base import Evaluation, Score
from weightpatch.patches.format.patch import Draft
from weightpatch.registry.registry import Registry
from weightpatch.registry.sharing.exchange import push

BASE = "org/Model"
SCORES = {"reliability.exact-match": 1.0, "locality.exact-match": 0.75}


@pytest.fixture
def published(desk, pico, hub, tmp_path):
    """The desk, with two versions of acme/capitals and one of acme/tongues on the Hub."""
    with Registry.create(home=tmp_path / "publisher", actor="ada") as registry:
        for seed, name in enumerate(("acme/tongues", "acme/capitals", "acme/capitals")):
            patch = pico.patch(desk.base, f"acme/draft-{seed}", seed=seed)
            bases = tuple(replace(base, id=BASE) for base in patch.manifest.bases)
            manifest = replace(patch.manifest, name=name, bases=bases)
            info = registry.publish(Draft(manifest, patch.files["patch.json"].parent))
            if seed:
                registry.record_evaluation(info.digest, "f" * 64, evaluation())
            push(registry, info.label, "hf://", public=True)
    hub.requests.clear()
    return desk


def evaluation() -> Evaluation:
    return Evaluation(
        suite="requests",
        suite_digest="0" * 64,
        definitions=dict.fromkeys(SCORES, "as it is"),
        scores=tuple(Score("1", name, None, value, 1) for name, value in SCORES.items()),
        environment={},
    )


def test_patches_for_a_base_are_listed_with_versions_and_scores(published, hub):
    hub["acme/tongues"].gated = "auto"

    found = published.run("search", "--hub", "--base", BASE)

    assert found.returncode == 0, found.stderr
    head, _, first, second = found.stdout.splitlines()
    assert head.split() == [
        "newest",
        "versions",
        "method",
        "rel.",
        "gen.",
        "loc.",
        "changed",
    ]
    assert first.split() == ["acme/capitals@2", "2", "rome", "1.000", "-", "0.750", "2026-01-01"]
    assert second.split()[:4] == ["acme/tongues@1", "(gated)", "1", "rome"]
    assert found.stderr.count("checked before it is pulled") == 1
    assert "weightpatch show hf://acme/capitals\n" in found.stderr
    assert len(hub.requests) == 3


def test_as_json_it_has_all_versions_and_all_scores(published, hub):
    hub.faults.append(Fault("GET", "acme/tongues/refs$", instead=Reply(403)))

    document = published.json("search", "--hub", "--method", "rome", "--author", "acme")

    assert document["schema"] == "weightpatch.search-remote/1"
    (patch,) = document["patches"]
    assert (patch["name"], patch["newest"], patch["versions"]) == ("acme/capitals", 2, [1, 2])
    assert (patch["scores"], patch["bases"]) == (SCORES, [BASE])
    (unanswered,) = document["unanswered"]
    assert (unanswered["name"], unanswered["code"]) == ("acme/tongues", "E_AUTH")
    assert (document["left_out"], document["more"]) == (0, False)


def test_words_scores_and_a_limit_choose(published):
    found = published.run("search", "--hub", "capital", "--score", "locality<0.9")
    assert "acme/capitals@2" in found.stdout
    few = published.run("search", "--hub", "--limit", "1")
    assert "acme/tongues" not in few.stdout
    assert "there may be more" in few.stderr
    assert published.run("search", "--hub", "nonsense").stderr == "nothing found\n"


def test_a_folder_as_base_is_the_model_that_it_says_it_is(published, pico):
    unnamed = published.fails(1, "E_CHECKPOINT", "search", "--hub", "--base", published.base.path)
    assert "--base organisation/model" in unnamed
    config = published.base.path / "config.json"
    config.write_text(f'{{"_name_or_path": "{BASE}"}}')
    found = published.run("search", "--hub", "--base", published.base.path)
    assert "acme/capitals@2" in found.stdout
    assert f"is {BASE}, as its config.json says" in found.stderr


@pytest.mark.parametrize("option", ["--tensor", "--subject", "--before"])
def test_what_the_hub_cannot_tell_is_wrong_usage(published, hub, option):
    value = f"sha256:{'0' * 64}" if option == "--before" else "x"
    found = published.run("search", "--hub", option, value)
    assert found.returncode == 2
    assert f"No remote can be searched by {option}" in " ".join(found.stderr.split())
    assert not hub.requests


def test_without_an_answer_it_says_what_to_do(published, hub):
    hub.faults.append(Fault("GET", "^/api/models$", instead=Reply(401)))
    assert "hf auth login" in published.fails(1, "E_AUTH", "search", "--hub")


def test_a_folder_is_searched_as_the_hub_is(stocked, tmp_path):
    found = stocked.run("search", "--remote", stocked.exchange, "ONE", "--base", stocked.base.path)
    assert found.stdout.splitlines()[2].split()[:3] == ["acme/one@1", "1", "rome"]
    assert f"weightpatch show {stocked.exchange / 'acme' / 'one' / 'v1'}\n" in found.stderr
    assert stocked.run("search", "--remote", stocked.exchange, "--hub").returncode == 2
    stocked.fails(1, "E_NOT_FOUND", "search", "--remote", tmp_path / "nothing")
