"""search and list by page, as a user and as a program read them."""

from weightpatch.registry.registry import Registry


def found(desk, *arguments) -> list[str]:
    return [version["name"] for version in desk.json("search", *arguments)["versions"]]


def test_versions_are_found_by_what_they_are_about(stocked):
    assert found(stocked, "shakespeare") == []
    assert found(stocked, "HAMLET", "marlowe") == ["acme/two"]
    assert found(stocked, "--subject", "france") == ["acme/one"]
    assert found(stocked, "--method", "rome", "--author", "ada") == ["acme/two", "acme/one"]
    assert found(stocked, "--tensor", "*.down_proj.*", "--score", "locality>0.9") == []


def test_a_base_is_a_name_or_the_weights_in_a_folder(stocked, pico):
    assert found(stocked, "--base", "base") == ["acme/two", "acme/one"]
    assert found(stocked, "--base", stocked.base.path) == ["acme/two", "acme/one"]
    assert found(stocked, "--base", pico.base("other", seed=1).path) == []


def test_bases_are_shown_where_they_differ(stocked, pico, tmp_path):
    assert stocked.ok("list").split()[1] == "method"
    assert "base" not in stocked.ok("list").splitlines()[0].split()
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        registry.admit(pico.patch(pico.base("elsewhere", seed=3), "acme/three"))
    for arguments in (["list"], ["search", "acme"]):
        head, _, *rows = stocked.ok(*arguments).splitlines()
        assert "base" in head.split()
        assert [row.split()[2] for row in rows] == ["elsewhere", "base", "base"]


def test_the_note_below_a_page_shows_the_next_one(stocked):
    page = stocked.run("list", "--limit", "1")
    assert "acme/two@1" in page.stdout
    command = page.stderr.strip().removeprefix("more: weightpatch ").split()
    rest = stocked.run(*command)
    assert "acme/one@1" in rest.stdout
    assert "acme/two@1" not in rest.stdout
    assert rest.stderr == ""
    following = stocked.json("search", "acme", "--limit", "1")["before"]
    assert found(stocked, "acme", "--before", following) == ["acme/one"]


def test_list_of_one_patch(stocked):
    assert [v["name"] for v in stocked.json("list", "acme/one")["versions"]] == ["acme/one"]


def test_what_was_yanked_is_marked(stocked, tmp_path):
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        registry.yank("acme/one@1", reason="wrong city")
    for arguments in (["list"], ["search", "france"], ["lineage", "acme/one@1"]):
        assert "acme/one@1 (yanked)" in stocked.ok(*arguments)


def test_what_cannot_be_looked_for(stocked):
    assert stocked.run("search").returncode == 2
    assert stocked.run("search", "x", "--before", "sha256:12").returncode == 2
    stocked.fails(1, "E_QUERY", "search", "%")
    stocked.fails(1, "E_QUERY", "search", "--score", "locality=>1")
    told = stocked.fails(1, "E_QUERY", "search", "--score", "loclaity>1")
    assert "locality" in told
    assert told.count("rome.score") == 1
    stocked.fails(1, "E_CHECKPOINT", "search", "--base", "./typo")
    assert "acme/one" in stocked.fails(1, "E_NOT_FOUND", "list", "acme/onee")
    stocked.fails(1, "E_LIMIT", "search", "x" * 2000)
    stocked.fails(1, "E_NOT_FOUND", "list", "--before", "sha256:" + "0" * 64)
