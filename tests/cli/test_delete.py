"""delete: what is left of a version, and what became of others: builds, transfers, successors."""

GONE = ("--reason", "published by mistake")


def test_the_tombstone_says_who_and_why(again):
    said = again.ok("delete", "acme/one@2", *GONE)
    assert "acme/one@2 is now deleted by tester" in said
    page = again.ok("show", "acme/one@2")
    for word in ("acme/one@2", "sha256:", "deleted by tester", "published by mistake"):
        assert word in page
    document = again.json("show", "acme/one@2")
    assert document["manifest"] is None
    assert document["standing"]["reason"] == "published by mistake"
    assert "acme/one@2" not in again.ok("list")
    assert "published by mistake" in again.fails(1, "E_DELETED", "verify", "acme/one@2")
    assert "version.delete" in again.ok("log", "acme/one@2")


def test_what_was_deleted_is_not_pulled_again(stocked):
    stocked.ok("delete", "acme/one@1", *GONE)
    told = stocked.fails(1, "E_DELETED", "pull", "acme/one", stocked.exchange)
    assert "published by mistake" in told
    assert "--undo" in told
    stocked.ok("delete", "acme/one@1", "--undo", "--reason", "it was public")
    assert "already known" in stocked.ok("pull", "acme/one", stocked.exchange)


def test_an_alias_must_be_moved_first(again):
    again.ok("alias", "acme/one@2", "stable")
    assert "acme/one@stable" in again.fails(1, "E_ALIAS", "delete", "acme/one@2", *GONE)


def test_show_says_where_a_version_went(stocked, tmp_path):
    out = tmp_path / "fixed"
    stocked.ok("apply", "acme/one", "--base", stocked.base.path, "--out", out)
    stocked.ok("push", "acme/one", tmp_path / "drive")
    page = stocked.ok("show", "acme/one")
    for word in (str(out), str(tmp_path / "drive"), str(stocked.exchange)):
        assert word in page
    document = stocked.json("show", "acme/one")
    (build,) = document["builds"]
    assert (build["location"], build["who"]) == (str(out), "tester")
    assert [transfer["direction"] for transfer in document["transfers"]] == ["push", "pull"]


def test_a_composition_that_supersedes_another_version(stocked, tmp_path):
    base = ("--base", stocked.base.path)
    names = ("acme/one", "acme/two", "--name", "acme/both")
    stocked.ok("compose", *names, *base, "--supersedes", "acme/one")
    assert "superseded by  acme/both@1" in stocked.ok("show", "acme/one")
    assert "supersedes  acme/one@1" in stocked.ok("show", "acme/both")
    found = stocked.run("apply", "acme/one", *base, "--out", tmp_path / "fixed")
    assert "acme/one@1 is superseded by acme/both@1" in found.stderr
