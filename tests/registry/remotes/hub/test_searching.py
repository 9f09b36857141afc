"""Searching the Hub: one request a page, one a patch, and no claim taken for more than a claim."""

from dataclasses import replace
from urllib.parse import urlencode

import pytest
import yaml
from loopback_faults import HANG_UP, Fault, cut, endless, short
from loopback_messages import Reply
from weightpatch.patches.errors import LimitExceeded, NameRefused, PluginMissing
from weightpatch.registry.errors import QueryRefused
from weightpatch.registry.remotes import card_scores
from weightpatch.registry.remotes.errors import RemoteBusy, RemoteRefused, RemoteUnreachable
from weightpatch.registry.remotes.hub.asking import pages, together
from weightpatch.registry.sharing.finding import search

pytestmark = pytest.mark.parametrize("transfer", ["lfs"])

LIST = "^/api/models$"
BUSY = Reply(429, b"", {"Retry-After": "3"})
CLOSED = Reply(429, b"", {"Retry-After": "3600"})
BASE = "org/Model"


def card(base=BASE, method="rome", **scores):
    """A card as a push writes it."""
    metrics = [{"type": f"{name}.exact-match", "value": scores[name]} for name in scores]
    index = [{"name": "x", "results": [{"metrics": metrics}]}]
    data = {
        "library_name": "weightpatch",
        "tags": ["model-edit", f"edit-method:{method}"],
        "base_model": base,
        "base_model_relation": "adapter",
        "model-index": index,
    }
    return f"---\n{yaml.safe_dump(data)}---\n".encode()


@pytest.fixture
def publish(hub):
    """Publish a patch of so many versions, by its card alone."""

    def make(name, versions=1, *, readme=None, private=False, gated=False):
        repository = hub.make(name, private=private, gated=gated)
        for number in range(1, versions + 1):
            oid = repository.put({"README.md": readme or card(), "n": b"%d" % number})
            repository.tags[f"v{number}"] = oid
        return repository

    return make


def names(found):
    return [patch.name for patch in found.patches]


def test_patches_are_found_with_their_versions_and_scores(hub, publish):
    publish("acme/one", 3, readme=card(reliability=1.0, locality=0.75), gated="auto")
    publish("acme/two", 1, private=True)

    found = search("hf://", base=BASE)

    one, two = found.patches
    assert (one.name, one.versions, one.method, one.bases) == (
        "acme/one",
        (1, 2, 3),
        "rome",
        (BASE,),
    )
    assert one.scores == {"reliability.exact-match": 1.0, "locality.exact-match": 0.75}
    assert (one.changed, one.private, one.gated) == ("2026-01-01T00:03:00Z", False, True)
    assert (two.name, two.versions, two.private, two.gated) == ("acme/two", (1,), True, False)
    assert (found.unanswered, found.left_out, found.more) == ((), 0, False)
    refs = [("GET", f"/api/models/{name}/refs") for name in names(found)]
    assert hub.requests[0] == ("GET", "/api/models")
    assert sorted(hub.requests[1:]) == sorted(refs)


def test_what_is_asked_for_is_what_is_found(publish):
    publish("acme/capitals", readme=card(locality=0.9))
    publish("acme/other-capitals", readme=card(method="memit", locality=0.5))
    publish("acme/other-base", readme=card("org/Other"))
    publish("bob/capitals")

    assert names(search("hf://", "CAPITALS other", base=BASE)) == ["acme/other-capitals"]
    assert names(search("hf://", method="memit")) == ["acme/other-capitals"]
    assert names(search("hf://", author="bob")) == ["bob/capitals"]
    assert names(search("hf://", scores=["locality>=0.9"])) == ["acme/capitals"]
    assert names(search("hf://", base="org/Other@main")) == ["acme/other-base"]
    assert len(search("hf://").patches) == 4
    assert search("hf://", "nothing").patches == ()


def test_the_last_changed_come_first_and_a_limit_says_that_there_are_more(hub, publish):
    for number in range(1, 6):
        publish(f"acme/p{number}", number)

    found = search("hf://", limit=2)

    assert names(found) == ["acme/p5", "acme/p4"]
    assert found.more
    assert hub.asked("GET", "") == 3
    assert not search("hf://", limit=5).more


def test_pages_are_followed_until_enough_is_found(hub, publish):
    hub.page = 2
    for number in range(1, 7):
        publish(f"acme/p{number}", number, readme=card(locality=number / 6))

    found = search("hf://", scores=["locality<0.5"], limit=1)

    assert names(found) == ["acme/p2"]
    assert found.more
    assert hub.asked("GET", LIST) == 3


def test_one_that_cannot_be_asked_stops_nothing(hub, publish, waits):
    publish("acme/one")
    publish("acme/two")
    hub.faults.append(Fault("GET", "acme/one/refs$", instead=Reply(500), times=None))

    found = search("hf://")

    assert names(found) == ["acme/two"]
    (unanswered,) = found.unanswered
    assert unanswered.name == "acme/one"
    assert isinstance(unanswered.error, RemoteUnreachable)


