"""What requests have to do with each other: reversed, what follows, and what must stay."""

import time
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.conflicts.facts import MAX_FINDINGS, facts
from weightpatch.patches.conflicts.statements import Statements, related
from weightpatch.patches.requests import EditRequest, Probe

CAPITAL, IS_CAPITAL_OF = "The capital of {} is", "{} is the capital of"
LYON = EditRequest(
    CAPITAL,
    "France",
    "Lyon",
    old_target="Paris",
    portability={
        "reversed": (Probe("Lyon is the capital of", "France"),),
        "one-hop": (Probe("The French president works in", "Lyon"),),
        "alias": (Probe("The capital of the Hexagon is", "Lyon"),),
    },
    neighbourhood=(Probe("The capital of Italy is", "Rome"),),
)


def found(*sides: EditRequest) -> list[tuple[str, str]]:
    """Severity and sentence of what is found between two requests, which is the same either way."""
    one, other = (Statements(f"acme/p{number}", [each]) for number, each in enumerate(sides))
    straight, turned = list(facts(one, other)), list(facts(other, one))
    assert [each.severity for each in straight] == [each.severity for each in turned]
    return [(each.severity, each.sentence) for each in straight]


def severities(*sides: EditRequest) -> list[str]:
    return [severity for severity, _ in found(*sides)]


def test_a_fact_and_another_reverse_of_it_contradict_each_other():
    ((severity, sentence),) = found(LYON, EditRequest(IS_CAPITAL_OF, "Lyon", "Italy"))
    assert severity == "conflict"
    assert sentence.startswith("contradiction")
    assert "reverse" in sentence


def test_a_fact_and_its_reverse_are_a_note():
    ((severity, sentence),) = found(LYON, EditRequest(IS_CAPITAL_OF, "Lyon", "France"))
    assert severity == "note"
    assert "reverse" in sentence


def test_one_answer_for_two_subjects_read_backwards_is_a_warning():
    spain = {"reversed": (Probe("Lyon is the capital of", "Spain"),)}
    assert severities(LYON, EditRequest(CAPITAL, "Spain", "Lyon", portability=spain)) == ["warning"]


def test_an_edit_that_takes_the_reverse_back_is_a_warning():
    plain = replace(LYON, portability={})
    back = EditRequest("{} governs", "Lyon", "Spain", old_target="France")
    ((severity, sentence),) = found(plain, back)
    assert severity == "warning"
    assert "takes back" in sentence


def test_subject_and_target_swapped_are_a_note():
    plain = replace(LYON, portability={})
    assert severities(plain, EditRequest("{} governs", "Lyon", "France")) == ["note"]


def test_an_edit_of_what_another_answers_is_a_note():
    plain = replace(LYON, portability={})
    ((severity, sentence),) = found(plain, EditRequest("{} lies in", "Lyon", "Spain"))
    assert severity == "note"
    assert "Lyon" in sentence


def test_an_edit_against_what_follows_from_another_is_a_warning():
    president = EditRequest("The {} works in", "French president", "Nice")
    assert severities(LYON, president) == ["warning"]


def test_another_name_of_the_subject_does_not_hide_a_contradiction():
    assert severities(LYON, EditRequest(CAPITAL, "the Hexagon", "Nice")) == ["conflict"]


def test_an_edit_of_what_another_must_leave_alone_is_a_warning():
    ((severity, sentence),) = found(LYON, EditRequest(CAPITAL, "Italy", "Milan"))
    assert severity == "warning"
    assert "must leave" in sentence


@pytest.mark.parametrize("subject", ["Italy", "ITALY", "It\u200baly"])
def test_a_subject_in_the_neighbourhood_is_a_warning(subject: str):
    ((severity, sentence),) = found(LYON, EditRequest("The flag of {} is", subject, "blue"))
    assert severity == "warning"
    assert "neighbourhood" in sentence


