"""outdated: what remotes have that is newer, asked without changing anything."""

from loopback_faults import Fault
from loopback_messages import Reply
from weightpatch.registry.remotes.errors import RemoteUnreachable
from weightpatch.registry.sharing.exchange import pull, push
from weightpatch.registry.sharing.outdated import Newer, outdated


def test_outdated_tells_what_each_remote_has_that_is_newer(registry, three, tmp_path):
    pull(registry, "acme/tongues@1", str(three))
    push(registry, "acme/tongues@1", str(tmp_path / "drive"))
    before = registry.log()
    found = outdated(registry)
    assert found.newer == (Newer("acme/tongues", 1, 3, str(three)),)
    assert (found.unanswered, found.asked) == ((), 2)
    assert registry.log() == before

    pull(registry, "acme/tongues@3", str(three))
    assert outdated(registry).newer == ()
    assert outdated(registry, ["acme/tongues@1"]).newer == (
        Newer("acme/tongues", 1, 3, str(three)),
    )


def test_a_newer_version_that_was_deleted_here_is_not_told(registry, three):
    pull(registry, "acme/tongues@1", str(three))
    pull(registry, "acme/tongues@3", str(three))
    registry.delete("acme/tongues@3", reason="a mistake")
    (newer,) = outdated(registry).newer
    assert newer.there == 2


def test_a_hub_that_does_not_answer_is_asked_once_and_stops_nothing(
    registry, hub, three, make_draft
):
    for name in ("alice/one", "alice/two"):
        push(registry, registry.publish(make_draft(name)).label, "hf://")
    pull(registry, "acme/tongues@1", str(three))
    registry.publish(make_draft("acme/home"))
    asked = hub.asked("GET", "alice/two/refs")
    hub.faults.append(Fault("GET", "/refs", Reply(503), times=None))
    found = outdated(registry)
    assert [one.name for one in found.newer] == ["acme/tongues"]
    assert [one.name for one in found.unanswered] == ["alice/one", "alice/two"]
    second = found.unanswered[1].error
    assert isinstance(second, RemoteUnreachable)
    assert str(second) == "it was not asked again, as it gave no answer for alice/one"
    assert hub.asked("GET", "alice/two/refs") == asked
    assert outdated(registry, ["acme/home"]).local == ("acme/home",)
