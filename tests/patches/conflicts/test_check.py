"""What clashes is found before it is applied, and measured as the dense matrices would say."""

import time

import numpy as np
import pytest
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.conflicts.check import (
    MAX_FINDINGS,
    Finding,
    Thresholds,
    check,
    interference,
    normalised,
)
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.inner_products import cosine
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.requests import EditRequest, Probe

CAPITAL = "The capital of {} is"


def facts(pico, one: EditRequest, other: EditRequest) -> list[tuple[str, str]]:
    """Severity and sentence of what is found between two requests."""
    base = pico.base()
    patches = [
        pico.patch(base, "acme/one", requests=[one]),
        pico.patch(
            base,
            "acme/two",
            requests=[other],
            operations={pico.UP: [pico.lowrank((10, 6))]},
        ),
    ]
    return [(finding.severity, finding.sentence) for finding in check(patches)]


def weights(findings: list[Finding]) -> Finding:
    (finding,) = (finding for finding in findings if finding.level == "weights")
    return finding


def edit(
    pico, base: Checkpoint, name: str, seed: int, *, tensor: str = "", transposed: bool = False
) -> Patch:
    """As ROME makes it: Δ = residual keyᵀ / ‖key‖², its key and residual kept beside."""
    tensor = tensor or pico.DOWN
    shape = base.tensors[tensor].shape
    out, width = reversed(shape) if transposed else shape
    random = np.random.default_rng(seed)
    key, residual = random.standard_normal((1, width)), random.standard_normal((1, out))
    a, b = residual.T, key / np.sum(key**2)
    operation = LowRank.snapped(b.T, a.T) if transposed else LowRank.snapped(a, b)
    return pico.patch(
        base,
        name,
        operations={tensor: [operation]},
        requests=[EditRequest(CAPITAL, name, "Lyon")],
        auxiliary={
            f"{tensor}::aux.keys": key.astype(np.float32),
            f"{tensor}::aux.residuals": residual.astype(np.float32),
        },
    )


def dense(patch: Patch, tensor: str) -> np.ndarray:
    return sum(o.rows(0, o.shape[0]) for o in patch.operations[tensor])


def test_two_answers_to_one_prompt_are_a_contradiction(pico):
    ((severity, sentence),) = facts(
        pico, EditRequest(CAPITAL, "France", "Lyon"), EditRequest(CAPITAL, "France", "Nice")
    )
    assert severity == "conflict"
    assert sentence.startswith("contradiction")


@pytest.mark.parametrize(
    ("subject", "prompt", "target"),
    [
        ("FRANCE", CAPITAL, "Nice"),
        ("\U0001d405RANCE", CAPITAL, "Nice"),
        (" France ", "The  capital of\n{} is ", "Nice"),
    ],
)
def test_spelling_does_not_hide_a_contradiction(pico, subject: str, prompt: str, target: str):
    found = facts(
        pico, EditRequest(CAPITAL, "France", "Lyon"), EditRequest(prompt, subject, target)
    )
    assert [severity for severity, _ in found] == ["conflict"]


def test_composed_and_decomposed_letters_are_the_same(pico):
    found = facts(
        pico,
        EditRequest(CAPITAL, "Rom\u00e1nia", "Lyon"),
        EditRequest(CAPITAL, "Roma\u0301nia", "Nice"),
    )
    assert [severity for severity, _ in found] == ["conflict"]


def test_a_contradiction_is_found_in_a_paraphrase(pico):
    found = facts(
        pico,
        EditRequest(CAPITAL, "France", "Lyon", paraphrases=(Probe("France's capital:", "Lyon"),)),
        EditRequest("{}'s capital:", "France", "Nice"),
    )
    assert [severity for severity, _ in found] == ["conflict"]


def test_one_edit_made_twice_is_a_warning(pico):
    ((severity, sentence),) = facts(
        pico, EditRequest(CAPITAL, "France", "Lyon"), EditRequest(CAPITAL, "France", " lyon")
    )
    assert severity == "warning"
    assert "made twice" in sentence


