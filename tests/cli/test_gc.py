"""gc: a dry run by default, and names."""


def test_a_deleted_version_is_shown_and_then_taken(stocked):
    assert "nothing to collect" in stocked.ok("gc", "--older-than", "0s")
    stocked.ok("delete", "acme/one@1", "--reason", "private data")
    assert "nothing yet; 3 files (" in stocked.ok("gc", "--yes")

    shown = stocked.ok("gc", "--older-than", "0s")
    assert "acme/one@1 delta.safetensors" in shown
    assert "take them with --yes" in shown
    would = stocked.json("gc", "--older-than", "0s")
    assert (would["dry_run"], len(would["items"])) == (True, 3)
    taken = stocked.json("gc", "--older-than", "0s", "--yes")
    assert taken["dry_run"] is False
    assert taken["items"][0]["names"]
    assert "nothing to collect" in stocked.ok("gc", "--older-than", "0s")
    stocked.ok("verify", "acme/two@1")


def test_a_span_that_is_none_is_wrong_usage(stocked):
    found = stocked.run("gc", "--older-than", "soon")
    assert found.returncode == 2
    assert "90m, 24h or 7d" in found.stderr


def test_taken_back_too_late_a_version_is_pulled_again(stocked):
    stocked.ok("delete", "acme/one@1", "--reason", "private data")
    stocked.ok("gc", "--older-than", "0s", "--yes")
    undone = stocked.run("delete", "acme/one@1", "--undo", "--reason", "it was public")
    assert "its files are gone; fetch them: weightpatch pull acme/one@1" in undone.stderr
    stocked.ok("pull", "acme/one@1", stocked.exchange)
    stocked.ok("verify", "acme/one@1")
