"""What a request of one patch has to do with one of another, in a sentence."""

from ..requests import EditRequest


def said(request: EditRequest) -> str:
    """A fact."""
    return f"{request.text!r} → {request.target!r}"


def contradiction(one: EditRequest, other: EditRequest) -> str:
    """One prompt, two answers."""
    return f"contradiction: {said(one)} in one, {other.target!r} in the other"


def backwards(one: EditRequest, other: EditRequest) -> str:
    """A fact, and a reverse of another that answers otherwise."""
    return f"contradiction: {said(one)} in one, and the reverse of {said(other)} in the other"


def both_backwards(one: EditRequest, other: EditRequest) -> str:
    """Two reverses that answer one prompt in two ways."""
    return f"read backwards, {said(one)} and {said(other)} answer one prompt in two ways"


def twice(one: EditRequest, _other: EditRequest) -> str:
    """The same fact."""
    return f"both say {said(one)}: the edit is made twice"


def consequence(one: EditRequest, other: EditRequest) -> str:
    """A fact, and another from which something else follows."""
    return f"{said(one)} in one is not what follows from {said(other)} in the other"


def disturbs(one: EditRequest, other: EditRequest) -> str:
    """A fact, and another around which it must stay as it was."""
    return f"{said(one)} in one changes what {said(other)} in the other must leave as it is"


def takes_back(one: EditRequest, other: EditRequest) -> str:
    """A fact, and another that takes back its reverse."""
    return f"{said(other)} in one takes back the reverse of {said(one)} in the other"


def subject(one: EditRequest, other: EditRequest) -> str:
    """One subject, two answers."""
    return f"both are about {one.subject!r}: {said(one)}, {said(other)}"


def near(one: EditRequest, other: EditRequest) -> str:
    """A subject in the neighbourhood of another."""
    return f"one edits {one.subject!r}, which is in the neighbourhood of {said(other)} in the other"


def subject_and_answer(one: EditRequest, _other: EditRequest) -> str:
    """One subject and one answer, in two relations."""
    return f"both are about {one.subject!r} and answer {one.target!r}"


def reversed_alike(one: EditRequest, other: EditRequest) -> str:
    """A fact and its reverse, which agree."""
    return f"{said(one)} in one is the reverse of {said(other)} in the other"


def chain(one: EditRequest, other: EditRequest) -> str:
    """A fact about what another answers."""
    return f"what one answers, {one.target!r}, is what the other edits: {said(other)}"
