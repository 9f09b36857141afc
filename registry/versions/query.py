"""What a search looks for, checked before any database sees it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...patches.errors import LimitExceeded
from ...patches.format.fields import MAX_TEXT
from ...patches.format.names import quoted
from ..bounds import check_text
from ..database.schema import MAX_LABEL
from ..errors import QueryRefused
from . import terms
from .bases import Digests
from .score_conditions import ScoreCondition

MAX_QUERY = 1_000
MAX_QUERY_WORDS = 32


@dataclass(frozen=True)
class Query:
    """What to look for; of all that is given, everything must hold.

    `base` is `name`, `name@revision`, or the digests of a checkpoint's tensors by name;
    `fingerprint` that of the checkpoint, if it is known.
    """

    text: str | None = None
    base: str | Digests | None = None
    fingerprint: str | None = None
    method: str | None = None
    author: str | None = None
    tensor: str | None = None
    subject: str | None = None
    scores: Sequence[ScoreCondition] = field(default=())

    def __post_init__(self) -> None:
        """Raise InputError, LimitExceeded or QueryRefused for a text that no version can have."""
        check_text("the text to look for", self.text, MAX_QUERY)
        check_text("the subject to look for", self.subject, MAX_TEXT)
        check_text("the method to look for", self.method)
        check_text("the author to look for", self.author)
        check_text("the tensor to look for", self.tensor)
        if isinstance(self.base, str):
            check_text("the base to look for", self.base, MAX_LABEL)
        _ = self.words

    @property
    def words(self) -> list[str]:
        """The words of the text; raises QueryRefused for none, LimitExceeded for too many."""
        if self.text is None:
            return []
        found = terms.distinct_words([self.text])
        if not found:
            raise QueryRefused(
                f"there is no word in {quoted(self.text)}",
                hint="words are letters and digits; all of them must stand in a version's name, "
                "message, author, method, subjects or targets",
            )
        if len(found) > MAX_QUERY_WORDS:
            raise LimitExceeded(f"more than {MAX_QUERY_WORDS} words to look for")
        return found
