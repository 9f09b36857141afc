"""Proposals in a folder: laid beside the versions, believed in nothing, accepted in one rename."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from pull_requests import as_bundle
from weightpatch.patches.errors import (
    DigestMismatch,
    ExtraFile,
    ManifestError,
    PathRefused,
    SizeMismatch,
)
from weightpatch.patches.format.patch import Patch
from weightpatch.registry.remotes.errors import RemoteNotFound, RemoteRace, RemoteRefused
from weightpatch.registry.remotes.proposals import MERGED, OPEN, Text

NAME = "acme/tongues"
CREATED = "2026-03-03T12:00:00Z"
TEXT = Text("Propose acme/tongues@2: English", "Because.", "carol", CREATED)


@pytest.fixture
def home(folder_remote, bundle) -> Path:
    """The folder of a patch with one version."""
    return Path(folder_remote.push(bundle()).location).parent


@pytest.fixture
def proposed(home, folder_remote, bundle) -> Path:
    """The folder of a proposal for it."""
    sent = bundle(2, seed=2, notes=(b"{}",))
    return Path(folder_remote.propose(sent, TEXT).location)


@pytest.fixture
def reviewed(proposed, folder_remote, into) -> Patch:
    """What somebody has looked at."""
    return folder_remote.proposal(NAME, 1, into).patch


def test_a_proposal_lies_beside_the_versions(home, proposed, folder_remote):
    assert proposed == home / "pr" / "1"
    assert sorted(path.name for path in home.iterdir()) == ["pr", "v1"]
    assert sorted(path.name for path in proposed.parent.iterdir()) == ["1", "1.md"]
    page = (home / "pr" / "1.md").read_text()
    assert page.startswith('---\n{"author":"carol",')
    assert page.endswith("---\n\n# Propose acme/tongues\\@2\\: English\n\nBecause.\n")
    assert folder_remote.versions(NAME) == [1]


def test_it_is_listed_and_fetched_as_it_was_proposed(proposed, folder_remote, into):
    (listed,) = folder_remote.proposals(NAME)
    assert (listed.number, listed.title, listed.author) == (1, TEXT.title, "carol")
    assert (listed.status, listed.location) == (OPEN, str(proposed))
    assert (listed.created, listed.version) == (CREATED, 2)
    found = folder_remote.proposal(NAME, 1, into)
    assert found.proposal == listed
    assert found.patch.label == "acme/tongues@2"
    assert list(found.attestations.values()) == [b"{}"]
    assert (found.revision, found.besides) == (None, ())


def test_one_that_does_not_say_when_it_was_made_is_listed_too(home, folder_remote, bundle):
    folder_remote.propose(bundle(2, seed=2), replace(TEXT, created=""))
    (listed,) = folder_remote.proposals(NAME)
    assert (listed.title, listed.created) == (TEXT.title, "")


def test_the_newest_proposal_comes_first(proposed, folder_remote, bundle):
    folder_remote.propose(bundle(2, seed=3), TEXT)
    assert [one.number for one in folder_remote.proposals(NAME)] == [2, 1]


def test_what_is_proposed_already_is_not_proposed_again(proposed, folder_remote, bundle):
    again = folder_remote.propose(bundle(2, seed=2), TEXT)
    assert (again.number, again.already_there) == (1, True)
    assert len(folder_remote.proposals(NAME)) == 1


def test_a_damaged_one_does_not_count_as_proposed(proposed, folder_remote, bundle):
    flip_a_bit(proposed)
    again = folder_remote.propose(bundle(2, seed=2), TEXT)
    assert (again.number, again.already_there) == (2, False)


@pytest.mark.parametrize("number", [1, 3])
def test_only_the_next_number_is_proposed(home, folder_remote, bundle, number):
    with pytest.raises(RemoteRefused, match=f"@{number} cannot be proposed") as caught:
        folder_remote.propose(bundle(number, seed=5), TEXT)
    assert "numbered 2" in caught.value.why
    assert not (home / "pr").exists()


def test_nothing_is_proposed_to_a_patch_without_versions(folder_remote, bundle, tmp_path):
    (tmp_path / "shared").mkdir()
    with pytest.raises(RemoteNotFound):
        folder_remote.propose(bundle(1), TEXT)
    assert list((tmp_path / "shared").iterdir()) == []


def test_a_patch_without_proposals_has_none(home, folder_remote, into):
    assert folder_remote.proposals(NAME) == []
    with pytest.raises(RemoteNotFound, match="has no proposal 4"):
        folder_remote.proposal(NAME, 4, into)
    with pytest.raises(RemoteNotFound):
        folder_remote.proposals("acme/nothing")


def test_a_number_is_never_used_again(proposed, folder_remote, bundle, into):
    shutil.rmtree(proposed)
    with pytest.raises(RemoteNotFound, match="was never finished, or taken away"):
        folder_remote.proposal(NAME, 1, into)
    assert folder_remote.proposals(NAME) == []
    assert folder_remote.propose(bundle(2, seed=2), TEXT).number == 2


@pytest.mark.parametrize("last", ["999999999", "999999999.md"])
def test_when_the_numbers_are_used_up_it_is_said(home, folder_remote, bundle, last):
    (home / "pr" / last).mkdir(parents=True)
    with pytest.raises(RemoteRefused, match="has no number left for a proposal") as caught:
        folder_remote.propose(bundle(2, seed=2), TEXT)
    assert str(home / "pr" / last) in caught.value.why
    assert [path.name for path in (home / "pr").iterdir()] == [last]


def test_accepting_makes_it_the_next_version(home, reviewed, folder_remote, tmp_path):
    pushed = folder_remote.accept(NAME, 1, as_bundle(reviewed))
    assert (pushed.location, pushed.already_there) == (str(home / "v2"), False)
    assert [path.name for path in (home / "pr").iterdir()] == ["1.md"]
    assert folder_remote.proposals(NAME) == []
    again = tmp_path / "again"
    again.mkdir()
    assert folder_remote.pull(NAME, 2, again).patch.digest == reviewed.digest


def test_what_was_accepted_can_still_be_fetched(reviewed, folder_remote, tmp_path):
    folder_remote.accept(NAME, 1, as_bundle(reviewed))
    later = tmp_path / "later"
    later.mkdir()
    found = folder_remote.proposal(NAME, 1, later)
    assert found.proposal.status == MERGED
    assert found.patch.digest == reviewed.digest
    assert folder_remote.accept(NAME, 1, as_bundle(reviewed)).already_there


def test_one_that_was_pushed_meanwhile_is_accepted(home, reviewed, folder_remote, bundle):
    folder_remote.push(bundle(2, seed=2))
    assert folder_remote.accept(NAME, 1, as_bundle(reviewed)).already_there
    assert folder_remote.proposals(NAME) == []
    assert [path.name for path in (home / "pr").iterdir()] == ["1.md"]


def test_a_number_that_was_taken_meanwhile_is_refused(reviewed, folder_remote, bundle):
    folder_remote.push(bundle(2, seed=9))
    with pytest.raises(RemoteRefused, match="was taken meanwhile"):
        folder_remote.accept(NAME, 1, as_bundle(reviewed))
    assert len(folder_remote.proposals(NAME)) == 1


def flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / "delta.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "delta.safetensors").write_bytes(data)


def change_the_manifest(folder: Path) -> None:
    data = (folder / "patch.json").read_bytes()
    (folder / "patch.json").write_bytes(data.replace(b'"ada"', b'"eve"'))


def make_it_longer(folder: Path) -> None:
    os.truncate(folder / "delta.safetensors", 5 << 20)


def remove_a_file(folder: Path) -> None:
    (folder / "requests.jsonl").unlink()


def replace_by_link(folder: Path) -> None:
    (folder / "requests.jsonl").rename(folder.parent / "elsewhere")
    (folder / "requests.jsonl").symlink_to(folder.parent / "elsewhere")


def link_the_folder(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")


def add_a_file(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def add_to_the_attestations(folder: Path) -> None:
    (folder / "attestations" / "model.py").write_text("import os")


def link_all_proposals(folder: Path) -> None:
    folder.parent.rename(folder.parents[1] / "elsewhere")
    folder.parent.symlink_to(folder.parents[1] / "elsewhere")


@pytest.mark.parametrize(
    ("spoil", "at_fetch", "at_accept"),
    [
        (flip_a_bit, DigestMismatch, RemoteRace),
        (change_the_manifest, None, RemoteRace),
        (make_it_longer, SizeMismatch, RemoteRace),
        (remove_a_file, ManifestError, RemoteRace),
        (replace_by_link, PathRefused, PathRefused),
        (link_the_folder, PathRefused, PathRefused),
        (link_all_proposals, PathRefused, PathRefused),
    ],
)
def test_what_was_tampered_with_becomes_no_version(
    proposed, reviewed, folder_remote, tmp_path, spoil, at_fetch, at_accept
):
    spoil(proposed)
    into = tmp_path / "again"
    into.mkdir()
    if at_fetch is not None:
        with pytest.raises(at_fetch):
            folder_remote.proposal(NAME, 1, into)
    with pytest.raises(at_accept):
        folder_remote.accept(NAME, 1, as_bundle(reviewed))
    assert folder_remote.versions(NAME) == [1]


class WhileRead(dict):
    """Attestations while one of which is read something else happens."""

    def __init__(self, attestations, happens):
        super().__init__(attestations)
        self._happens = happens

    def __getitem__(self, digest):
        self._happens()
        return super().__getitem__(digest)


def test_attestations_that_are_none_are_refused(proposed, folder_remote, into):
    add_to_the_attestations(proposed)
    with pytest.raises(ExtraFile):
        folder_remote.proposal(NAME, 1, into)


@pytest.mark.parametrize("spoil", [flip_a_bit, change_the_manifest, remove_a_file, add_a_file])
def test_what_is_changed_while_it_is_accepted_becomes_no_version(
    proposed, reviewed, folder_remote, bundle, tmp_path, spoil
):
    ours = bundle(2, seed=2, notes=(b"of ours",)).attestations
    late = replace(as_bundle(reviewed), attestations=WhileRead(ours, lambda: spoil(proposed)))
    folder_remote.accept(NAME, 1, late)
    into = tmp_path / "again"
    into.mkdir()
    assert folder_remote.pull(NAME, 2, into).patch.digest == reviewed.digest


def test_the_files_of_an_author_become_no_part_of_a_version(
    home, proposed, reviewed, folder_remote
):
    mine = proposed.parent.parent / "mine"
    os.link(proposed / "delta.safetensors", mine)
    folder_remote.accept(NAME, 1, as_bundle(reviewed))
    mine.write_bytes(b"other bytes")
    assert (home / "v2" / "delta.safetensors").read_bytes() != b"other bytes"


def test_who_may_write_beside_the_versions_may_propose(home, folder_remote, bundle):
    home.chmod(0o2775)
    folder_remote.propose(bundle(2, seed=2), TEXT)
    assert (home / "pr").stat().st_mode == home.stat().st_mode


def test_links_lead_nowhere(proposed, folder_remote):
    link_all_proposals(proposed)
    with pytest.raises(PathRefused):
        folder_remote.proposals(NAME)


def test_other_files_are_told_and_not_accepted(proposed, reviewed, folder_remote, tmp_path):
    (proposed / "config.json").write_text("{}")
    (proposed / ".hidden").mkdir()
    into = tmp_path / "again"
    into.mkdir()
    assert folder_remote.proposal(NAME, 1, into).besides == (".hidden", "config.json")
    assert sorted(path.name for path in into.iterdir()) == [
        "delta.safetensors",
        "patch.json",
        "requests.jsonl",
    ]
    with pytest.raises(RemoteRefused, match=r"holds '\.hidden', which belongs to no version"):
        folder_remote.accept(NAME, 1, as_bundle(reviewed))


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"---\n",
        b"---\n[]\n---\n",
        b'---\n{"title":"a","title":"b"}\n---\n',
        b"\xff" * 100,
        b"x" * (257 << 10),
    ],
)
def test_a_text_that_cannot_be_read_hides_nothing(proposed, folder_remote, page):
    proposed.with_suffix(".md").write_bytes(page)
    (found,) = folder_remote.proposals(NAME)
    assert (found.number, found.title) == (1, "(its text cannot be read)")
    assert (found.author, found.created) == ("", "")


def test_a_long_title_of_many_lines_becomes_one_that_can_be_read(home, folder_remote, bundle):
    text = Text("a\nb\x1b" + "c" * 500, "", "d\u202e" * 400)
    folder_remote.propose(bundle(2, seed=2), text)
    (found,) = folder_remote.proposals(NAME)
    assert found.title.startswith("a ⏎ b<U+001B>cc")
    assert found.title.endswith("c…")
    assert "\u202e" not in found.author


def test_names_that_are_no_numbers_are_passed_over(proposed, folder_remote):
    for name in ("01", "0", "latest", "9999999999"):
        (proposed.parent / name).mkdir()
    (proposed.parent / "7").write_text("no folder")
    assert [one.number for one in folder_remote.proposals(NAME)] == [1]


def test_writers_who_race_get_a_number_each(home, folder_remote, bundle):
    sent = [bundle(2, seed=seed) for seed in range(2, 8)]
    start = Barrier(len(sent))

    def propose(one):
        start.wait()
        return folder_remote.propose(one, TEXT)

    with ThreadPoolExecutor(len(sent)) as pool:
        found = list(pool.map(propose, sent))
    assert sorted(one.number for one in found) == [1, 2, 3, 4, 5, 6]
    assert len(folder_remote.proposals(NAME)) == 6
    assert not [path for path in (home / "pr").iterdir() if path.name.startswith(".")]


def test_of_two_who_accept_at_once_one_wins(home, folder_remote, bundle, tmp_path):
    patches = []
    for number in (1, 2):
        folder_remote.propose(bundle(2, seed=number + 1), TEXT)
        into = tmp_path / f"into{number}"
        into.mkdir()
        patches.append(folder_remote.proposal(NAME, number, into).patch)
    start = Barrier(2)

    def accept(number):
        start.wait()
        try:
            return folder_remote.accept(NAME, number, as_bundle(patches[number - 1]))
        except RemoteRefused as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(accept, (1, 2)))
    (lost,) = [number for number, one in enumerate(found, 1) if isinstance(one, RemoteRefused)]
    assert "was taken meanwhile" in found[lost - 1].message
    assert [one.number for one in folder_remote.proposals(NAME)] == [lost]
    assert folder_remote.versions(NAME) == [1, 2]


def test_those_who_accept_the_same_all_succeed(home, proposed, reviewed, folder_remote):
    start = Barrier(4)

    def accept(_):
        start.wait()
        return folder_remote.accept(NAME, 1, as_bundle(reviewed))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(accept, range(4)))
    assert [one.already_there for one in found].count(False) == 1
    assert folder_remote.versions(NAME) == [1, 2]
    assert [path.name for path in (home / "pr").iterdir()] == ["1.md"]
