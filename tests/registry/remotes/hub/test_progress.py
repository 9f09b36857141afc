"""What is told while bytes go to the Hub and come from it, and while it is waited for."""

from dataclasses import replace

import pytest
from loopback_faults import DOWNLOAD, HANG_UP, UPLOAD, Fault
from loopback_messages import Reply
from weightpatch.patches.format.patch import DELTA
from weightpatch.registry.remotes.errors import RemoteUnreachable

FAILED = "the Hub failed (status 500), trying again"


@pytest.fixture
def told():
    """The steps of which a progress was told."""
    return Steps()


class Steps(list):
    def __call__(self, phase, done, total):
        self.append((phase, done, total))

    def of(self, phase):
        return [(done, total) for told, done, total in self if told == phase]

    def waits(self):
        """The phases of waiting, each of which must have been told to be over."""
        begun = [phase for phase, _, total in self if total is None and "push" not in phase]
        assert begun == [phase for phase, _, total in self if total == 0]
        return begun


@pytest.mark.parametrize("transfer", ["lfs"])
def test_by_lfs_each_part_that_is_sent_is_told(hub, hub_remote, bundle, told):
    hub.part = 100
    sent = bundle()
    size = sent.patch.files[DELTA].stat().st_size

    hub_remote.push(sent, progress=told)

    steps = told.of(f"upload {DELTA}")
    assert steps[-1] == (size, size)
    assert {(100, size), (200, size)} <= set(steps)
    assert steps == sorted(steps)


@pytest.mark.parametrize("transfer", ["lfs"])
def test_what_is_sent_again_is_counted_again(hub, hub_remote, bundle, told, waits):
    hub.faults.append(Fault("PUT", UPLOAD, instead=Reply(500)))
    sent = bundle()
    size = sent.patch.files[DELTA].stat().st_size

    hub_remote.push(sent, progress=told)

    assert told.of(f"upload {DELTA}").count((size, size)) >= 2
    assert told.waits() == [FAILED]


def test_a_push_has_a_beginning_and_an_end(hub, hub_remote, bundle, told):
    sent = bundle()

    hub_remote.push(sent, progress=told)

    first, last = told.of("push acme/tongues@1")
    assert first == (0, None)
    assert last[0] == last[1] > sent.patch.files[DELTA].stat().st_size


def test_a_download_is_told(hub, hub_remote, bundle, into, told, all_large):
    sent = bundle()
    hub_remote.push(sent)
    size = sent.patch.files[DELTA].stat().st_size

    hub_remote.pull("acme/tongues", 1, into, progress=told)

    assert told.of(f"download {DELTA}")[-1] == (size, size)


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (Fault("POST", "/commit/", instead=Reply(500)), [FAILED, f"{FAILED} in 1 s"]),
        (Fault("POST", "/preupload/", instead=Reply(500)), [FAILED]),
        (
            Fault("POST", "/commit/", instead=Reply(412), times=2),
            [
                f"somebody else changed acme/tongues meanwhile, looking again in {seconds} s"
                for seconds in (1, 2)
            ],
        ),
        (
            Fault("POST", "/commit/", instead=Reply(429)),
            [
                "the Hub wants fewer requests, trying again",
                "the Hub wants fewer requests, trying again in 1 s",
            ],
        ),
        (
            Fault("POST", "/commit/", instead=Reply(429, b"", {"Retry-After": "3"})),
            ["the Hub asks for a pause of 3 s"],
        ),
        (
            Fault("POST", "/tag/", instead=HANG_UP, times=2),
            [f"the transfer broke off, trying again in {seconds} s" for seconds in (1, 2)],
        ),
    ],
)
def test_each_pause_is_shown_for_as_long_as_it_lasts(
    hub, hub_remote, bundle, told, waits, monkeypatch, fault, shown
):
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    hub.faults.append(replace(fault))

    hub_remote.push(bundle(), progress=told)

    assert told.waits() == shown


def test_a_pause_does_not_outlast_the_error(hub, hub_remote, told, waits, into):
    hub.make("acme/tongues")
    hub.faults.append(Fault("GET", "/refs$", instead=Reply(500), times=None))

    with pytest.raises(RemoteUnreachable):
        hub_remote.pull("acme/tongues", 1, into, progress=told)

    assert FAILED in told.waits()


@pytest.mark.parametrize("transfer", ["xet"])
@pytest.mark.parametrize("reply", [Reply(500), HANG_UP])
def test_what_xet_gave_up_is_asked_for_once_more(
    hub, hub_remote, bundle, into, told, waits, all_large, reply
):
    """It tries three times here."""
    sent = bundle()
    hub.faults.append(Fault("POST", UPLOAD, instead=reply, times=3))
    hub.faults.append(Fault("GET", DOWNLOAD, instead=reply, times=3))

    hub_remote.push(sent, progress=told)
    assert hub_remote.pull("acme/tongues", 1, into, progress=told).patch.digest == sent.patch.digest

    said = "the transfer broke off" if reply is HANG_UP else "the Hub failed (status 500)"
    assert [wait.startswith(f"{said}, trying again in") for wait in told.waits()] == [True, True]
