"""Two people publish the same number: the second one's version gets the next."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier

import pytest
from weightpatch.patches.errors import InputError
from weightpatch.registry.errors import VersionClash
from weightpatch.registry.registry import Registry
from weightpatch.registry.remotes.errors import RemoteRefused
from weightpatch.registry.sharing.exchange import pull, push
from weightpatch.registry.sharing.renumbering import plan_next, push_next

BASE = "f" * 64
NAME = "acme/tongues"


@pytest.fixture
def theirs(tmp_path, new_registry) -> Registry:
    with new_registry(tmp_path / "theirs", actor="bob") as opened:
        yield opened


@pytest.fixture
def drive(tmp_path, theirs, make_draft) -> Path:
    """A folder in which bob was first with the number 1."""
    info = theirs.publish(make_draft(seed=3, target="Breton", message="Breton"))
    push(theirs, info.label, str(tmp_path / "drive"))
    return tmp_path / "drive"


@pytest.fixture
def mine(registry, make_draft, make_evaluation):
    info = registry.publish(make_draft())
    registry.record_evaluation(info.digest, BASE, make_evaluation())
    return info


def test_a_clash_says_whose_it_is_and_what_to_do(registry, mine, drive):
    with pytest.raises(VersionClash) as caught:
        push(registry, mine.label, str(drive))
    assert "by 'ada', 2026" in caught.value.why
    assert f"yours is sha256:{mine.digest[:12]}" in caught.value.why
    assert caught.value.hint.endswith(f"weightpatch push {NAME}@1 {drive} --next")


def test_a_pull_that_meets_ones_own_version_says_how_to_go_on(registry, mine, drive):
    with pytest.raises(VersionClash) as caught:
        pull(registry, NAME, str(drive))
    assert caught.value.hint.endswith(f"weightpatch push {NAME}@1 {drive} --next")


def test_it_goes_there_under_the_next_number_with_its_scores(registry, mine, drive):
    done = push_next(registry, mine.label, str(drive))
    assert (done.version.label, done.pushed.location) == (f"{NAME}@2", f"{drive}/{NAME}/v2")
    assert registry.patch(f"{NAME}@2").manifest.parents == (mine.digest,)
    (evaluation,) = registry.evaluations(f"{NAME}@2")
    assert (evaluation.origin, evaluation.base) == ("here", BASE)
    assert len(list((drive / NAME / "v2" / "attestations").iterdir())) == 1
    assert registry.resolve(mine.label).digest == mine.digest

    again = push_next(registry, mine.label, str(drive))
    assert (again.version.label, again.pushed.already_there) == (f"{NAME}@2", True)


def test_of_those_who_race_each_gets_a_number_and_no_other(tmp_path, new_registry, make_draft):
    drive, start = tmp_path / "drive", Barrier(6)

    def race(registry):
        start.wait()
        done = push_next(registry, f"{NAME}@1", str(drive))
        here = [one.version for one in registry.versions(name=NAME)]
        return done.version.version, sorted(here)

    with ExitStack() as stack:
        racers = [stack.enter_context(new_registry(tmp_path / f"{n}")) for n in range(6)]
        for number, registry in enumerate(racers):
            registry.publish(make_draft(seed=number, message=f"by {number}"))
        with ThreadPoolExecutor(6) as pool:
            found = sorted(pool.map(race, racers))
    assert found == [(1, [1]), *((number, [1, number]) for number in range(2, 7))]
    assert sorted(path.name for path in (drive / NAME).iterdir()) == [
        f"v{number}" for number in range(1, 7)
    ]


def test_a_push_that_cannot_be_made_leaves_no_version(registry, mine, drive):
    before = registry.log()
    (drive / NAME / "v1" / "patch.json").write_text("{")
    with pytest.raises(InputError):
        push_next(registry, mine.label, str(drive))
    assert registry.log() == before


def test_a_number_that_is_free_is_kept(registry, mine, tmp_path):
    done = push_next(registry, mine.label, str(tmp_path / "drive"))
    assert (done.version.digest, done.pushed.already_there) == (mine.digest, False)
    assert plan_next(registry, mine.label, str(tmp_path / "drive"))[0] == mine.label


def test_numbers_that_are_taken_here_are_passed_over(registry, mine, drive, make_draft):
    registry.publish(make_draft(seed=4))
    assert push_next(registry, mine.label, str(drive)).version.label == f"{NAME}@3"


def test_a_plan_changes_nothing(registry, mine, drive):
    before = registry.log()
    label, plan = plan_next(registry, mine.label, str(drive))
    assert (label, plan.location) == (f"{NAME}@2", f"{drive}/{NAME}/v2")
    assert (registry.log(), (drive / NAME / "v2").exists()) == (before, False)


def test_the_same_from_somebody_else_is_not_published_twice(registry, theirs, tmp_path, make_draft):
    push(theirs, theirs.publish(make_draft(message="by bob")).label, str(tmp_path / "drive"))
    mine = registry.publish(make_draft())
    with pytest.raises(RemoteRefused, match="does what acme/tongues@1 does"):
        push_next(registry, mine.label, str(tmp_path / "drive"))


def test_what_is_in_the_way_and_stays_so_is_told_soon(registry, mine, theirs, make_draft, hub):
    push(theirs, theirs.publish(make_draft(seed=3)).label, "hf://")
    hub[NAME].tags.clear()  # as if bob's push had been cut off before its end
    hub.requests.clear()
    with pytest.raises(VersionClash):
        push_next(registry, mine.label, "hf://")
    assert len(hub.requests) <= 30  # TRIES, of up to six each
    assert [one.version for one in registry.versions(name=NAME)] == [1]
