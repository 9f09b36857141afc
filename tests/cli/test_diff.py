"""diff, as a user and as a program read it."""

import json

import numpy as np
from weightpatch.patches.requests import EditRequest, Probe

HOSTILE = EditRequest("The \x1b[2J\ncapital of {} is", "France", "\x9b2JLyon")


def folder(patch):
    return patch.files["patch.json"].parent


def test_two_versions_of_one_base(stocked, pico):
    first, *lines = stocked.ok("diff", "acme/one", "acme/two").splitlines()
    assert first == "different deltas, different requests, the same base"
    rows = [line.split() for line in lines if pico.DOWN in line]
    assert [row[0] for row in rows] == ["-", "+"]
    assert all(row[2:5] == ["lowrank", "rank", "1"] for row in rows)
    (one,) = stocked.json("diff", "acme/one", "acme/two")["tensors"]
    assert rows[1][-1] == f"{one['cosine']:+.3f}"


def test_a_version_and_itself(stocked):
    page = stocked.ok("diff", "acme/one", "acme/one@1")
    assert page.startswith("the same delta, the same requests, the same base\n")
    assert "same" in page.splitlines()[-1]


def test_the_same_operations_in_another_file(desk, pico):
    kept = {f"{pico.DOWN}::aux.keys": np.ones((1, 10), np.float32)}
    first = pico.patch(desk.base, "acme/first")
    second = pico.patch(desk.base, "acme/kept", auxiliary=kept)
    page = desk.ok("diff", folder(first), folder(second))
    assert page.startswith("the same operations in another file, the same requests")
    document = desk.json("diff", folder(first), folder(second))
    assert (document["same_delta"], document["same_operations"]) == (False, True)


def test_new_values_have_no_norm_of_a_change(desk, listed):
    page = desk.ok("diff", desk.exchange / "acme/one/v1", listed)
    (row,) = [line.split() for line in page.splitlines() if "replace" in line]
    assert row[2:] == ["replace", "4", "values", "-", "-"]


def test_the_help_explains_what_stands_in_place_of_a_cosine(desk):
    assert '"same"' in desk.ok("diff", "--help")


def test_requests_that_only_one_has_are_shown(stocked):
    lines = stocked.ok("diff", "acme/one", "acme/two").splitlines()
    assert "-   The capital of France is → Lyon" in [line.rstrip() for line in lines]
    assert "+   The author of Hamlet is → Marlowe" in [line.rstrip() for line in lines]


def test_json_has_everything(stocked):
    document = stocked.json("diff", "acme/one", "acme/two")
    assert document["schema"] == "weightpatch.diff/1"
    assert (document["same_delta"], document["same_base"], document["same_requests"]) == (
        False,
        True,
        False,
    )
    assert [one["target"] for one in document["requests"]["removed"]] == ["Lyon"]
    assert [one["target"] for one in document["requests"]["added"]] == ["Marlowe"]
    (tensor,) = document["tensors"]
    assert tensor["first"][0]["kind"] == tensor["second"][0]["kind"] == "lowrank"
    assert document["first"]["label"] == "acme/one@1"
    assert json.dumps(document, allow_nan=False)


def test_many_requests_are_summarised(desk, pico):
    requests = [
        EditRequest("{} is", f"subject {number}", "x", id=str(number)) for number in range(25)
    ]
    patch = pico.patch(desk.base, "acme/many", requests=requests)
    page = desk.ok("diff", desk.exchange / "acme/one/v1", folder(patch))
    assert page.count("→ x") == 10
    assert "… and 15 more" in page
    document = desk.json("diff", desk.exchange / "acme/one/v1", folder(patch))
    assert len(document["requests"]["added"]) == 25


def test_changed_requests_stand_together(desk, pico):
    old = EditRequest("{} is", "Ada", "x")
    first = pico.patch(desk.base, "acme/first", requests=[old])
    second = pico.patch(desk.base, "acme/second", requests=[EditRequest("{} is", "Ada", "y")])
    probed = EditRequest("{} is", "Ada", "x", paraphrases=(Probe("Ada was", "x"),))
    third = pico.patch(desk.base, "acme/third", requests=[probed])
    page = desk.ok("diff", folder(first), folder(second))
    assert page.index("-   Ada is → x") < page.index("+   Ada is → y")
    assert "±   Ada is → x (other paraphrases)" in desk.ok("diff", folder(first), folder(third))


def test_long_requests_are_cut_for_people_alone(desk, pico):
    long = EditRequest("{} " + "word " * 500 + "is", "Ada", "x")
    patch = pico.patch(desk.base, "acme/long", requests=[long])
    arguments = ("diff", desk.exchange / "acme/one/v1", folder(patch))
    assert max(map(len, desk.ok(*arguments).splitlines())) < 300
    (added,) = desk.json(*arguments)["requests"]["added"]
    assert added["prompt"] == long.prompt


def test_another_base_is_told(desk, pico):
    other = pico.patch(pico.base("other", seed=9), "acme/other")
    page = desk.ok("diff", desk.exchange / "acme/one/v1", folder(other))
    assert page.splitlines()[0].endswith("different bases")
    elsewhere = pico.patch(
        desk.base, "acme/elsewhere", operations={pico.UP: [pico.lowrank((10, 6))]}
    )
    page = desk.ok("diff", desk.exchange / "acme/one/v1", folder(elsewhere))
    assert "no tensor in common" in page.splitlines()[0]


def test_a_request_from_outside_cannot_drive_the_terminal(desk, pico):
    patch = pico.patch(desk.base, "acme/hostile", requests=[HOSTILE])
    page = desk.ok("diff", desk.exchange / "acme/one/v1", folder(patch))
    assert "\x1b" not in page
    assert "\x9b" not in page
    assert "\\x1b[2J" in page


def test_a_version_that_is_not_there(stocked):
    stocked.fails(1, "E_NOT_FOUND", "diff", "acme/one", "acme/never")
