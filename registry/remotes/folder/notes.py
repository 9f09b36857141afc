"""The text of a proposal in a folder: a page for people, its first lines for programs."""

from dataclasses import asdict, dataclass
from pathlib import Path

from ....patches.errors import InputError, ManifestError
from ....patches.format import jsonfile
from ....patches.format.fields import Fields
from ....patches.format.markdown import escape, visible
from ..proposals import Text
from ..transfer import read_limited

FORMAT = "weightpatch.proposal/1"
MAX_BYTES = 256 << 10
MAX_TITLE = 300
MAX_AUTHOR = 255
_RULE = b"---"


@dataclass(frozen=True)
class Note:
    """Who proposed what and when, and the version that it was, by number and digest.

    `created` is empty if it is not known.
    """

    title: str
    author: str
    created: str
    version: int
    digest: str

    def to_bytes(self, text: Text) -> bytes:
        """A page of Markdown that begins with the note as YAML, which canonical JSON is, too."""
        record = jsonfile.canonical({"format": FORMAT, **asdict(self)}, what="a proposal")
        page = f"# {escape(self.title, MAX_TITLE)}\n\n{text.description}"
        return b"\n".join([_RULE, record, _RULE, b"", page.encode(), b""])

    @classmethod
    def of(cls, text: Text, version: int, digest: str) -> "Note":
        """What is noted of a proposal, each text on one line."""
        title, author = visible(text.title, MAX_TITLE), visible(text.author, MAX_AUTHOR - 1)
        return cls(title, author, text.created, version, digest)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Note":
        """Read a note strictly; raises ManifestError."""
        rule, _, rest = data.partition(b"\n")
        record, _, rest = rest.partition(b"\n")
        if rule != _RULE or rest.partition(b"\n")[0] != _RULE:
            raise ManifestError("the text of a proposal does not begin with its note")
        parsed = jsonfile.parse_canonical(record, what="a proposal")
        fields = Fields(parsed, "a proposal")
        if fields.take("format") != FORMAT:
            raise ManifestError(f"a proposal must have the format {FORMAT!r}")
        note = cls(
            title=fields.line("title"),
            author=fields.line("author"),
            created=(fields.time if parsed.get("created") else fields.line)("created"),
            version=fields.integer("version", least=1),
            digest=fields.digest("digest"),
        )
        fields.done()
        return note


def read_note(path: Path) -> Note | None:
    """The note in a file; None if there is none that can be read, as it decides nothing."""
    try:
        return Note.from_bytes(read_limited(path, MAX_BYTES))
    except (InputError, OSError):
        return None
