"""A hub in memory that the real huggingface_hub talks to, written from the protocol.

`install()` must run before anything imports huggingface_hub, which reads its environment once.
Large files go by LFS; Xet is switched off in the client, since no server can refuse it.
"""

import atexit
import json
import os
import re
import tempfile
import threading
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

from loopback_http import Fault, Refused, Reply, Request, Server
from loopback_repositories import LFS_SUFFIX, USERS, Blob, Repositories, Repository, may_write

_NAME = r"(?P<name>[^/]+/[^/]+)"
_MODEL = f"/api/models/{_NAME}"
_installed: "LoopbackHub | None" = None


def install() -> "LoopbackHub":
    """Start the hub of this process and point the environment at it."""
    global _installed  # noqa: PLW0603 - the environment is global too
    if _installed is None:
        _installed = LoopbackHub()
        home = tempfile.TemporaryDirectory(prefix="hub-home-")
        atexit.register(home.cleanup)
        atexit.register(_installed.close)
        os.environ.update(_installed.environment(Path(home.name)))
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            os.environ.pop(name, None)
    return _installed


class LoopbackHub:
    """The server, what it holds, what it was asked, and what shall go wrong."""

    def __init__(self) -> None:
        self.repositories = Repositories()
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.before_commit: Callable[[], None] | None = None
        self._server = Server(self._answer)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, home: Path) -> dict[str, str]:
        """Variables that make a client in any process use this hub."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def clear(self) -> None:
        """Forget everything."""
        self.repositories = Repositories()
        self.requests.clear()
        self.faults.clear()
        self.before_commit = None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def make(self, name: str, *, private: bool = False, gated: bool = False) -> Repository:
        """Make a repository directly."""
        return self.repositories.make(name, private=private, gated=gated)

    def __getitem__(self, name: str) -> Repository:
        return self.repositories.by_name[name]

    def asked(self, method: str, pattern: str) -> int:
        """How many requests matched."""
        return sum(
            verb == method and bool(re.search(pattern, path)) for verb, path in self.requests
        )

    def _answer(self, request: Request) -> Reply:
        self.requests.append((request.method, request.path))
        fault = next((fault for fault in self.faults if fault.strikes(request)), None)
        if fault and fault.instead:
            return fault.instead
        if "/commit/" in request.path:
            self._run_hook()
        with self.repositories.lock:
            reply = self._route(request)
        return fault.after(reply) if fault and fault.after else reply

    def _run_hook(self) -> None:
        hook, self.before_commit = self.before_commit, None
        if hook:
            hook()

    def _route(self, request: Request) -> Reply:
        if request.token is not None and request.token not in USERS:
            raise Refused(401, None, "Invalid credentials in Authorization header")
        for method, pattern, handler in _ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and request.method in method.split():
                return handler(self, request, **match.groupdict())
        raise Refused(404, None, f"no route for {request.method} {request.path}")

    def whoami(self, request: Request) -> Reply:
        if request.token is None:
            raise Refused(401, None, "Invalid username or password.")
        names = sorted(USERS[request.token])
        return Reply.json({"type": "user", "name": names[-1], "orgs": []})

    def create(self, request: Request) -> Reply:
        record = request.json()
        name = f"{record['organization']}/{record['name']}"
        if request.token is None:
            raise Refused(401, None, "Invalid username or password.")
        if not may_write(name, request.token):
            raise Refused(403, None, f"You don't have the rights to create a model under {name}")
        self.make(name, private=record.get("visibility") == "private")
        return Reply.json({"url": f"{self.url}/{name}", "name": name})

    def info(self, request: Request, name: str, revision: str | None = None) -> Reply:
        repository = self.repositories.find(name, request.token)
        oid = repository.resolve(revision or "main")
        files = [{"rfilename": path} for path in repository.commits[oid]]
        return Reply.json({"id": name, "sha": oid, "siblings": files})

    def refs(self, request: Request, name: str) -> Reply:
        return Reply.json(self.repositories.find(name, request.token).refs())

    def tree(self, request: Request, name: str, revision: str) -> Reply:
        repository = self.repositories.find(name, request.token)
        tree = repository.commits[repository.resolve(revision)]
        deep = request.query.get("recursive") == ["true"]
        folders = sorted({path.split("/")[0] for path in tree if "/" in path})
        entries = [{"type": "directory", "path": name, "oid": "0" * 40} for name in folders]
        listed = [path for path in sorted(tree) if deep or "/" not in path]
        return Reply.json([*entries, *(tree[path].entry(path) for path in listed)])

    def paths_info(self, request: Request, name: str, revision: str) -> Reply:
        repository = self.repositories.find(name, request.token)
        tree = repository.commits[repository.resolve(revision)]
        paths = parse_qs(request.body.decode()).get("paths", [])
        return Reply.json([tree[path].entry(path) for path in paths if path in tree])

    def validate(self, request: Request) -> Reply:
        import yaml

        block = re.match(r"---\n(.*?)\n---\n", request.json()["content"], re.DOTALL)
        good = block is not None and isinstance(yaml.safe_load(block[1]), dict)
        errors = [] if good else [{"message": "the card has no metadata"}]
        return Reply.json({"errors": errors, "warnings": []}, 200 if good else 400)

    def preupload(self, request: Request, name: str, revision: str) -> Reply:
        repository = self.repositories.find(name, request.token, write=True)
        tree = repository.commits[repository.resolve(revision)]
        files = []
        for file in request.json()["files"]:
            path = file["path"]
            mode = "lfs" if path.endswith(LFS_SUFFIX) else "regular"
            record = {"path": path, "uploadMode": mode, "shouldIgnore": False}
            known = {"oid": tree[path].oid} if path in tree else {}
            files.append({**record, **known})
        return Reply.json({"files": files})

    def batch(self, request: Request, name: str) -> Reply:
        self.repositories.find(name, request.token, write=True)
        return Reply.json({"objects": [self._upload(item) for item in request.json()["objects"]]})

    def _upload(self, item: dict) -> dict:
        if item["oid"] in self.repositories.objects:
            return item
        upload = {"href": f"http://localhost:{self.port}/storage/{item['oid']}", "header": {}}
        return {**item, "actions": {"upload": upload, "verify": {"href": f"{self.url}/verify"}}}

    def store(self, request: Request, oid: str) -> Reply:
        if request.token is not None:
            raise Refused(400, None, "the token was sent to the storage")
        self.repositories.objects[oid] = request.body
        return Reply()

    def verify(self, request: Request) -> Reply:
        record = request.json()
        if len(self.repositories.objects.get(record["oid"], b"")) != record["size"]:
            raise Refused(404, None, "the object is not there")
        return Reply.json({})

    def commit(self, request: Request, name: str, revision: str) -> Reply:
        repository = self.repositories.find(name, request.token, write=True)
        lines = [json.loads(line) for line in request.body.splitlines()]
        parent = lines[0]["value"].get("parentCommit")
        if revision not in repository.branches:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if parent and parent != repository.branches[revision]:
            raise Refused(412, None, "The branch was updated since you opened this page.")
        tree = dict(repository.head(revision))
        for line in lines[1:]:
            self._change(tree, line["key"], line["value"])
        repository.branches[revision] = oid = repository.add(tree)
        return Reply.json({"commitUrl": f"{self.url}/{name}/commit/{oid}", "commitOid": oid})

    def _change(self, tree: dict[str, Blob], key: str, value: dict) -> None:
        if key == "file":
            tree[value["path"]] = Blob(b64decode(value["content"]), large=False)
        elif key == "lfsFile":
            tree[value["path"]] = Blob(self.repositories.objects[value["oid"]], large=True)
        elif tree.pop(value["path"], None) is None:
            raise Refused(404, "EntryNotFound", "A file with this name doesn't exist")

    def tag(self, request: Request, name: str, revision: str) -> Reply:
        repository = self.repositories.find(name, request.token, write=True)
        tag = request.json()["tag"]
        if tag in repository.tags:
            raise Refused(409, None, f"Tag {tag} already exists")
        repository.tags[tag] = repository.resolve(revision)
        return Reply.json({})

    def branch(self, request: Request, name: str, branch: str) -> Reply:
        repository = self.repositories.find(name, request.token, write=True)
        if branch in repository.branches:
            raise Refused(409, None, f"Branch {branch} already exists")
        start = request.json().get("startingPoint", "main")
        repository.branches[branch] = repository.resolve(start)
        return Reply.json({})

    def resolve(self, request: Request, name: str, revision: str, path: str) -> Reply:
        repository = self.repositories.find(name, request.token)
        if repository.gated and not may_write(name, request.token):
            raise Refused(403, "GatedRepo", "Access to this model is restricted")
        oid = repository.resolve(revision)
        blob = repository.commits[oid].get(path)
        if blob is None:
            refused = Refused(404, "EntryNotFound", "Entry not found")
            refused.reply.headers["X-Repo-Commit"] = oid
            raise refused
        headers = {"X-Repo-Commit": oid, "ETag": f'"{blob.git}"'}
        if not blob.large:
            return Reply(200, blob.data, headers)
        self.repositories.objects[blob.sha256] = blob.data
        headers["X-Linked-Etag"] = f'"{blob.sha256}"'
        headers["X-Linked-Size"] = str(len(blob.data))
        headers["Location"] = f"http://localhost:{self.port}/storage/{blob.sha256}"
        return Reply(302, b"", headers)

    def load(self, request: Request, oid: str) -> Reply:
        if request.token is not None:
            raise Refused(400, None, "the token was sent to the storage")
        return Reply(200, self.repositories.objects[oid])


_ROUTES: tuple[tuple[str, str, Callable[..., Reply]], ...] = (
    ("GET", "/api/whoami-v2", LoopbackHub.whoami),
    ("POST", "/api/repos/create", LoopbackHub.create),
    ("POST", "/api/validate-yaml", LoopbackHub.validate),
    ("GET", f"{_MODEL}/refs", LoopbackHub.refs),
    ("GET", f"{_MODEL}/revision/(?P<revision>.+)", LoopbackHub.info),
    ("GET", f"{_MODEL}/tree/(?P<revision>[^/]+)", LoopbackHub.tree),
    ("POST", f"{_MODEL}/paths-info/(?P<revision>.+)", LoopbackHub.paths_info),
    ("POST", f"{_MODEL}/preupload/(?P<revision>.+)", LoopbackHub.preupload),
    ("POST", f"{_MODEL}/commit/(?P<revision>.+)", LoopbackHub.commit),
    ("POST", f"{_MODEL}/tag/(?P<revision>.+)", LoopbackHub.tag),
    ("POST", f"{_MODEL}/branch/(?P<branch>.+)", LoopbackHub.branch),
    ("GET", _MODEL, LoopbackHub.info),
    ("POST", f"/{_NAME}.git/info/lfs/objects/batch", LoopbackHub.batch),
    ("PUT", "/storage/(?P<oid>[0-9a-f]+)", LoopbackHub.store),
    ("GET HEAD", "/storage/(?P<oid>[0-9a-f]+)", LoopbackHub.load),
    ("POST", "/verify", LoopbackHub.verify),
    ("GET HEAD", f"/{_NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", LoopbackHub.resolve),
)