def test_a_part_of_a_word_is_no_subject():
    assert not found(LYON, EditRequest("The flag of {} is", "Ital", "blue"))


def test_a_letter_with_an_accent_is_another_subject():
    jose, plain = (EditRequest("{} sings", name, "low") for name in ("Jos\u00e9", "Jose"))
    assert not found(jose, plain)
    assert severities(jose, replace(plain, subject="Jose\u0301", target="high")) == ["conflict"]


def test_a_pair_is_found_once_as_the_gravest_that_it_is():
    other = replace(LYON, target="Nice", portability={}, neighbourhood=())
    assert severities(LYON, other) == ["conflict"]


def test_thousands_of_requests_that_all_disturb_each_other_are_bounded():
    def side(label: str, subject: str, other: str) -> Statements:
        neighbours = tuple(Probe(f"A fact about {other} {n} is", "so") for n in range(3))
        requests = [
            EditRequest(
                f"Fact {n} of {{}} is", f"{subject} {n % 10}", "x", neighbourhood=neighbours
            )
            for n in range(3000)
        ]
        return Statements(label, requests)

    one, other = side("acme/one", "France", "Italy"), side("acme/two", "Italy", "France")
    findings = list(facts(one, other))
    assert len(findings) == MAX_FINDINGS + 1
    assert findings[-1].numbers["more"] > MAX_FINDINGS
    assert findings[-1].sentence.startswith("at least")


NAMES = st.sampled_from(["France", "Italy", "Lyon", "Rome"])
PROBES = st.builds(Probe, st.builds("{} is the capital of".format, NAMES), NAMES)
REQUESTS = st.builds(
    EditRequest,
    st.sampled_from([CAPITAL, IS_CAPITAL_OF]),
    NAMES,
    NAMES,
    old_target=st.none() | NAMES,
    portability=st.fixed_dictionaries({"reversed": st.tuples(PROBES)}) | st.just({}),
    neighbourhood=st.tuples() | st.tuples(PROBES),
)


@given(st.lists(st.lists(REQUESTS, min_size=1, max_size=2), min_size=2, max_size=6))
def test_the_pairs_found_by_index_are_those_with_a_finding(sides):
    statements = [Statements(f"acme/p{n}", requests) for n, requests in enumerate(sides)]
    pairs = set(related(statements))
    for one in range(len(statements)):
        for other in range(one + 1, len(statements)):
            if list(facts(statements[one], statements[other])):
                assert (one, other) in pairs


@given(st.lists(st.lists(REQUESTS, min_size=1, max_size=2), min_size=2, max_size=6))
def test_conflicts_alone_are_those_that_all_rules_find(sides):
    statements = [Statements(f"acme/p{n}", requests) for n, requests in enumerate(sides)]
    pairs = set(related(statements, conflicts_only=True))
    for one, other in combinations(range(len(statements)), 2):
        pair = statements[one], statements[other]
        expected = [each for each in facts(*pair) if each.severity == "conflict"]
        assert list(facts(*pair, conflicts_only=True)) == expected
        assert (one, other) in pairs or not expected


def test_the_neighbourhood_is_not_looked_through_for_conflicts():
    near = EditRequest("The flag of {} is", "Italy", "blue")
    one, other = Statements("acme/one", [LYON]), Statements("acme/two", [near])
    assert related([one, other]) == [(0, 1)]
    assert related([one, other], conflicts_only=True) == []
    assert list(facts(one, other, conflicts_only=True)) == []
    assert "phrases" not in vars(one) | vars(other)


def test_many_patches_with_many_subjects_in_common_are_quickly_related():
    def subjects(number: int) -> list[EditRequest]:
        random = Random(number)
        return [EditRequest("{} is", f"{n}", "so") for n in range(600) if random.random() < 0.9]

    statements = [Statements(f"acme/p{number}", subjects(number)) for number in range(200)]
    start = time.process_time()
    assert len(related(statements)) == 200 * 199 / 2
    assert time.process_time() - start < 4