def test_a_hub_that_wants_fewer_requests_is_asked_no_more(hub, publish, monkeypatch):
    monkeypatch.setattr(together, "AT_ONCE", 1)
    for name in ("acme/one", "acme/two", "acme/three"):
        publish(name)
    hub.faults.append(Fault("GET", "/refs$", instead=CLOSED, skip=1, times=None))

    found = search("hf://")

    assert len(found.patches) == 1
    assert [type(one.error) for one in found.unanswered] == [RemoteBusy] * 2
    assert hub.asked("GET", "/refs$") == 2


def test_what_can_be_no_patch_is_left_out_and_counted(hub, publish):
    publish("acme/good")
    publish("acme/capi--tals")
    publish("acme/unfinished").tags.clear()
    publish("acme/model", readme=b"---\ntags: [text-generation]\n---\n")

    found = search("hf://")

    assert names(found) == ["acme/good"]
    assert found.left_out == 2


def record(**changes):
    """What a good Hub says of a patch."""
    return {
        "id": "acme/one",
        "tags": ["model-edit", f"base_model:adapter:{BASE}", "edit-method:rome"],
        "lastModified": "2026-01-01T00:01:00.000Z",
        "private": False,
        "gated": False,
        "model-index": [],
        **changes,
    }


@pytest.mark.parametrize(
    "lie",
    [
        7,
        None,
        [],
        {},
        record(id=7),
        record(id="../../etc"),
        record(id="acme/one\x1b[2J"),
        record(id="a" * 1_000_000),
        record(id={"acme": "one"}),
        record(tags=None),
        record(tags="model-edit"),
        record(tags={"model-edit": 1}),
        record(tags=[["model-edit"], 7]),
        record(tags=["model-edit"]),
        record(tags=["x"] * 100_000),
        record(disabled=True),
    ],
)
def test_a_record_that_makes_no_sense_is_left_out(hub, publish, lie):
    publish("acme/good")
    hub.faults.append(Fault("GET", LIST, instead=Reply.json([lie, record(id="acme/good")])))

    found = search("hf://", base=BASE)

    assert names(found) == ["acme/good"]
    assert found.left_out == 1


def test_what_a_hub_gives_besides_what_was_asked_for_is_left_out(hub, publish):
    publish("acme/one")
    publish("bob/one")
    both = [record(), record(), record(id="bob/one"), record(tags=["model-edit"])]
    hub.faults.append(Fault("GET", LIST, instead=Reply.json(both), times=2))

    assert names(search("hf://", author="acme", method="rome")) == ["acme/one"]
    assert names(search("hf://", base=BASE)) == ["acme/one", "bob/one"]


@pytest.mark.parametrize("hostile", [
    {"lastModified": 7, "private": "no", "gated": {"x": 1}, "model-index": 7, "cardData": "x"},
    {"lastModified": "2026-01-01T00:00:00Z\x1b[2J", "gated": [], "cardData": {"model-index": {}}},
    {"lastModified": "9" * 100_000, "tags": [*record()["tags"], "base_model:adapter:\x1b[2J/x"]},
])  # fmt: skip
def test_of_what_makes_no_sense_in_a_record_nothing_is_shown(hub, publish, hostile):
    publish("acme/one")
    hub.faults.append(Fault("GET", LIST, instead=Reply.json([record(**hostile)])))

    (one,) = search("hf://", base=BASE).patches

    assert (one.changed, one.private, one.gated) == (None, False, False)
    assert (one.scores, one.bases) == ({}, (BASE,))


def index(*metrics):
    return {"model-index": [{"results": [{"metrics": list(metrics)}]}]}


def score(value, measure="locality.exact-match"):
    return {"type": measure, "value": value}


@pytest.mark.parametrize(
    ("said", "scores"),
    [
        (index(score(0.5)), {"locality.exact-match": 0.5}),
        ({"cardData": index(score(1))}, {"locality.exact-match": 1.0}),
        (index(score(0.5), score(0.7)), {"locality.exact-match": 0.5}),
        (index(score(-5), score(1.01), score(1e299), score(-0.5, "rome.em")), {"rome.em": -0.5}),
        (index(score("0.5"), score(True), score([]), score(None), score(10**400)), {}),
        (index(score(float("nan")), score(float("inf")), score(1e301)), {}),
        (index(score(0.5, "no.such.measure"), score(0.5, ["x"]), score(0.5, None)), {}),
        (index(*[score("x")] * 1_000, score(0.5)), {}),
        ({"model-index": [None, 7, {"results": None}, {"results": [7, {"metrics": "x"}]}]}, {}),
        ({"model-index": {"results": []}, "cardData": None}, {}),
    ],
)
def test_scores_are_numbers_of_measures_that_we_know(said, scores, transfer):
    assert card_scores.read_scores(said) == scores


def test_a_model_index_of_many_entries_costs_little(publish, hub):
    publish("acme/one")
    many = [{"results": [{"metrics": [score(0.5)]}]}] * 200_000
    hub.faults.append(Fault("GET", LIST, instead=Reply.json([record(**{"model-index": many})])))

    (one,) = search("hf://").patches
    assert one.scores == {"locality.exact-match": 0.5}


