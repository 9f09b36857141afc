"""What the loopback hub holds: repositories of commits, and who may see them."""

import hashlib
import threading
from dataclasses import dataclass, field

from loopback_http import Refused

USERS = {"hf_alice": {"alice", "acme"}, "hf_mallory": {"mallory"}}
"""Tokens, and the namespaces that their owners may write to."""

LFS_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Blob:
    """A content; `large` says whether it is kept as LFS object, by its sha256."""

    data: bytes
    large: bool

    @property
    def git(self) -> str:
        data = self.pointer() if self.large else self.data
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def oid(self) -> str:
        return self.sha256 if self.large else self.git

    def pointer(self) -> bytes:
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\n"
            f"size {len(self.data)}\n"
        ).encode()

    def entry(self, path: str) -> dict[str, object]:
        """The file as tree and paths-info list it."""
        record: dict[str, object] = {"type": "file", "path": path, "oid": self.git}
        record["size"] = len(self.data)
        if self.large:
            pointer = len(self.pointer())
            record["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": pointer}
        return record


Tree = dict[str, Blob]


@dataclass
class Repository:
    name: str
    private: bool = False
    gated: bool = False
    commits: dict[str, Tree] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        attributes = f"*{LFS_SUFFIX} filter=lfs diff=lfs merge=lfs -text\n".encode()
        self.branches["main"] = self.add({".gitattributes": Blob(attributes, large=False)})

    def add(self, tree: Tree) -> str:
        seed = f"{self.name} {len(self.commits)}".encode()
        oid = hashlib.sha1(seed, usedforsecurity=False).hexdigest()
        self.commits[oid] = dict(tree)
        return oid

    def put(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Commit files directly, as a test or another user would."""
        blobs = {path: Blob(data, path.endswith(LFS_SUFFIX)) for path, data in files.items()}
        self.branches[branch] = self.add({**self.head(branch), **blobs})
        return self.branches[branch]

    def head(self, branch: str = "main") -> Tree:
        return self.commits[self.branches[branch]]

    def resolve(self, revision: str) -> str:
        """The commit that a revision stands for."""
        oid = self.branches.get(revision) or self.tags.get(revision) or revision
        if oid not in self.commits:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return oid

    def refs(self) -> dict[str, list[dict[str, str]]]:
        def listed(kind: str, refs: dict[str, str]) -> list[dict[str, str]]:
            return [
                {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": oid}
                for name, oid in refs.items()
            ]

        heads, tags = listed("heads", self.branches), listed("tags", self.tags)
        return {"branches": heads, "tags": tags, "converts": []}


@dataclass
class Repositories:
    """All repositories, the LFS objects, and one lock for all of it."""

    by_name: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def make(self, name: str, *, private: bool = False, gated: bool = False) -> Repository:
        if name in self.by_name:
            raise Refused(409, None, "You already created this model repo", url=name)
        self.by_name[name] = Repository(name, private, gated)
        return self.by_name[name]

    def find(self, name: str, token: str | None, *, write: bool = False) -> Repository:
        """The repository if it may be seen; missing and forbidden look the same, as on the Hub."""
        repository = self.by_name.get(name)
        mine = may_write(name, token)
        if repository is None or (repository.private and not mine):
            raise Refused(401 if token is None else 404, "RepoNotFound", "Repository not found")
        if write and not mine:
            raise Refused(403, None, "You don't have the rights to write to this repo")
        return repository


def may_write(name: str, token: str | None) -> bool:
    """Whether the owner of a token may write to a repository."""
    return name.partition("/")[0] in USERS.get(token or "", ())
