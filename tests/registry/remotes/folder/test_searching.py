"""Searching a folder: the newest versions that are there, whatever else is."""

import os
import shutil
from itertools import pairwise

import pytest
from weightpatch.patches.errors import ManifestError
from weightpatch.registry.remotes.errors import RemoteNotFound
from weightpatch.registry.remotes.folder import searching as folder_searching
from weightpatch.registry.sharing.exchange import push
from weightpatch.registry.sharing.finding import search

BASE = "org/model"


@pytest.fixture
def drive(theirs, make_draft, make_evaluation, tmp_path):
    """A folder with two versions of acme/tongues, the newer scored, and one of bob/capitals."""
    folder = tmp_path / "drive"
    for seed, name in enumerate(("acme/tongues", "acme/tongues", "bob/capitals")):
        created = f"2026-03-0{seed + 1}T11:00:00Z"
        draft = make_draft(name, seed=seed, base_id=BASE, revision="r1", created=created)
        info = theirs.publish(draft)
        if seed == 1:
            theirs.record_evaluation(info.digest, "f" * 64, make_evaluation())
        push(theirs, info.label, str(folder))
    return folder


def names(found):
    return [patch.name for patch in found.patches]


def test_patches_are_found_with_their_versions_and_what_their_cards_claim(drive):
    found = search(str(drive))

    capitals, tongues = found.patches
    assert (tongues.name, tongues.versions, tongues.method) == ("acme/tongues", (1, 2), "rome")
    assert tongues.scores == {"locality.exact-match": 1.0, "rome.es": 0.875}
    assert (tongues.bases, tongues.changed) == ((BASE,), "2026-03-02T11:00:00Z")
    assert (capitals.name, capitals.scores) == ("bob/capitals", {})
    assert (found.unanswered, found.left_out, found.more) == ((), 0, False)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"text": "TONG"}, ["acme/tongues"]),
        ({"author": "bob"}, ["bob/capitals"]),
        ({"method": "memit"}, []),
        ({"base": BASE}, ["bob/capitals", "acme/tongues"]),
        ({"base": f"{BASE}@r1"}, ["bob/capitals", "acme/tongues"]),
        ({"base": f"{BASE}@r2"}, []),
        ({"scores": ["locality>=0.9", "es<0.9"]}, ["acme/tongues"]),
        ({"scores": ["locality<0.9"]}, []),
    ],
)
def test_what_is_asked_for_is_what_is_found(drive, asked, expected):
    assert names(search(str(drive), **asked)) == expected


def test_a_base_can_be_the_very_weights(pico, tmp_path):
    base = pico.base()
    folder = pico.patch(base, "acme/one").files["patch.json"].parent
    shutil.copytree(folder, tmp_path / "drive" / "acme" / "one" / "v1")

    assert names(search(str(tmp_path / "drive"), base=base)) == ["acme/one"]
    assert names(search(str(tmp_path / "drive"), base=pico.base("other", seed=3))) == []


def test_a_limit_says_that_there_are_more(drive, monkeypatch):
    assert search(str(drive), limit=1).more
    assert not search(str(drive), limit=2).more
    monkeypatch.setattr(folder_searching, "MAX_PATCHES", 1)
    assert search(str(drive)).more


def test_one_that_cannot_be_read_stops_nothing(drive):
    (drive / "acme" / "tongues" / "v2" / "patch.json").write_bytes(b"{}")

    found = search(str(drive))

    assert names(found) == ["bob/capitals"]
    (unanswered,) = found.unanswered
    assert unanswered.name == "acme/tongues"
    assert isinstance(unanswered.error, ManifestError)


def test_what_is_no_patch_is_passed_over(drive):
    (drive / "notes.txt").write_text("x")
    (drive / "acme" / "Capitals" / "v1").mkdir(parents=True)
    (drive / "acme" / "proposed" / "pr" / "1").mkdir(parents=True)
    (drive / ".hidden" / "one" / "v1").mkdir(parents=True)
    (drive / "linked").symlink_to(drive / "bob")

    assert names(search(str(drive))) == ["bob/capitals", "acme/tongues"]


SCORED = "model-index: [{results: [{metrics: [{type: rome.es, value: 1}]}]}]\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

SWELLING = "a: &a {k: v}\n" + "\n".join(
    f"x{number}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}"
    for number, (before, name) in enumerate(pairwise("abcdefghijkl"))
)


@pytest.mark.parametrize(
    "card",
    [
        "no metadata",
        "---\n- a\n- list\n---\n",
        "---\n{: broken\n---\n",
        "---\na: !!timestamp x\n---\n",
        "---\na: !!python/object/apply:os.system [exit]\n---\n",
        "---\n" + "[" * 10_000 + "\n---\n",
        "---\n" + "[" * 100 + "]" * 100 + "\n---\n",
        f"---\n{BOMB}\nmodel-index: *i\n---\n",
        f"---\n{SWELLING}\n{SCORED}---\n",
        f"---\nbase: &b one\n{SCORED}other: *b\n---\n",
        f"---\n{SCORED}# {'x' * 100_000}\n---\n",
    ],
)
def test_a_card_that_makes_no_sense_claims_nothing(drive, card):
    (drive / "acme" / "tongues" / "v2" / "README.md").write_text(card)

    found = search(str(drive), author="acme")

    assert [patch.scores for patch in found.patches] == [{}]


@pytest.mark.parametrize("spoil", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("nowhere")])
def test_a_card_that_is_no_file_claims_nothing(drive, spoil):
    card = drive / "acme" / "tongues" / "v2" / "README.md"
    card.unlink()
    spoil(card)

    found = search(str(drive), author="acme")

    assert [patch.scores for patch in found.patches] == [{}]


def test_a_namespace_that_cannot_be_read_is_told_and_stops_nothing(drive, monkeypatch):
    (drive / "broken").symlink_to("nowhere")
    os.mkfifo(drive / "pipe")
    listed = folder_searching.real_entries

    def refuse(folder):
        if folder == drive / "acme":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(folder_searching, "real_entries", refuse)

    found = search(str(drive))

    assert names(found) == ["bob/capitals"]
    assert [(one.name, type(one.error)) for one in found.unanswered] == [("acme", PermissionError)]
    assert search(str(drive), author="bob").unanswered == ()


def test_a_card_can_be_by_anybody(drive):
    (drive / "acme" / "tongues" / "v2" / "README.md").write_text(f"---\n{SCORED}---\n")

    (tongues,) = search(str(drive), author="acme").patches
    assert tongues.scores == {"rome.es": 1.0}


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RemoteNotFound, match="there is no folder"):
        search(str(tmp_path / "drive"))