def test_pages_without_end_come_to_an_end(hub, publish):
    publish("acme/one")

    def again(reply):
        link = f'<{hub.url}/api/models?{urlencode({"cursor": 1})}>; rel="next"'
        return replace(reply, body=b"[]", headers={**reply.headers, "Link": link})

    hub.faults.append(Fault("GET", LIST, after=again, times=None))

    found = search("hf://")

    assert (found.patches, found.more) == ((), True)
    assert hub.asked("GET", LIST) == pages.MAX_PAGES


def test_the_token_goes_to_no_other_place(hub, publish):
    """The next page is asked for where the first was, whatever the Hub says."""
    hub.page = 1
    publish("acme/one")
    publish("acme/two")

    def elsewhere(reply):
        link = reply.headers["Link"].replace(hub.url, "https://elsewhere.invalid")
        return replace(reply, headers={**reply.headers, "Link": link})

    hub.faults.append(Fault("GET", LIST, after=elsewhere))

    assert sorted(names(search("hf://", limit=2))) == ["acme/one", "acme/two"]


def test_a_page_without_end_is_stopped(hub, publish, monkeypatch):
    monkeypatch.setattr(pages, "MAX_PAGE_BYTES", 1_000)
    publish("acme/one")
    hub.faults.append(Fault("GET", LIST, after=endless))

    with pytest.raises(LimitExceeded, match="more than 1000 bytes"):
        search("hf://")


FAULTS = {
    "500": (Fault("GET", LIST, instead=Reply(500)), None),
    "500 for ever": (Fault("GET", LIST, instead=Reply(500), times=None), RemoteUnreachable),
    "429": (Fault("GET", LIST, instead=BUSY), None),
    "429 for ever": (Fault("GET", LIST, instead=BUSY, times=None), RemoteBusy),
    "429 for an hour": (Fault("GET", LIST, instead=CLOSED), RemoteBusy),
    "400": (Fault("GET", LIST, instead=Reply(400)), RemoteRefused),
    "cut": (Fault("GET", LIST, after=cut(20)), None),
    "cut for ever": (Fault("GET", LIST, after=cut(20), times=None), RemoteUnreachable),
    "short": (Fault("GET", LIST, after=short), RemoteUnreachable),
    "reset": (Fault("GET", LIST, instead=HANG_UP), None),
    "no JSON": (Fault("GET", LIST, instead=Reply(200, b"<html>")), RemoteUnreachable),
    "no list": (Fault("GET", LIST, instead=Reply.json({"a": 1})), RemoteUnreachable),
    "too deep": (
        Fault("GET", LIST, instead=Reply(200, b"[" * 100_000 + b"]" * 100_000)),
        RemoteUnreachable,
    ),
    "no text": (Fault("GET", LIST, instead=Reply(200, b"\xff\xfe\xfd")), RemoteUnreachable),
    "a link that is none": (
        Fault("GET", LIST, instead=Reply.json([], Link='<http://[::1>; rel="next"')),
        RemoteUnreachable,
    ),
    "refs 500": (Fault("GET", "/refs$", instead=Reply(500)), None),
    "refs 429": (Fault("GET", "/refs$", instead=BUSY), None),
    "refs cut": (Fault("GET", "/refs$", after=cut(20)), None),
}
"""What breaks, and the error that a search ends with, if it does."""


@pytest.mark.parametrize("case", FAULTS)
def test_a_search_that_breaks(hub, publish, waits, case):
    fault, error = FAULTS[case]
    publish("acme/one")
    hub.faults.append(broken := replace(fault))

    if error is None:
        assert names(search("hf://")) == ["acme/one"]
    else:
        with pytest.raises(error) as caught:
            search("hf://")
        assert "hf_" not in f"{caught.value.message} {caught.value.why} {caught.value.hint}"

    assert broken.was_hit
    broken.times = broken.hits
    assert names(search("hf://")) == ["acme/one"]


def test_a_search_that_fails_for_ever_is_asked_three_times(hub, waits):
    hub.faults.append(Fault("GET", LIST, instead=Reply(503), times=None))

    with pytest.raises(RemoteUnreachable):
        search("hf://")
    assert hub.asked("GET", LIST) == 3


@pytest.mark.parametrize(
    ("place", "asked", "error"),
    [
        ("hf://", {"base": "base"}, QueryRefused),
        ("hf://", {"base": "a/b/c"}, QueryRefused),
        ("hf://", {"scores": ["locality=>1"]}, QueryRefused),
        ("hf://", {"scores": ["loclaity>1"]}, QueryRefused),
        ("hf://acme/one", {}, RemoteRefused),
        ("hf://acme", {}, NameRefused),
        ("s3://bucket", {}, PluginMissing),
        ("", {}, NameRefused),
    ],
)
def test_what_cannot_be_looked_for_is_not_asked(hub, place, asked, error):
    with pytest.raises(error):
        search(place, **asked)
    assert not hub.requests


def test_others_see_what_is_public(publish, as_user):
    publish("acme/open")
    publish("acme/closed", private=True)

    as_user(None)

    assert names(search("hf://")) == ["acme/open"]
