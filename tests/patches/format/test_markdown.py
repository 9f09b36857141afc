"""Text from outside in a card: shown, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from weightpatch.patches.format.markdown import escape, table, visible

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![see](https://example.org/track.png)",
    "[a]: https://example.org",
    "https://example.org www.example.org",
    "**bold** _soft_ ~~gone~~ `code`",
    "| another | cell |",
    "a \\| b \\",
    "&lt;b&gt; &#60;",
    "# heading\n- list\n\n---\n```sh\nrm -rf /\n```",
    "$x$ @alice :smile: ==mark== x^2^",
    "\u202egnirts desrever",
    "a\x00b\x1b[31mc",
    "half \ud800 character",
]


def inline(markdown: str) -> list:
    """The inline tokens of the only cell that is not empty."""
    tokens = [token for token in MARKDOWN.parse(markdown) if token.type == "inline"]
    (cell,) = [token for token in tokens if token.content]
    return cell.children


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_it_is(text):
    tokens = inline(table(["", ""], [[escape(text), ""]]))

    assert {token.type for token in tokens} <= {"text", "text_special"}
    assert "".join(token.content for token in tokens) == visible(text).strip()


@given(st.text(min_size=1, max_size=60).filter(lambda text: visible(text).strip()))
def test_any_text_stays_in_its_cell(text):
    page = f"Its author says: {escape(text)}\n\n{table(['', ''], [['', escape(text)]])}"
    tokens = [token for token in MARKDOWN.parse(page) if token.type == "inline"]
    said, *cells = tokens

    for token in (said, *(cell for cell in cells if cell.content)):
        assert {child.type for child in token.children} <= {"text", "text_special"}
        shown = "".join(child.content for child in token.children)
        assert shown.removeprefix("Its author says: ") == visible(text).strip()
    assert len(cells) == 4


def test_what_cannot_be_seen_is_made_visible():
    assert visible("a\u202eb\x1bc\ufeff") == "a<U+202E>b<U+001B>c<U+FEFF>"
    assert visible("one\r\ntwo\u2028three") == "one ⏎ two ⏎ three"
    assert visible("naïve 日本語 👍 café") == "naïve 日本語 👍 café"


def test_long_text_is_cut():
    assert visible("x" * 301) == "x" * 300 + "…"
    assert visible("x" * 300) == "x" * 300
    assert len(escape("*" * 10_000, 50)) == 101
