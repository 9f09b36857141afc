"""The loopback hub's commits as they are made: what to upload, and one step onto a branch."""

import json
from base64 import b64decode
from typing import TYPE_CHECKING

from loopback_accounts import is_member, logged_in, require_writer
from loopback_discussions import OPEN, Discussion, require_author
from loopback_messages import Refused, Reply, Request
from loopback_repositories import LFS_SUFFIX, PULLS, Blob, Repository, Tree
from loopback_routes import MODEL, REVISION, Routes

if TYPE_CHECKING:
    from loopback_hub import LoopbackHub

ROUTES = Routes()
LARGE = 10_000_000
MOVED = "The branch was updated since you opened this page. Please refresh and try again."


def require_uploader(
    hub: "LoopbackHub", request: Request, name: str, revision: str = ""
) -> Repository:
    """The repository; raises Refused unless this user may upload to it, or propose to it."""
    repository = hub.repositories.find(name, request.token)
    if not request.flag("create_pr") and not revision.startswith(PULLS):
        require_writer(name, request.token)
    elif logged_in(request.token).role != "write":
        raise Refused(403, None, "Your token has read rights only")
    if revision in repository.pulls and not is_member(name, request.token):
        require_author(repository.discussions[int(revision.removeprefix(PULLS))], request)
    return repository


@ROUTES("POST", f"{MODEL}/preupload/{REVISION}")
def preupload(hub: "LoopbackHub", request: Request, name: str, revision: str) -> Reply:
    repository = require_uploader(hub, request, name, revision)
    tree = repository.head(revision)
    files = []
    for file in request.json()["files"]:
        path = file["path"]
        large = file["size"] > 0 and (path.endswith(LFS_SUFFIX) or file["size"] > LARGE)
        mode = "lfs" if large else "regular"
        known = {"oid": tree[path].oid} if path in tree else {}
        files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, **known})
    return Reply.json({"files": files})


@ROUTES("POST", f"{MODEL}/commit/{REVISION}")
def commit(hub: "LoopbackHub", request: Request, name: str, revision: str) -> Reply:
    repository = require_uploader(hub, request, name, revision)
    lines = [json.loads(line) for line in request.body.splitlines()]
    header = lines[0]["value"]
    proposed = request.flag("create_pr")
    base = _base(repository, revision, header.get("parentCommit"), proposed=proposed)
    tree = dict(repository.commits[base])
    for line in lines[1:]:
        _change(hub, repository, tree, line["key"], line["value"])
    author = logged_in(request.token).name
    oid = repository.add(
        tree,
        parent=base,
        title=header["summary"],
        message=header.get("description") or "",
        author=author,
    )
    reply = {"commitUrl": f"{hub.url}/{name}/commit/{oid}", "commitOid": oid}
    if proposed:
        discussion = Discussion.start(
            repository, author, header["summary"], header.get("description") or "", status=OPEN
        )
        discussion.base = base
        revision = discussion.ref
        reply["pullRequestUrl"] = f"{hub.url}/{name}/discussions/{discussion.number}"
    repository.move(revision, oid)
    return Reply.json(reply)


def _base(repository: Repository, revision: str, parent: str | None, *, proposed: bool) -> str:
    """The commit to build on; raises Refused if the branch is not where the client thinks."""
    if revision not in repository.branches and revision not in repository.pulls:
        raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    head = repository.resolve(revision)
    if proposed:
        return repository.resolve(parent or head)
    if parent and not head.startswith(parent):
        raise Refused(412, None, MOVED)
    return head


def _change(hub: "LoopbackHub", repository: Repository, tree: Tree, key: str, value: dict) -> None:
    if key == "file":
        tree[value["path"]] = Blob(b64decode(value["content"]), large=False)
    elif key == "lfsFile":
        if value["oid"] not in hub.repositories.objects:
            raise Refused(400, None, f"the content of {value['path']} was not uploaded")
        tree[value["path"]] = Blob(hub.repositories.objects[value["oid"]], large=True)
    elif key in ("deletedFile", "deletedFolder"):
        _delete(tree, value["path"])
    else:
        raise Refused(400, None, f"this hub knows nothing of {key} in {repository.name}")


def _delete(tree: Tree, path: str) -> None:
    gone = [
        each for each in tree if each == path.rstrip("/") or each.startswith(f"{path.rstrip('/')}/")
    ]
    if not gone:
        raise Refused(404, "EntryNotFound", "A file with this name doesn't exist")
    for each in gone:
        del tree[each]
