"""The page of a proposal: what it tells, and that no text in it does anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from markdown_it import MarkdownIt
from weightpatch.patches.conflicts.findings import CONFLICT, NOTE, Finding
from weightpatch.patches.conflicts.report import Report
from weightpatch.patches.evaluation.base import Mean
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.format.proposal import (
    MAX_CHARACTERS,
    MAX_TITLE,
    Compared,
    Side,
    proposal_page,
    proposal_title,
    titled_version,
)
from weightpatch.patches.requests import EditRequest

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
HOSTILE = "<script>alert(1)</script> | [x](javascript:1) ![y](//z) `w` @acme #1 \n# v"
PLACE = "hf://acme/one"
NOTHING = Compared(Report([]))


@dataclass(frozen=True)
class Scored:
    suite: str = "requests"
    suite_digest: str = "d" * 64
    means: Mapping[str, Mean] = field(default_factory=dict)


def scored(**means: Mean) -> Scored:
    return Scored(means={name.replace("_", "."): mean for name, mean in means.items()})


@pytest.fixture
def current(pico):
    return Side(
        pico.patch(pico.base(), "acme/one"),
        [scored(rome_es=Mean(0.25, 0.5, 2)), scored(rome_es=Mean(0.0, 0.125, 2))],
    )


@pytest.fixture
def propose(pico, current):
    """A version that follows acme/one@1, with this message and these requests."""

    def make(*requests: EditRequest, **changes: object) -> Patch:
        base = current.patch.manifest.bases[0]
        made = pico.patch(
            pico.base("again"), "carol/fix", requests=requests or [pico.OTHER_REQUEST]
        )
        fields = {"name": "acme/one", "version": 2, "bases": (base,), **changes}
        return Patch.open(pico.rewrite(made, **fields))

    return make


def test_it_tells_what_is_proposed_from_what_and_how_to_look_at_it(current, propose):
    side = Side(propose(), [scored(rome_es=Mean(0.25, 1.0, 2))])
    found = Finding("weights", CONFLICT, ("acme/one@1", "acme/one@2"), "layer.0", "They clash.")
    page = proposal_page(
        current,
        side,
        Compared(Report([found], {NOTE: 3})),
        place=PLACE,
        made_from="carol/fix@1",
        note="Take it!",
    )
    for said in (
        "Version 2 of acme/one is proposed, to follow version 1. Its author says: a fix",
        r"Take it\!",
        "| The mother tongue of Danielle is | English |  |",
        r"| rome\.es | 0.250 | 0.500 | 0.250 | 1.000 |",
        r"| conflict | weights | layer\.0 | They clash. |",
        "and 3 more.",
        r"| made from | carol/fix\@1 |",
        f"| digest | sha256:{side.patch.digest} |",
        "weightpatch review hf://acme/one/pr/N --merge",
    ):
        assert said in page


def test_without_scores_findings_and_note_it_says_so(current, propose):
    page = proposal_page(Side(current.patch), Side(propose()), NOTHING, place=PLACE)
    assert "Neither version was scored." in page
    assert "None was found." in page
    assert "made from" not in page
    unread = proposal_page(current, current, Compared(Report([]), "no plugin"), place=PLACE)
    assert "They were not compared: no plugin" in unread


def test_requests_that_it_leaves_out_are_listed(current, propose, pico):
    page = proposal_page(current, Side(propose()), NOTHING, place=PLACE)
    assert "Requests of version 1 that it leaves out, so that nothing answers them:" in page
    assert "| prompt | answer of version 1 | old answer |" in page
    assert "| The capital of France is | Lyon |" in page


def test_without_a_request_left_out_it_does_not_speak_of_it(current, propose, pico):
    kept = propose(pico.REQUEST)
    assert "leaves out" not in proposal_page(current, Side(kept), NOTHING, place=PLACE)


@pytest.mark.parametrize(("place", "has_button"), [(PLACE, True), ("FOLDER/acme/one", False)])
def test_where_there_is_a_button_it_says_that_it_publishes_nothing(
    current, propose, place, has_button
):
    page = proposal_page(current, Side(propose()), NOTHING, place=place)
    assert ("The button on this page alone publishes no version" in page) is has_button


def test_one_version_may_be_scored_and_the_other_not(current, propose):
    page = proposal_page(current, Side(propose()), NOTHING, place=PLACE)
    assert r"| rome\.es | 0.250 | 0.500 | – | – |" in page  # noqa: RUF001 - as tables have it


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("Breton\nafter all", "Propose acme/one@2: Breton ⏎ after all"),
        ("", "Propose acme/one@2: The mother tongue of Danielle is → English"),
        ("\u202eevil", "Propose acme/one@2: <U+202E>evil"),
    ],
)
def test_the_title_is_one_line_about_what_it_does(propose, message, title):
    assert proposal_title(propose(message=message)) == title


@pytest.mark.parametrize(
    ("title", "version"),
    [
        ("Propose acme/capitals@12: a fix", 12),
        ("Propose acme/other@12: a fix", None),
        ("propose acme/capitals@12: a fix", None),
        ("Propose acme/capitals@0: a fix", None),
        ("Better acme/capitals@12:", None),
    ],
)
def test_a_title_of_ours_says_the_version(title, version):
    assert titled_version(title, "acme/capitals") == version


def test_a_long_title_is_cut(propose):
    title = proposal_title(propose(message="long " * 200))
    assert len(title) == MAX_TITLE + 1
    assert title.endswith("…")


def test_no_text_from_outside_works_as_markup(current, propose):
    request = EditRequest(f"The {{}} {HOSTILE} is", "mother", HOSTILE, HOSTILE)
    side = Side(
        propose(request, message=HOSTILE, author="a <b>", licence="<i>"),
        [Scored(HOSTILE, means={HOSTILE: Mean(None, 1.0, 1)})],
    )
    found = Finding("facts", CONFLICT, ("a", "b"), HOSTILE, HOSTILE)
    page = proposal_page(
        current, side, Compared(Report([found])), place=PLACE, made_from=HOSTILE, note=HOSTILE
    )
    tokens = [inner for token in MARKDOWN.parse(page) for inner in [token, *(token.children or ())]]
    kinds = {token.type for token in tokens}
    assert kinds.isdisjoint({"html_block", "html_inline", "link_open", "image"})
    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    assert headings == [
        "What it changes",
        "Scores",
        "Conflicts with version 1",
        "Where it came from",
        "How to review it",
    ]
    assert "@acme" not in page.replace("\\@acme", "")


def test_a_page_is_never_longer_than_a_hub_takes(pico, current, propose):
    many = [
        EditRequest("{} " + "|" * 190, str(number), "|" * 190, "|" * 190, id=str(number))
        for number in range(30)
    ]
    patch = propose(*many)
    page = proposal_page(current, Side(patch), NOTHING, place=PLACE, note="ok")
    assert "and 25 more." in page
    assert page.endswith("`weightpatch review` does.\n")
    worst = proposal_page(
        current, Side(patch), NOTHING, place=PLACE, made_from="\x01" * 10_000, note="\x01" * 10_000
    )
    assert len(worst) <= MAX_CHARACTERS


def test_the_first_twenty_requests_are_shown(pico, current, propose):
    many = [EditRequest("{} is", f"it {n}", "so", id=str(n)) for n in range(23)]
    page = proposal_page(current, Side(propose(*many)), NOTHING, place=PLACE)
    assert "| it 19 is |" in page
    assert "| it 20 is |" not in page
    assert "and 3 more." in page
