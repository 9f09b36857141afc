"""Who is who at the loopback hub: tokens, their roles, and the namespaces of their owners."""

from dataclasses import dataclass

from loopback_messages import Refused


@dataclass(frozen=True)
class Account:
    """The owner of a token, the organisations it is in, and what the token is good for."""

    name: str
    organisations: tuple[str, ...] = ()
    role: str = "write"

    @property
    def namespaces(self) -> tuple[str, ...]:
        return (self.name, *self.organisations)


ACCOUNTS = {
    "hf_alice": Account("alice", ("acme",)),
    "hf_alice_reads": Account("alice", ("acme",), role="read"),
    "hf_bob": Account("bob", ("acme",)),
    "hf_carol": Account("CarolLabs"),
    "hf_mallory": Account("mallory"),
}


def account(token: str | None) -> Account | None:
    """The owner of a token; raises Refused if there is none."""
    if token is None:
        return None
    if token not in ACCOUNTS:
        raise Refused(401, None, "Invalid credentials in Authorization header")
    return ACCOUNTS[token]


def logged_in(token: str | None) -> Account:
    """The owner of a token; raises Refused if nobody is logged in."""
    found = account(token)
    if found is None:
        raise Refused(401, None, "Invalid username or password.")
    return found


def is_member(name: str, token: str | None) -> bool:
    """Whether the owner of a token belongs to a repository's namespace."""
    found = account(token)
    return found is not None and name.partition("/")[0] in found.namespaces


def require_writer(name: str, token: str | None) -> None:
    """Raise Refused unless a token may write to a repository of this name."""
    if logged_in(token).role != "write":
        raise Refused(403, None, "Your token has read rights only")
    if not is_member(name, token):
        raise Refused(403, None, f"You don't have the rights to write to {name}")