def test_one_subject_in_two_relations_is_a_warning(pico):
    found = facts(
        pico, EditRequest(CAPITAL, "France", "Lyon"), EditRequest("{} borders", "France", "Peru")
    )
    assert [severity for severity, _ in found] == ["warning"]


def test_one_subject_and_answer_in_two_relations_is_a_note(pico):
    found = facts(
        pico, EditRequest(CAPITAL, "France", "Lyon"), EditRequest("{} loves", "France", "Lyon")
    )
    assert [severity for severity, _ in found] == ["note"]


def test_two_subjects_have_nothing_to_do_with_each_other(pico):
    assert not facts(
        pico, EditRequest(CAPITAL, "France", "Lyon"), EditRequest(CAPITAL, "Italy", "Lyon")
    )


@pytest.mark.parametrize("text", ["\u0130stanbul", "stra\u00dfe", "\ufb03", "\U0001d405"])
def test_what_differs_in_case_or_form_is_normalised_alike(text: str):
    assert normalised(text) == normalised(normalised(text))
    assert normalised(text.casefold()) == normalised(text)


def test_the_gravest_comes_first(pico):
    base = pico.base()
    same = EditRequest(CAPITAL, "France", "Lyon")
    patches = [
        pico.patch(base, "acme/one", requests=[same]),
        pico.patch(base, "acme/two", requests=[EditRequest(CAPITAL, "France", "Nice")], seed=5),
    ]
    found = check(patches, thresholds=Thresholds(cosine=2))
    assert [finding.severity for finding in found] == ["conflict", "note"]


def test_every_pair_is_looked_at(pico):
    base = pico.base()
    patches = [edit(pico, base, f"acme/p{seed}", seed) for seed in range(3)]
    assert len(check(patches)) == 3


def test_one_patch_clashes_with_nothing(pico):
    assert check([pico.patch(pico.base())]) == []


def test_the_cosine_is_that_of_the_dense_matrices(pico):
    base = pico.base()
    one = pico.patch(
        base,
        "acme/one",
        operations={pico.DOWN: [pico.lowrank((6, 10), rank=3), pico.lowrank((6, 10), seed=5)]},
    )
    mixed = [pico.lowrank((6, 10), seed=2), Dense(np.arange(60, dtype=np.float32).reshape(6, 10))]
    two = pico.patch(base, "acme/two", operations={pico.DOWN: mixed})
    a, b = dense(one, pico.DOWN), dense(two, pico.DOWN)
    expected = np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)
    assert weights(check([one, two])).numbers["cosine"] == pytest.approx(expected)


