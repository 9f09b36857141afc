"""A push and a pull of a small patch ask the Hub for no more than they must.

What can be left out of each list: nothing. The Hub's client checks the card and asks how each file
is to be sent, and looks at a large file before it fetches it, and leaves us no say in that.
"""

import re

import pytest

REFS = "GET refs"  # which versions are there, and on which commit the next one is put
TREE = "GET tree"  # the files there before, and whether what was sent has arrived whole
COMMIT = ["POST validate-yaml", "POST preupload", "upload", "POST commit"]
UPLOADS = {
    "lfs": ["POST objects/batch", "PUT storage", "POST verify"],
    "xet": [
        "GET xet-write-token",
        "GET chunks",  # whether the Hub has such content already
        "POST xorb-grants",  # this and v2 of the next are new, and not every hub has them
        "POST xorbs",
        "POST v2/shards",
        "POST v1/shards",
    ],
}
TEXT = ["GET resolve"]
SMALL = ["GET resolve", "GET storage"]  # the way there, and the bytes
LARGE = {
    "lfs": ["HEAD resolve", *SMALL],
    "xet": [
        "HEAD resolve",
        "GET xet-read-token",
        "GET v2/reconstructions",
        "GET v1/reconstructions",
        "GET storage",
    ],
}
_THING = re.compile(
    r"v\d/(?:shards|reconstructions)|objects/batch|chunks|xorb-grants|/v1/xorbs|xet-\w+-token|refs$|"
    r"tree|revision|validate-yaml|preupload|commit|tag|create$|resolve|storage|verify"
)


@pytest.fixture
def pushed(hub, hub_remote, bundle):
    """A version that is there; what it took is forgotten."""
    sent = bundle()
    hub_remote.push(sent)
    hub.requests.clear()
    return sent


def test_the_first_push(hub, hub_remote, bundle, transfer):
    hub_remote.push(bundle())

    # Refs says that there is no repository; what a new one holds and its commit come in one answer.
    made = [REFS, "POST create", "GET revision"]
    assert asked(hub) == [*made, *commit(transfer), TREE, "POST tag"]
    assert len(hub.requests) == {"lfs": 11, "xet": 14}[transfer]


def test_the_next_push(hub, hub_remote, bundle, pushed, transfer):
    hub_remote.push(bundle(2, seed=2))

    assert asked(hub) == [REFS, TREE, *commit(transfer), TREE, "POST tag"]


def test_a_push_of_what_is_there(hub, hub_remote, pushed):
    hub_remote.push(pushed)

    assert asked(hub) == [REFS, TREE]


def test_a_pull(hub, hub_remote, pushed, into):
    hub_remote.pull("acme/tongues", 1, into)

    assert asked(hub) == [REFS, TREE, *TEXT, *SMALL, *TEXT]
    assert len(hub.requests) == 6


@pytest.mark.usefixtures("all_large")
def test_a_pull_of_large_files(hub, hub_remote, pushed, into, transfer):
    hub_remote.pull("acme/tongues", 1, into)

    text = ["HEAD resolve", *TEXT]
    assert asked(hub) == [REFS, TREE, *text, *LARGE[transfer], *text]


def test_a_second_pull(hub, hub_remote, pushed, into, tmp_path):
    hub_remote.pull("acme/tongues", 1, into)
    hub.requests.clear()
    (tmp_path / "again").mkdir()

    hub_remote.pull("acme/tongues", 1, tmp_path / "again")

    assert asked(hub) == [REFS, TREE]


def commit(transfer):
    start = COMMIT.index("upload")
    return [*COMMIT[:start], *UPLOADS[transfer], *COMMIT[start + 1 :]]


def asked(hub):
    """What the hub was asked, in words."""
    things = [(method, _THING.search(path)) for method, path in hub.requests]
    return [
        f"{method} {thing[0].removeprefix('/v1/') if thing else '?'}" for method, thing in things
    ]
