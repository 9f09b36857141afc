"""The loopback hub's discussions and pull requests: opened, talked about, closed and merged."""

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from loopback_accounts import is_member, logged_in
from loopback_messages import Refused, Reply, Request
from loopback_repositories import MAIN, PULLS, Repository
from loopback_routes import MODEL, Routes

if TYPE_CHECKING:
    from loopback_hub import LoopbackHub

ROUTES = Routes()
DRAFT, OPEN, CLOSED, MERGED = "draft", "open", "closed", "merged"
_NUMBER = r"(?P<number>[0-9]+)"
_ids = count(1)


@dataclass
class Discussion:
    """A discussion, or a pull request if `base` is the commit that it starts from."""

    repository: Repository
    number: int
    title: str
    author: str
    status: str
    created: str
    base: str | None = None
    merge_commit: str | None = None
    events: list[dict] = field(default_factory=list)

    @classmethod
    def start(
        cls, repository: Repository, author: str, title: str, description: str, *, status: str
    ) -> "Discussion":
        """Open a discussion with a description as its first comment."""
        number = len(repository.discussions) + 1
        created = repository.history[repository.resolve(MAIN)].date
        made = cls(repository, number, title, author, status, created)
        made.tell("comment", author, _comment(description))
        repository.discussions[number] = made
        return made

    @property
    def ref(self) -> str:
        return f"{PULLS}{self.number}"

    def tell(self, kind: str, author: str, data: dict) -> dict:
        """Add an event."""
        event = {"id": f"{next(_ids):024x}", "type": kind, "createdAt": self.created}
        self.events.append({**event, "author": {"name": author}, "data": data})
        return self.events[-1]

    def changed(self) -> set[str]:
        """The paths that a pull request changes."""
        before = self.repository.commits[self.base or ""]
        after = self.repository.head(self.ref)
        return {path for path in {*before, *after} if before.get(path) != after.get(path)}

    def conflicts(self) -> list[str]:
        """Of these, the ones that the main branch has changed otherwise meanwhile."""
        before = self.repository.commits[self.base or ""]
        main, after = self.repository.head(), self.repository.head(self.ref)
        return sorted(
            path
            for path in self.changed()
            if main.get(path) not in (before.get(path), after.get(path))
        )

    def record(self) -> dict[str, object]:
        """As it is listed."""
        return {
            "num": self.number,
            "title": self.title,
            "author": {"name": self.author},
            "status": self.status,
            "createdAt": self.created,
            "isPullRequest": self.base is not None,
            "repo": {"name": self.repository.name, "type": "model"},
        }

    def details(self) -> dict[str, object]:
        """As it is shown."""
        record = {**self.record(), "events": self.events}
        if self.base is None:
            return record
        changes = {"base": f"refs/heads/{MAIN}", "mergeCommitId": self.merge_commit}
        files = [] if self.merge_commit else self.conflicts()
        diff = "".join(f"diff --git a/{path} b/{path}\n" for path in sorted(self.changed()))
        return {**record, "changes": changes, "filesWithConflicts": files, "diff": diff}


@ROUTES("GET", f"{MODEL}/discussions")
def listed(hub: "LoopbackHub", request: Request, name: str) -> Reply:
    repository = hub.repositories.find(name, request.token)
    kinds = {"pull_request": True, "discussion": False}
    kind = kinds.get(request.one("type") or "")
    status = {"open": (OPEN, DRAFT), "closed": (CLOSED, MERGED)}.get(request.one("status") or "")
    found = [
        each.record()
        for each in reversed(repository.discussions.values())
        if kind in (None, each.base is not None)
        and (status is None or each.status in status)
        and request.one("author") in (None, each.author)
    ]
    start = int(request.one("p") or 0) * hub.page
    page = found[start : start + hub.page]
    return Reply.json({"discussions": page, "count": len(found), "start": start})