def test_a_delta_that_cancels_itself_has_no_direction(pico):
    # For this seed rounding makes its square norm negative.
    base = pico.base()
    both = pico.lowrank((6, 10), rank=2, seed=37)
    terms = [
        LowRank(both.a[:, :1], both.b[:1]),
        LowRank(both.a[:, 1:], both.b[1:]),
        LowRank(-both.a, both.b),
    ]
    nothing = pico.patch(base, "acme/zero", operations={pico.DOWN: terms})
    found = weights(check([nothing, pico.patch(base)]))
    assert found.numbers["cosine"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("transposed", [False, True])
def test_the_interference_is_that_of_the_dense_matrices(pico, *, transposed: bool):
    base = pico.base()
    one, two = (edit(pico, base, f"acme/p{s}", s, transposed=transposed) for s in (1, 2))
    delta = dense(one, pico.DOWN)
    key = two.auxiliary[f"{pico.DOWN}::aux.keys"][0]
    residual = two.auxiliary[f"{pico.DOWN}::aux.residuals"][0]
    moved = delta.T @ key if transposed else delta @ key
    expected = np.linalg.norm(moved) / np.linalg.norm(residual)
    assert interference(one, two, pico.DOWN) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_square_tensor_shows_by_its_delta_how_it_is_stored(pico, *, transposed: bool):
    base = pico.base_of({"square": np.ones((8, 8), np.float32)})
    one, two = (
        edit(pico, base, f"acme/p{s}", s, tensor="square", transposed=transposed) for s in (1, 2)
    )
    delta = dense(one, "square").T if transposed else dense(one, "square")
    key, residual = (two.auxiliary[f"square::aux.{what}"][0] for what in ("keys", "residuals"))
    expected = np.linalg.norm(delta @ key) / np.linalg.norm(residual)
    assert interference(one, two, "square") == pytest.approx(expected, rel=1e-5)


def test_an_edit_on_the_same_key_is_a_warning(pico):
    base = pico.base()
    one = edit(pico, base, "acme/one", 1)
    other = LowRank.snapped(np.ones((6, 1)), one.operations[pico.DOWN][0].b[:] * 3)
    found = weights(check([one, pico.patch(base, "acme/two", operations={pico.DOWN: [other]})]))
    assert found.severity == "warning"
    assert found.numbers["interference"] > 0.5
    assert "moves the other's answer" in found.sentence


def test_an_edit_on_another_key_is_a_note(pico):
    base = pico.base()
    one = edit(pico, base, "acme/one", 1)
    key = one.auxiliary[f"{pico.DOWN}::aux.keys"][0].astype(np.float64)
    away = np.eye(10)[0] - key * key[0] / np.sum(key**2)
    other = LowRank.snapped(np.ones((6, 1)), away[None])
    found = weights(check([one, pico.patch(base, "acme/two", operations={pico.DOWN: [other]})]))
    assert found.severity == "note"
    assert found.numbers["interference"] < 1e-5


@pytest.mark.parametrize(
    "auxiliary",
    [
        {},
        {"keys": (1, 10)},
        {"keys": (10,), "residuals": (6,)},
        {"keys": (2, 10), "residuals": (1, 6)},
        {"keys": (1, 9), "residuals": (1, 6)},
        {"keys": (1, 1, 10), "residuals": (1, 1, 6)},
    ],
    ids=str,
)
def test_what_was_kept_beside_a_delta_may_be_of_no_use(pico, auxiliary):
    base = pico.base()
    arrays = {
        f"{pico.DOWN}::aux.{name}": np.ones(shape, np.float32) for name, shape in auxiliary.items()
    }
    one, two = pico.patch(base), pico.patch(base, "acme/two", auxiliary=arrays, seed=2)
    assert interference(one, two, pico.DOWN) is None
    assert "interference" not in weights(check([one, two])).numbers


def test_the_interference_of_a_dense_edit_is_not_known(pico):
    base = pico.base()
    whole = pico.patch(base, operations={pico.DOWN: [Dense(np.ones((6, 10), np.float32))]})
    assert interference(whole, edit(pico, base, "acme/two", 1), pico.DOWN) is None


def test_patches_on_different_tensors_do_not_meet(pico):
    base = pico.base()
    other = pico.patch(
        base,
        "acme/two",
        operations={pico.UP: [pico.lowrank((10, 6))]},
        requests=[pico.OTHER_REQUEST],
    )
    assert check([pico.patch(base), other]) == []


def test_a_composition_clashes_with_its_member(pico):
    base = pico.base()
    one, two = edit(pico, base, "acme/one", 1), edit(pico, base, "acme/two", 2)
    found = weights(check([pico.composed(base, [one, two], "acme/both"), one]))
    assert found.severity == "conflict"


@pytest.mark.parametrize("seed", [1, None])
def test_patches_for_different_bases_clash(pico, seed: int | None):
    base = pico.base()
    tensors = pico.tensors(seed=1)
    if seed is None:
        tensors[pico.DOWN] = tensors[pico.DOWN][:4]
    other = pico.base_of(tensors, "other")
    operation = pico.lowrank(other.tensors[pico.DOWN].shape, seed=2)
    two = pico.patch(
        other, "acme/two", operations={pico.DOWN: [operation]}, requests=[pico.OTHER_REQUEST]
    )
    found = weights(check([pico.patch(base), two]))
    assert found.severity == "conflict"
    assert "different bases" in found.sentence


@pytest.mark.parametrize("prompt", ["The capital of {} is", "Fact number %d of {} is"])
@pytest.mark.parametrize("target", ["Lyon", "Lyon %d"])
def test_many_requests_about_one_subject_are_quickly_compared(pico, prompt: str, target: str):
    def requests(offset: int) -> list[EditRequest]:
        return [
            EditRequest(
                prompt.replace("%d", str(offset + n)),
                "France",
                target.replace("%d", str(offset + n)),
                id=str(n),
            )
            for n in range(2000)
        ]

    base = pico.base()
    patches = [
        pico.patch(base, "acme/one", requests=requests(0)),
        pico.patch(
            base,
            "acme/two",
            requests=requests(1000),
            operations={pico.UP: [pico.lowrank((10, 6))]},
        ),
    ]
    assert all(len(patch.requests) == 2000 for patch in patches)
    start = time.process_time()
    found = check(patches)
    assert time.process_time() - start < 8
    assert len(found) == MAX_FINDINGS + 1
    assert found[-1].numbers == {"more": 2000 * 2000 - MAX_FINDINGS}
    assert str(2000 * 2000 - MAX_FINDINGS) in found[-1].sentence


def test_the_gravest_findings_are_among_those_shown(pico):
    many = [EditRequest(f"Fact {n} of {{}} is", "France", "Lyon", id=str(n)) for n in range(40)]
    last = EditRequest("Fact 39 of {} is", "France", "Nice", id="last")
    base = pico.base()
    patches = [
        pico.patch(base, "acme/one", requests=many),
        pico.patch(base, "acme/two", requests=[*many, last], seed=2),
    ]
    severities = [finding.severity for finding in check(patches) if finding.level == "facts"]
    assert len(severities) == MAX_FINDINGS + 1
    assert severities[:80] == ["conflict"] + ["warning"] * 79


def test_many_operations_have_the_cosine_of_their_sum(pico):
    base = pico.base()
    several = [pico.lowrank((6, 10), seed=seed) for seed in range(600)]
    mixed = [*several[:3], Dense(np.ones((6, 10), np.float32))]
    one = pico.patch(base, "acme/one", operations={pico.DOWN: several})
    two = pico.patch(base, "acme/two", operations={pico.DOWN: mixed})
    for other in (one, two):
        expected = np.vdot(dense(one, pico.DOWN), dense(other, pico.DOWN))
        expected /= np.linalg.norm(dense(one, pico.DOWN)) * np.linalg.norm(dense(other, pico.DOWN))
        start = time.process_time()
        found = cosine(one.operations[pico.DOWN], other.operations[pico.DOWN])
        assert time.process_time() - start < 4
        assert found == pytest.approx(expected)


def test_patches_of_different_bases_clash_also_where_no_tensor_is_shared(pico):
    other = pico.base_of({"h.0.weight": pico.tensors()[pico.DOWN]}, "gpt")
    (other.path / "tokenizer.json").write_text('{"version": "2.0"}')
    foreign = pico.patch(
        Checkpoint.open(other.path),
        "acme/gpt",
        operations={"h.0.weight": [pico.lowrank((6, 10))]},
        requests=[pico.OTHER_REQUEST],
    )
    own = pico.patch(pico.base())
    (finding,) = check([own, foreign])
    assert (finding.severity, finding.where) == ("conflict", "base")
    assert finding.sentence == "made for different bases: base, and gpt"


def test_a_base_of_another_name_may_be_a_copy(pico):
    own = pico.patch(pico.base())
    copied = pico.patch(
        pico.base("copy"),
        "acme/up",
        operations={pico.UP: [pico.lowrank((10, 6))]},
        requests=[pico.OTHER_REQUEST],
    )
    (finding,) = check([own, copied])
    assert finding.severity == "warning"
    assert finding.sentence.startswith("made for different bases: base, and copy; they have the")
