"""Whether a remote holds a version, told without fetching it."""

from weightpatch.patches.format.patch import MANIFEST


def test_a_version_is_held_if_its_manifest_is_there(remote, bundle):
    sent, other = bundle(seed=1), bundle(seed=2)
    remote.push(sent)

    assert remote.holds("acme/tongues", 1, sent.patch.files[MANIFEST].read_bytes())
    assert not remote.holds("acme/tongues", 1, other.patch.files[MANIFEST].read_bytes())


def test_what_was_taken_out_of_a_version_is_not_held(folder_remote, bundle):
    sent = bundle()
    manifest = sent.patch.files[MANIFEST].read_bytes()
    folder_remote.push(sent)
    (folder_remote.root / "acme" / "tongues" / "v1" / MANIFEST).unlink()

    assert not folder_remote.holds("acme/tongues", 1, manifest)


def test_nothing_is_fetched_to_tell_it(hub, hub_remote, bundle):
    sent = bundle()
    hub_remote.push(sent)
    hub["acme/tongues"].branches["v1"] = hub["acme/tongues"].put({MANIFEST: b"{}"})
    hub.requests.clear()

    assert hub_remote.holds("acme/tongues", 1, sent.patch.files[MANIFEST].read_bytes())
    assert len(hub.requests) == hub.asked("GET", "/refs$|/tree/") == 2


def test_what_is_not_there_is_not_held(remote, bundle):
    remote.push(bundle())

    assert not remote.holds("acme/tongues", 7, b"{}")