@ROUTES("POST", f"{MODEL}/discussions")
def opened(hub: "LoopbackHub", request: Request, name: str) -> Reply:
    repository = hub.repositories.find(name, request.token)
    author = logged_in(request.token).name
    record = request.json()
    pull = record.get("pullRequest", False)
    made = Discussion.start(
        repository,
        author,
        record["title"],
        record.get("description", ""),
        status=DRAFT if pull else OPEN,
    )
    if pull:
        made.base = repository.resolve(MAIN)
        repository.move(made.ref, made.base)
    return Reply.json({**made.record(), "url": f"{hub.url}/{name}/discussions/{made.number}"})


@ROUTES("GET", f"{MODEL}/discussions/{_NUMBER}")
def shown(hub: "LoopbackHub", request: Request, name: str, number: str) -> Reply:
    return Reply.json(_find(hub, request, name, number).details())


@ROUTES("POST", f"{MODEL}/discussions/{_NUMBER}/comment")
def comment(hub: "LoopbackHub", request: Request, name: str, number: str) -> Reply:
    discussion = _find(hub, request, name, number)
    who = logged_in(request.token).name
    event = discussion.tell("comment", who, _comment(request.json()["comment"]))
    return Reply.json({"newMessage": event})


@ROUTES("POST", f"{MODEL}/discussions/{_NUMBER}/title")
def rename(hub: "LoopbackHub", request: Request, name: str, number: str) -> Reply:
    discussion = _find(hub, request, name, number, change=True)
    old, discussion.title = discussion.title, request.json()["title"]
    who = logged_in(request.token).name
    event = discussion.tell("title-change", who, {"from": old, "to": discussion.title})
    return Reply.json({"newTitle": event})


@ROUTES("POST", f"{MODEL}/discussions/{_NUMBER}/status")
def status(hub: "LoopbackHub", request: Request, name: str, number: str) -> Reply:
    discussion = _find(hub, request, name, number, change=True)
    if discussion.status == MERGED:
        raise Refused(400, None, "This pull request is merged")
    discussion.status = request.json()["status"]
    return Reply.json({"newStatus": _told(discussion, request)})


@ROUTES("POST", f"{MODEL}/discussions/{_NUMBER}/merge")
def merge(hub: "LoopbackHub", request: Request, name: str, number: str) -> Reply:
    repository = hub.repositories.find(name, request.token, write=True)
    discussion = _find(hub, request, name, number)
    if discussion.base is None or discussion.status != OPEN:
        raise Refused(400, None, f"A pull request that is {discussion.status} cannot be merged")
    if conflicts := discussion.conflicts():
        raise Refused(409, None, f"There are conflicts in {', '.join(conflicts)}")
    proposed, tree = repository.head(discussion.ref), dict(repository.head())
    for path in discussion.changed():
        if path in proposed:
            tree[path] = proposed[path]
        else:
            tree.pop(path, None)
    title = f"{discussion.title} (#{number})"
    oid = repository.add(
        tree, parent=repository.resolve(MAIN), title=title, author=discussion.author
    )
    repository.move(MAIN, oid)
    discussion.status, discussion.merge_commit = MERGED, oid
    return Reply.json({"newStatus": _told(discussion, request)})


def _find(
    hub: "LoopbackHub", request: Request, name: str, number: str, *, change: bool = False
) -> Discussion:
    """The discussion; raises Refused if there is none, or this user may not change it."""
    repository = hub.repositories.find(name, request.token)
    discussion = repository.discussions.get(int(number))
    if discussion is None:
        raise Refused(404, None, f"There is no discussion {number}")
    if change and not is_member(name, request.token):
        require_author(discussion, request)
    return discussion


def require_author(discussion: Discussion, request: Request) -> None:
    """Raise Refused unless it is who asks that opened the discussion."""
    if discussion.author != logged_in(request.token).name:
        raise Refused(403, None, "This discussion is somebody else's")


def _told(discussion: Discussion, request: Request) -> dict:
    who = logged_in(request.token).name
    if text := request.json().get("comment"):
        discussion.tell("comment", who, _comment(text))
    return discussion.tell("status-change", who, {"status": discussion.status})


def _comment(text: str) -> dict:
    return {"edited": False, "hidden": False, "latest": {"raw": text, "html": text}}
