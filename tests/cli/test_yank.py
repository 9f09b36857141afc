"""yank: what those meet who use a version that was withdrawn."""

REASON = ("--reason", "breaks\x1b[2J the capital of Peru")


def apply(desk, reference, out):
    return ("apply", reference, "--base", desk.base.path, "--out", desk.base.path.parent / out)


def test_a_yanked_version_warns_and_names_do_not_mean_it(again):
    said = again.ok("yank", "acme/one@2", *REASON)
    assert "acme/one@2 is now yanked (major) by tester" in said
    assert "acme/one@1" in again.ok("show", "acme/one")
    for command in (("show", "acme/one@2"), apply(again, "acme/one@2", "fixed")):
        found = again.run(*command)
        assert found.returncode == 0
        assert "warning: acme/one@2 was yanked (major) by tester" in found.stderr
        assert "\x1b" not in found.stdout + found.stderr
    assert "(yanked)" in again.ok("list")


def test_undone_it_is_listed_again(again):
    again.ok("yank", "acme/one@2", *REASON)
    assert "is now listed" in again.ok("yank", "acme/one@2", "--undo", "--reason", "it was Chile")
    assert "acme/one@2" in again.ok("show", "acme/one")
    assert "not yanked" in again.run("yank", "acme/one@2", "--undo", "--reason", "x").stderr


def test_malicious_is_not_used_but_looked_at(again, tmp_path):
    again.ok("alias", "acme/one@1", "stable")
    told = again.run("yank", "acme/one@1", "--severity", "malicious", "--reason", "a back door")
    assert "acme/one@stable still stands at it" in told.stderr
    folder = again.exchange / "acme" / "one" / "v1"
    digest = again.json("show", "acme/one@1")["digest"]
    for command in (
        apply(again, "acme/one@1", "a"),
        apply(again, f"sha256:{digest}", "b"),
        apply(again, "acme/one@stable", "c"),
        apply(again, folder, "d"),
        ("push", "acme/one@1", tmp_path / "drive"),
        ("eval", "acme/one@1", "--base", again.base.path),
        ("compose", "acme/one@1", "acme/two", "--base", again.base.path, "--name", "acme/both"),
    ):
        assert "a back door" in again.fails(1, "E_YANKED", *command)
    assert not (tmp_path / "drive").exists()
    for command in (
        ("show", "acme/one@1"),
        ("verify", "acme/one@1"),
        ("diff", "acme/one@1", "acme/two"),
        ("log", "acme/one@1"),
    ):
        again.ok(*command)


def test_nothing_goes_on_top_of_a_build_with_a_malicious_version(stocked):
    stocked.ok(*apply(stocked, "acme/one", "fixed"))
    stocked.ok("yank", "acme/one@1", "--severity", "malicious", "--reason", "a back door")
    build = stocked.base.path.parent / "fixed"
    arguments = ("apply", "acme/two", "--base", build, "--out", build.parent / "more")
    stocked.fails(1, "E_YANKED", *arguments)


def test_a_reason_is_needed(again):
    assert again.run("yank", "acme/one@2").returncode == 2
    assert again.run("yank", "acme/one@2", "--reason", " ").returncode == 2
    again.fails(1, "E_REFERENCE", "yank", "acme/one", *REASON)


def test_what_holds_a_malicious_version_says_so_wherever_it_is_looked_at(stocked, tmp_path):
    base, out = ("--base", stocked.base.path), tmp_path / "fixed"
    stocked.ok("compose", "acme/one", "acme/two", "--name", "acme/both", *base)
    stocked.ok("apply", "acme/both", *base, "--out", out)
    (build,) = stocked.json("show", "acme/one")["builds"]
    assert (build["location"], build["through"]) == (str(out), ["acme/both@1"])
    assert "(through acme/both@1)" in stocked.ok("show", "acme/one")
    told = stocked.ok("yank", "acme/one@1", "--severity", "malicious", "--reason", "a back door")
    for place in ("composition acme/both@1", f"build {out}", f"remote {stocked.exchange}"):
        assert place in told
    for command in (
        ("show", "acme/both"),
        ("lineage", "acme/both"),
        ("verify", "acme/both"),
        ("verify", out),
        ("blame", out),
    ):
        found = stocked.run(*command)
        assert found.returncode == 0
        assert "holds acme/one@1, yanked as malicious by tester" in found.stderr
        (held,) = stocked.json(*command)["holds_malicious"]
        assert held["label"] == "acme/one@1"
    severities = {
        node["version"]: node["severity"] for node in stocked.json("lineage", "acme/both")["nodes"]
    }
    assert severities["acme/one@1"] == "malicious"
    stocked.fails(1, "E_YANKED", "alias", "acme/both@1", "stable")
