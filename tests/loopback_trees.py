"""The loopback hub's commits as they are read: files, history, branches and tags."""

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from loopback_messages import Refused, Reply, Request
from loopback_repositories import MAIN, PULLS, Commit, Repository
from loopback_routes import MODEL, REVISION, Routes, paged

if TYPE_CHECKING:
    from loopback_hub import LoopbackHub

ROUTES = Routes()
EXPANDED_PAGE = 50


@ROUTES("GET", rf"{MODEL}/tree/{REVISION}(?:/(?P<path>.+))?")
def tree(hub: "LoopbackHub", request: Request, name: str, revision: str, path: str | None) -> Reply:
    repository = hub.repositories.find(name, request.token)
    oid = repository.resolve(revision)
    below = f"{path.strip('/')}/" if path else ""
    inside = [file for file in repository.commits[oid] if file.startswith(below)]
    if below and not inside:
        raise Refused(404, "EntryNotFound", f"{path} does not exist on {revision}")
    folders = {
        file[: at + len(below)] for file in inside for at in _slashes(file.removeprefix(below))
    }
    paths = sorted({*inside, *folders})
    if not request.flag("recursive"):
        paths = [each for each in paths if "/" not in each.removeprefix(below)]
    expand = request.flag("expand")
    entries = [entry(hub, repository, oid, each, expand=expand) for each in paths]
    return paged(hub, request, entries, min(hub.page, EXPANDED_PAGE) if expand else hub.page)


@ROUTES("POST", f"{MODEL}/paths-info/{REVISION}")
def paths_info(hub: "LoopbackHub", request: Request, name: str, revision: str) -> Reply:
    repository = hub.repositories.find(name, request.token)
    oid = repository.resolve(revision)
    form = parse_qs(request.body.decode())
    expand = form.get("expand", ["false"])[-1].lower() == "true"
    known = repository.commits[oid]
    paths = [path for path in form.get("paths", []) if path in known]
    return Reply.json([entry(hub, repository, oid, path, expand=expand) for path in paths])


def entry(
    hub: "LoopbackHub", repository: Repository, oid: str, path: str, *, expand: bool
) -> dict[str, object]:
    """A file or folder as it is listed."""
    blob = repository.commits[oid].get(path)
    if blob is None:
        folder = hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()
        return {"type": "directory", "path": path, "oid": folder, "size": 0}
    size = len(blob.data)
    record: dict[str, object] = {"type": "file", "path": path, "oid": blob.git, "size": size}
    if blob.large:
        pointer = len(blob.pointer())
        record["lfs"] = {"oid": blob.sha256, "size": size, "pointerSize": pointer}
        record["xetHash"] = hub.xet.hash_of(blob.data, blob.sha256)
    if expand:
        last = last_change(repository, oid, path)
        record["lastCommit"] = {"id": last.oid, "title": last.title, "date": last.date}
    return record


def last_change(repository: Repository, oid: str, path: str) -> Commit:
    """The commit that a file's content came with."""
    log = repository.log(oid)
    blob = repository.commits[oid][path]
    for commit, before in pairwise(log):
        if repository.commits[before.oid].get(path) != blob:
            return commit
    return log[-1]


@ROUTES("GET", f"{MODEL}/refs")
def refs(hub: "LoopbackHub", request: Request, name: str) -> Reply:
    repository = hub.repositories.find(name, request.token)
    record: dict[str, object] = {
        "branches": [
            _ref(each, f"refs/heads/{each}", oid) for each, oid in repository.branches.items()
        ],
        "tags": [_ref(each, f"refs/tags/{each}", oid) for each, oid in repository.tags.items()],
        "converts": [],
    }
    if request.flag("include_prs"):
        pulls = repository.pulls.items()
        record["pullRequests"] = [_ref(each.removeprefix(PULLS), each, oid) for each, oid in pulls]
    return Reply.json(record)


@ROUTES("GET", f"{MODEL}/commits/{REVISION}")
def commits(hub: "LoopbackHub", request: Request, name: str, revision: str) -> Reply:
    repository = hub.repositories.find(name, request.token)
    log = repository.log(repository.resolve(revision))
    return paged(hub, request, [_logged(commit) for commit in log], hub.page)


@ROUTES("POST", f"{MODEL}/tag/{REVISION}")
def tag(hub: "LoopbackHub", request: Request, name: str, revision: str) -> Reply:
    repository = hub.repositories.find(name, request.token, write=True)
    label = request.json()["tag"]
    if label in repository.tags:
        raise Refused(409, None, f"Tag {label} already exists")
    repository.tags[label] = repository.resolve(revision)
    return Reply.json({})


@ROUTES("DELETE", f"{MODEL}/tag/(?P<label>[^/]+)")
def untag(hub: "LoopbackHub", request: Request, name: str, label: str) -> Reply:
    repository = hub.repositories.find(name, request.token, write=True)
    if repository.tags.pop(label, None) is None:
        raise Refused(404, "RevisionNotFound", f"There is no tag {label}")
    return Reply.json({})


@ROUTES("POST", f"{MODEL}/branch/(?P<branch>[^/]+)")
def branch(hub: "LoopbackHub", request: Request, name: str, branch: str) -> Reply:
    repository = hub.repositories.find(name, request.token, write=True)
    if branch.startswith("refs/"):
        raise Refused(400, None, f"Invalid branch name {branch}")
    if branch in repository.branches:
        raise Refused(409, None, f"Branch {branch} already exists")
    start = request.json().get("startingPoint", MAIN)
    repository.branches[branch] = repository.resolve(start)
    return Reply.json({})


@ROUTES("DELETE", f"{MODEL}/branch/(?P<branch>[^/]+)")
def unbranch(hub: "LoopbackHub", request: Request, name: str, branch: str) -> Reply:
    repository = hub.repositories.find(name, request.token, write=True)
    if branch == MAIN or repository.branches.pop(branch, None) is None:
        raise Refused(404, "RevisionNotFound", f"There is no branch {branch} to delete")
    return Reply.json({})


def _ref(name: str, ref: str, oid: str) -> dict[str, str]:
    return {"name": name, "ref": ref, "targetCommit": oid}


def _logged(commit: Commit) -> dict[str, object]:
    authors = [{"user": commit.author}]
    record = {"id": commit.oid, "title": commit.title, "message": commit.message}
    return {**record, "authors": authors, "date": commit.date}


def _slashes(path: str) -> list[int]:
    return [at for at, char in enumerate(path) if char == "/"]
