"""Edits of related subjects on a real model: alone they work, summed not all, solved again all."""

import pytest
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import load_model
from weightpatch.patches.composition.compose import Blend, compose
from weightpatch.patches.draft import Origin
from weightpatch.patches.evaluation.base import evaluate
from weightpatch.patches.evaluation.requests import RequestProbes
from weightpatch.patches.live import patched
from weightpatch.patches.make import Recipe, make
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.requests import EditRequest

CAPITALS = {
    "France": "Lyon",
    "Germany": "Hamburg",
    "Italy": "Milan",
    "Spain": "Seville",
    "Poland": "Krakow",
    "Austria": "Graz",
}
# Wholly shrunk, ROME needs no statistics; its edits then disturb one another all the more.
RECIPE = Recipe("rome", {"shrinkage": "1", "prefixes": "0", "steps": "15"})


def origin(name: str) -> Origin:
    return Origin(name, author="ada", created="2026-01-31T12:00:00Z")


@pytest.mark.slow
def test_solved_together_related_edits_hold_where_their_sum_does_not(smollm2, tmp_path):
    base = Checkpoint.open(smollm2)
    model = load_model(base)
    resources = Resources(KeyStatistics(tmp_path / "statistics"))
    patches = []
    for country, city in CAPITALS.items():
        folder = tmp_path / country
        folder.mkdir()
        request = EditRequest("The capital of {} is", country, city)
        draft = make(folder, model, [request], RECIPE, origin(f"acme/{country.lower()}"), resources)
        patches.append(draft.as_patch())

    def reliability(patch) -> float:
        found = evaluate(
            RequestProbes(), model.model, model.tokenizer, patch.requests,
            patched(model.model, patch),
        )  # fmt: skip
        return found.means()["reliability.exact-match"].after

    together = {}
    for name, blend in (("sum", Blend()), ("resolve", Blend("resolve"))):
        folder = tmp_path / name
        folder.mkdir()
        draft = compose(base, patches, folder, origin(f"acme/{name}"), {"numpy": "2"}, blend)
        together[name] = reliability(draft.as_patch())
    assert [reliability(patch) for patch in patches] == [1.0] * len(patches)
    assert together["resolve"] == 1.0
    assert together["sum"] <= 0.5
