"""Answers that are made to harm: that want the token, that never end, that name no file."""

import gzip
from dataclasses import replace
from functools import partial

import httpx2
import pytest
from huggingface_hub import get_session, set_client_factory
from huggingface_hub.utils._http import default_client_factory
from loopback_faults import Fault, with_headers
from loopback_hub import LoopbackHub
from pull_requests import NAME
from weightpatch.patches.errors import LimitExceeded
from weightpatch.registry.remotes.errors import RemoteUnreachable
from weightpatch.registry.remotes.hub.asking import answers
from weightpatch.registry.remotes.hub.repository.repository import Repository

by_lfs = pytest.mark.parametrize("transfer", ["lfs"])


@pytest.fixture
def elsewhere():
    """Another place, which the Hub sends us on to."""
    other = LoopbackHub()
    other.make(NAME).put({"more.txt": b"more"})
    yield other
    other.close()


@pytest.fixture
def sent(monkeypatch):
    """The origin and the token of each request that goes out."""
    seen = []
    session = get_session()
    hooks = [*session.event_hooks["request"], lambda request: seen.append(_told(request))]
    monkeypatch.setattr(session, "event_hooks", {**session.event_hooks, "request": hooks})
    return seen


def _told(request):
    return f"http://{request.url.netloc.decode()}", request.headers.get("Authorization")


@by_lfs
@pytest.mark.parametrize("asked", ["tree", "commits"])
def test_a_list_that_goes_on_elsewhere_does_not_take_the_token_there(
    hub, hub_remote, there, elsewhere, sent, asked
):
    address = f"{elsewhere.url}/api/models/{NAME}/{asked}/main"
    link = with_headers(Link=f'<{address}>; rel="next"')
    hub.faults.append(Fault("GET", f"/{asked}/", after=link))
    repository = Repository(NAME)

    found = repository.listing("main") if asked == "tree" else repository.history("main")

    assert len(found) > 1
    assert elsewhere.requests
    assert sent == [(hub.url, "Bearer hf_alice"), (elsewhere.url, None)]


@by_lfs
def test_a_client_of_the_callers_own_does_not_take_it_there_either(hub, there, elsewhere, request):
    asked = []
    hooks = {"response": [lambda answer: asked.append(_told(answer.request))]}
    own = httpx2.Client(timeout=5, follow_redirects=True, event_hooks=hooks)
    request.addfinalizer(partial(set_client_factory, default_client_factory))
    set_client_factory(lambda: own)
    address = f"{elsewhere.url}/api/models/{NAME}/commits/main"
    link = with_headers(Link=f'<{address}>; rel="next"')
    hub.faults.append(Fault("GET", "/commits/", after=link))

    Repository(NAME).history("main")

    assert asked == [(hub.url, "Bearer hf_alice"), (elsewhere.url, None)]


@by_lfs
def test_who_else_asks_another_hub_in_this_process_keeps_their_token(hub, there, elsewhere, sent):
    from huggingface_hub import HfApi

    HfApi(endpoint=elsewhere.url).list_repo_refs(NAME)

    assert sent == [(elsewhere.url, "Bearer hf_alice")]


@pytest.mark.parametrize("transfer", ["xet"])
@pytest.mark.usefixtures("all_large")
def test_the_permits_of_xet_are_fetched_at_the_hub_alone(hub, hub_remote, there, elsewhere, into):
    lie = with_headers(Link=f'<{elsewhere.url}/api/token>; rel="xet-auth"')
    hub.faults.append(Fault("HEAD", r"delta\.safetensors$", after=lie))

    with pytest.raises(RemoteUnreachable, match="token to be sent to another place"):
        hub_remote.pull(NAME, 1, into)
    assert not elsewhere.requests


@by_lfs
@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("/refs$", lambda remote: remote.versions(NAME)),
        ("/tree/", lambda _: Repository(NAME).listing("main")),
        ("/discussions$", lambda remote: remote.proposals(NAME)),
    ],
)
def test_an_answer_that_unpacks_to_too_much_is_not_read_to_its_end(
    hub, hub_remote, there, monkeypatch, path, ask
):
    monkeypatch.setattr(answers, "LARGEST", 1 << 20)
    hub.faults.append(Fault("GET", path, after=_swollen))

    with pytest.raises(LimitExceeded, match="more than 1048576 bytes"):
        ask(hub_remote)


def _swollen(reply):
    body = gzip.compress(reply.body + b" " * (4 << 20))
    return replace(reply, body=body, headers={**reply.headers, "Content-Encoding": "gzip"})


@by_lfs
def test_an_answer_that_is_packed_is_read_as_any_other(hub, hub_remote, there):
    hub.faults.append(Fault("GET", "/refs$", after=_swollen))

    assert hub_remote.versions(NAME) == [1]


@by_lfs
@pytest.mark.parametrize("etag", ['".."', '"."', '""', '"W/.."', f'"{"a" * 300}"', '"a/b"'])
@pytest.mark.usefixtures("all_large")
def test_an_etag_that_no_file_can_have_is_refused(hub, hub_remote, there, into, etag):
    hub.faults.append(Fault("HEAD", "/resolve/", after=with_headers(ETag=etag)))

    with pytest.raises(RemoteUnreachable, match="no file can have"):
        hub_remote.pull(NAME, 1, into)


@by_lfs
@pytest.mark.usefixtures("all_large")
def test_a_commit_that_leads_out_of_the_cache_is_refused(hub, hub_remote, there, into):
    lie = with_headers(X_Repo_Commit="../../../evil")
    hub.faults.append(Fault("HEAD", "/resolve/", after=lie))

    with pytest.raises(RemoteUnreachable, match="leads out of the cache"):
        hub_remote.pull(NAME, 1, into)
