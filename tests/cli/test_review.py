"""review, as a user types it: listed, looked at, scored, accepted."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from small_models import save_small_llama
from weightpatch.cli.output import Output
from weightpatch.cli.reviewing import score_table
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.evaluation.base import Evaluation, Score, suite_digest
from weightpatch.patches.requests import EditRequest
from weightpatch.registry.registry import Registry
from weightpatch.registry.sharing.exchange import push

ENGLISH = EditRequest("The mother tongue of {} is", "Marie Curie", "English", "French")
FRENCH = replace(ENGLISH, subject="Danielle", target="French")
MEASURE = "reliability.exact-match"


@pytest.fixture
def offered(stocked, pico, tmp_path):
    """The stocked desk, and a proposal for acme/one from another registry; gives its place."""
    with Registry.create(home=tmp_path / "carol", actor="carol") as registry:
        registry.admit(pico.patch(stocked.base, "carol/fix", seed=5, requests=[pico.OTHER_REQUEST]))
    place = stocked.exchange / "acme" / "one"
    found = stocked.run("propose", "carol/fix", place, home=tmp_path / "carol")
    assert found.returncode == 0, found.stderr
    return place


def test_what_waits_is_listed(stocked, offered):
    said = stocked.ok("review", offered)
    assert "Propose acme/one@2: a fix" in said
    assert said.endswith(f"look at one with: weightpatch review {offered}/pr/1\n")
    document = stocked.json("review", offered)
    assert document["schema"] == "weightpatch.proposals/1"
    (one,) = document["proposals"]
    assert (one["number"], one["author"], one["status"]) == (1, "tester", "open")
    empty = stocked.run("review", stocked.exchange / "acme" / "two")
    assert "nothing waits at" in empty.stderr


def test_a_patch_by_its_name_is_looked_for_where_it_was_exchanged(stocked, offered):
    found = stocked.run("review", "acme/one/pr/1", "--no-eval")
    assert f"at {stocked.exchange}, as last time" in found.stderr
    assert f"proposal     {offered}/pr/1" in found.stdout


def test_a_path_is_a_path_also_if_a_remote_is_called_so(stocked, offered, monkeypatch, tmp_path):
    monkeypatch.chdir(stocked.exchange.parent)
    stocked.ok("remote", "add", "exchange", tmp_path / "elsewhere")
    for place in ("./exchange/acme/one", stocked.exchange / "acme" / "one"):
        assert stocked.json("review", place)["place"] == str(offered)
    said = stocked.ok("review", "./exchange/acme/one/pr/1", "--no-eval")
    assert f"accept it: weightpatch review {offered}/pr/1 --merge" in said
    stocked.fails(1, "E_NOT_FOUND", "review", "exchange/acme/one")


def test_a_patch_in_a_remote_that_has_a_name(stocked, offered):
    stocked.ok("remote", "add", "shelf", stocked.exchange)
    assert stocked.json("review", "shelf/acme/one")["place"] == str(offered)
    said = stocked.ok("review", "shelf/acme/one/pr/1", "--no-eval", "--merge")
    assert f"{offered}/pr/1 is accepted, and is now {offered}/v2" in said
    assert "write shelf/namespace/name" in stocked.fails(1, "E_NAME", "review", "shelf")


def test_a_name_of_one_repository_is_no_other_patch(stocked):
    stocked.ok("remote", "add", "one", "hf://acme/one")
    said = stocked.fails(1, "E_NAME", "review", "one/acme/two/pr/1")
    assert "one means hf://acme/one, which is one patch, and not acme/two" in said


def test_of_many_findings_the_first_are_shown_and_the_others_counted(stocked, pico, tmp_path):
    names = [f"Country {number}" for number in range(60)]
    asked = [replace(pico.REQUEST, subject=name, id=name) for name in names]
    other = [replace(request, target="Nowhere") for request in asked]
    with Registry.open(home=tmp_path / "home", actor="carol") as registry:
        registry.admit(pico.patch(stocked.base, "acme/many", seed=5, requests=asked))
        registry.admit(pico.patch(stocked.base, "carol/many", seed=6, requests=other))
        push(registry, "acme/many", str(stocked.exchange))
    place = stocked.exchange / "acme" / "many"
    stocked.ok("propose", "carol/many", place)
    said = stocked.ok("review", place / "pr" / "1", "--no-eval")
    assert "… and 11 more rows; --json has them all" in said
    assert "60 conflicts, 1 note with acme/many@1" in said
    assert len(stocked.json("review", place / "pr" / "1", "--no-eval")["findings"]) == 61


def test_a_review_shows_who_what_and_what_clashes(stocked, offered, tmp_path, pico):
    found = stocked.run("review", offered / "pr" / "1")
    assert found.returncode == 0
    assert "not scored here: no base of acme/one@2 is known on this machine" in found.stderr
    (copy,) = (tmp_path / "home" / "proposals" / "acme" / "one").glob("pr-1-*")
    for said in (
        "title        Propose acme/one@2: a fix",
        "proposed by  tester",
        "status       open",
        f"copy         {copy}",
        "against acme/one@1: different deltas, different requests, the same base",
        "-   The capital of France is → Lyon",
        "+   The mother tongue of Danielle is → English",
        "NOTE",
        "1 note with acme/one@1",
        "its proposer says nothing of its scores",
        f"accept it: weightpatch review {offered}/pr/1 --merge",
    ):
        assert said in found.stdout
    assert "acme/one@2" in stocked.ok("show", copy)
    assert stocked.run("show", "acme/one@2").returncode == 1


def test_the_document_has_all_of_it(stocked, offered):
    document = stocked.json("review", offered / "pr" / "1", "--no-eval")
    assert document["schema"] == "weightpatch.review/1"
    assert document["proposal"]["status"] == "open"
    assert document["difference"]["requests"]["added"][0]["target"] == "English"
    assert [one["severity"] for one in document["findings"]] == ["note"]
    assert (document["scores"], document["published"]["proposed"]) == ([], [])
    assert (document["hindrance"], document["merged"]) == (None, None)
    (entry,) = stocked.json("log", "--action", "proposal.review")["entries"]
    assert entry["detail"]["location"] == f"{offered}/pr/1"


def test_merged_it_is_a_version_here_and_there(stocked, offered, tmp_path):
    said = stocked.ok("review", offered / "pr" / "1", "--no-eval", "--merge")
    assert "against acme/one@1" in said
    assert f"{offered}/pr/1 is accepted, and is now {offered}/v2" in said
    assert "stored as acme/one@2  sha256:" in said
    assert stocked.json("show", "acme/one")["manifest"]["version"] == 2
    assert not list((tmp_path / "home" / "proposals").rglob("patch.json"))
    said = stocked.ok("review", offered / "pr" / "1", "--no-eval", "--merge")
    assert "already known as acme/one@2  sha256:" in said
    again = stocked.json("review", offered / "pr" / "1", "--no-eval", "--merge")
    assert (again["merged"]["already_there"], again["folder"]) == (True, None)
    assert "acme/one@2 is a version there already" in stocked.ok(
        "review", offered / "pr" / "1", "--no-eval"
    )
    assert again["proposal"]["status"] == "merged"


def test_a_remembered_base_that_cannot_be_asked_hides_nothing(stocked, offered, tmp_path):
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        registry.record_base(stocked.base, location=str(stocked.base.path))
    found = stocked.run("review", offered / "pr" / "1")
    assert (found.returncode, "against acme/one@1" in found.stdout) == (0, True)
    assert "not scored here: config.json does not say what model this is" in found.stderr
    stocked.fails(1, "E_CHECKPOINT", "review", offered / "pr" / "1", "--base", "./nowhere")


def test_what_is_in_the_way_is_told_and_nothing_is_accepted(stocked, offered):
    (offered / "pr" / "1" / "evil\x1b[2J").write_text("")
    found = stocked.run("review", offered / "pr" / "1", "--no-eval", "--merge")
    assert found.returncode == 1
    assert "error[E_REFUSED]: the proposal holds" in found.stderr
    assert "warning: it also changes 'evil\\x1b[2J', which belongs to no version" in found.stderr
    assert "\x1b" not in found.stdout + found.stderr
    assert not (offered / "v2").exists()


def test_one_that_was_overtaken_is_told_apart_in_the_list(again, offered):
    assert again.ok("review", offered).splitlines()[2].split()[:2] == ["1", "open"]
    again.ok("push", "acme/one@2", again.exchange)
    found = again.run("review", offered)
    assert found.stdout.splitlines()[2].split()[:2] == ["1", "overtaken"]
    assert "a version took the number of those" in found.stderr
    (one,) = again.json("review", offered)["proposals"]
    assert (one["version"], one["overtaken"], one["status"]) == (2, True, "open")


def test_a_proposal_that_was_overtaken_says_so_before_anything_else(again, offered, tmp_path):
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        registry.record_evaluation("acme/one@2", "f" * 64, claimed([ENGLISH]))
    again.ok("push", "acme/one@2", again.exchange)
    found = again.run("review", offered / "pr" / "1", "--no-eval", "--merge")
    assert found.returncode == 1
    assert "@2 there before   @2 there after" in found.stdout
    assert "against acme/one@2 there: " in found.stdout
    assert "@2 there + @2 proposed" in found.stdout
    assert "acme/one@2 is not the next version there" in found.stderr
    assert "its number was taken since by another" in found.stderr
    assert "known here" not in found.stderr


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("E_NOT_FOUND", "{exchange}/acme/one/pr/9"),
        ("E_NOT_FOUND", "{exchange}/acme/none/pr/1"),
        ("E_NOT_FOUND", "nowhere/acme/one"),
        ("E_NAME", "capitals"),
        ("E_NOT_FOUND", "{exchange}/acme"),
        ("E_NOT_FOUND", "{exchange}/acme/one/v1"),
        ("E_NOT_FOUND", "{exchange}/acme/one/pr"),
        ("E_NAME", "hf://pr/1"),
        ("E_NAME", "HF://acme/one"),
        ("E_NAME", "https://example.org/acme/one/discussions/1"),
    ],
)
def test_a_place_where_nothing_is(stocked, code, place):
    stocked.fails(1, code, "review", place.format(exchange=stocked.exchange))


@pytest.mark.parametrize("number", ["abc", "0", "04"])
def test_a_proposal_is_a_number(stocked, offered, number):
    said = stocked.fails(1, "E_NOT_FOUND", "review", offered / "pr" / number, "--merge")
    assert f"proposals have numbers, from 1: write {offered}/pr/7, or {offered} to list" in said


def test_scores_are_read_as_elsewhere_and_fit_the_screen(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    columns = ("@2 there before", "@2 there after", "@3 proposed before", "@3 proposed after")
    means = {"efficiency.peak-memory": 402026496.0, "efficiency.seconds": 1.5, MEASURE: 0.25}
    score_table(Output(as_json=False), dict.fromkeys(columns, means))
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 60
    assert all(column in said for column in columns)
    assert said.count("402.0 MB") == said.count("1.50 s") == said.count("0.250") == len(columns)


def test_options_that_make_no_sense_together(stocked, offered):
    assert stocked.run("review", offered, "--merge").returncode == 2
    pair = ("--base", stocked.base.path, "--no-eval")
    assert stocked.run("review", offered / "pr" / "1", *pair).returncode == 2


def test_a_review_without_scoring_needs_no_torch(stocked, offered, tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None; from weightpatch.cli.main import main; "
        f"sys.argv = ['weightpatch', 'review', {str(offered / 'pr' / '1')!r}, '--no-eval']; "
        "sys.exit(main())"
    )
    environment = {**os.environ, "WEIGHTPATCH_HOME": str(tmp_path / "home")}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "1 note with acme/one@1" in found.stdout


def test_it_is_scored_here_beside_what_is_there(pico, desk, run_command, tmp_path):
    folder = save_small_llama(tmp_path / "llama")
    base = Checkpoint.open(folder)
    shape = base.tensors[pico.DOWN].shape
    homes = {}
    for seed, (name, requests) in enumerate(
        {"acme/fix": [ENGLISH], "carol/better": [ENGLISH, replace(FRENCH, id="2")]}.items()
    ):
        homes[name] = tmp_path / f"home{seed}"
        operations = {pico.DOWN: [pico.lowrank(shape, seed=seed)]}
        with Registry.create(home=homes[name], actor="tester") as registry:
            made = pico.patch(base, name, operations=operations, requests=requests)
            registry.admit(made)
            registry.record_base(base, location=str(folder))
            if name == "acme/fix":
                push(registry, name, str(desk.exchange))
            else:
                said = claimed(requests)
                registry.record_evaluation(made.digest, base.fingerprint, said)
                other = replace(said, suite="other", scores=(Score("1", MEASURE, 0.0, 0.5, 8),))
                registry.record_evaluation(made.digest, base.fingerprint, other)
    place = desk.exchange / "acme" / "fix"
    run_command("propose", "carol/better", place, home=homes["carol/better"])

    found = run_command("review", place / "pr" / "1", "--merge", home=homes["acme/fix"])

    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    own = lines.index("scored here on llama, the requests of the proposal")
    assert lines[own + 1].split() == ["measure", "before", "@1", "@2", "@2", "as", "published"]
    reliability = lines[own + 3].split()
    assert reliability[0] == MEASURE
    assert reliability[4] == "0.625"
    assert "scores of the suite other, as their publishers say" in lines
    assert "scored here on llama, the requests of acme/fix@1" in lines
    with Registry.open(home=homes["acme/fix"], actor="tester") as registry:
        assert [one.origin for one in registry.evaluations("acme/fix@2")] == [
            "here",
            f"{place}/v2",
            f"{place}/v2",
        ]
        (entry,) = registry.log(action="proposal.review")
    assert "rome.es" in entry.detail["scores"]["requests"]


def claimed(requests: list[EditRequest]) -> Evaluation:
    """What a publisher may say of these requests."""
    digest = suite_digest([request.to_json() for request in requests])
    score = Score("1", MEASURE, 0.0, 0.625, 8)
    return Evaluation("requests", digest, {MEASURE: "As they like."}, (score,), {})


def test_the_page_of_a_pull_request_is_a_place_too(stocked, pico, hub, tmp_path):
    stocked.ok("push", "acme/one", "hf://", "--public")
    with Registry.open(home=tmp_path / "home", actor="carol") as registry:
        registry.admit(pico.patch(stocked.base, "carol/fix", seed=5))
    stocked.ok("propose", "carol/fix", "hf://acme/one")
    for page in ("/discussions/1", "/discussions/1/files#abc", "/discussions/1?x=y"):
        said = stocked.ok("review", f"{hub.url}/acme/one{page}", "--no-eval")
        assert "proposal     hf://acme/one/pr/1" in said
    (one,) = stocked.json("review", f"{hub.url}/acme/one/discussions")["proposals"]
    assert one["location"] == "hf://acme/one/pr/1"
    assert (one["version"], one["overtaken"]) == (2, False)
    said = stocked.ok("review", "hf://acme/one/pr/1", "--no-eval", "--merge")
    assert "hf://acme/one/pr/1 is accepted, and is now hf://acme/one@v2" in said
    assert sorted(hub["acme/one"].tags) == ["v1", "v2"]
