"""Eight who push to one repository at the same time: nothing is lost, nothing is mixed up."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import huggingface_hub
import pytest
from huggingface_hub.utils._http import default_client_factory
from weightpatch.registry.errors import VersionClash
from weightpatch.registry.remotes.base import Pushed
from weightpatch.registry.remotes.errors import RemoteRace, RemoteRefused
from weightpatch.registry.remotes.hub.remote import HubRemote
from weightpatch.registry.remotes.location import HubLocation

EIGHT = range(1, 9)


@pytest.mark.any_hub
def test_of_eight_versions_each_is_there_or_was_refused(hub_remote, bundle, patch_name, tmp_path):
    sent = {number: bundle(number, seed=number) for number in EIGHT}

    ends = race(hub_remote, sent)

    there = [number for number, end in ends.items() if isinstance(end, Pushed)]
    assert there == hub_remote.versions(patch_name)
    lost = {number: end for number, end in ends.items() if number not in there}
    assert all(isinstance(end, RemoteRace | RemoteRefused) for end in lost.values()), lost
    refused = [number for number, end in lost.items() if isinstance(end, RemoteRefused)]
    assert max(refused, default=0) < max(there), lost
    for number in there:
        folder = tmp_path / f"pulled-{number}"
        folder.mkdir()
        pulled = hub_remote.pull(patch_name, number, folder)
        assert pulled.patch.digest == sent[number].patch.digest


@pytest.mark.any_hub
def test_of_eight_contents_for_one_number_one_wins(hub_remote, bundle, patch_name, into):
    sent = {number: bundle(1, seed=number) for number in EIGHT}

    ends = race(hub_remote, sent)

    (winner,) = [number for number, end in ends.items() if isinstance(end, Pushed)]
    losers = [end for number, end in ends.items() if number != winner]
    assert all(isinstance(end, VersionClash | RemoteRace) for end in losers), losers
    pulled = hub_remote.pull(patch_name, 1, into)
    assert pulled.patch.digest == sent[winner].patch.digest


def test_eight_who_push_the_same_agree(hub, hub_remote, bundle, into):
    sent = bundle(1)

    ends = race(hub_remote, dict.fromkeys(EIGHT, sent))

    assert any(isinstance(end, Pushed) for end in ends.values())
    assert all(isinstance(end, Pushed | RemoteRace) for end in ends.values()), ends
    assert len(hub["acme/tongues"].commits) == 2
    assert hub_remote.pull("acme/tongues", 1, into).patch.digest == sent.patch.digest


def test_eight_who_ask_first_do_not_disturb_each_other(hub, hub_remote, bundle):
    hub_remote.push(bundle())
    huggingface_hub.set_client_factory(default_client_factory)
    start = Barrier(len(EIGHT))

    def ask(_):
        start.wait()
        return HubRemote(HubLocation(None, None)).versions("acme/tongues")

    with ThreadPoolExecutor(len(EIGHT)) as pool:
        assert list(pool.map(ask, EIGHT)) == [[1]] * len(EIGHT)


def race(remote, sent):
    """Push all at the same time; what each got, or its error."""

    def push(number):
        try:
            return remote.push(sent[number])
        except (RemoteRace, RemoteRefused, VersionClash) as error:
            return error

    with ThreadPoolExecutor(len(sent)) as pool:
        return dict(zip(sent, pool.map(push, sent), strict=True))
