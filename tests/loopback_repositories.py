"""What the loopback hub holds: repositories of commits, branches, tags and pull requests."""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from loopback_accounts import is_member, require_writer
from loopback_messages import Refused

if TYPE_CHECKING:
    from loopback_discussions import Discussion

LFS_SUFFIX = ".safetensors"
MAIN = "main"
PULLS = "refs/pr/"
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)


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


Tree = dict[str, Blob]


@dataclass(frozen=True)
class Commit:
    """What a commit says about itself; its tree lies in `Repository.commits`."""

    oid: str
    parent: str | None
    title: str
    message: str
    author: str
    date: str


@dataclass
class Repository:
    """`commits` are trees by oid; `branches` and `tags` are oids by name, and so are `pulls`."""

    name: str
    private: bool = False
    gated: bool | str = False
    granted: set[str] = field(default_factory=set)
    commits: dict[str, Tree] = field(default_factory=dict)
    history: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pulls: dict[str, str] = field(default_factory=dict)
    discussions: dict[int, "Discussion"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        attributes = f"*{LFS_SUFFIX} filter=lfs diff=lfs merge=lfs -text\n".encode()
        tree = {".gitattributes": Blob(attributes, large=False)}
        self.branches[MAIN] = self.add(tree, title="initial commit")

    def add(
        self,
        tree: Mapping[str, Blob],
        *,
        parent: str | None = None,
        title: str = "Change",
        message: str = "",
        author: str = "alice",
    ) -> str:
        """Make a commit that no branch holds yet."""
        seed = f"{self.name} {len(self.commits)}".encode()
        oid = hashlib.sha1(seed, usedforsecurity=False).hexdigest()
        date = (_FIRST + timedelta(minutes=len(self.commits))).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        self.history[oid] = Commit(oid, parent, title, message, author, date)
        self.commits[oid] = dict(tree)
        return oid

    def put(self, files: Mapping[str, bytes], branch: str = MAIN) -> str:
        """Commit files directly, as a test or another user would."""
        blobs = {path: Blob(data, path.endswith(LFS_SUFFIX)) for path, data in files.items()}
        tree = {**self.head(branch), **blobs}
        self.move(branch, self.add(tree, parent=self.resolve(branch)))
        return self.resolve(branch)

    def move(self, branch: str, oid: str) -> None:
        """Let a branch or pull request stand for a commit."""
        refs = self.pulls if branch.startswith(PULLS) else self.branches
        refs[branch] = oid

    def head(self, branch: str = MAIN) -> Tree:
        return self.commits[self.resolve(branch)]

    def resolve(self, revision: str) -> str:
        """The commit that a revision stands for; raises Refused if there is none."""
        for refs in (self.branches, self.tags, self.pulls):
            if revision in refs:
                return refs[revision]
        if revision not in self.commits:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return revision

    def log(self, oid: str) -> list[Commit]:
        """A commit and those before it, newest first."""
        commits = []
        following: str | None = oid
        while following is not None:
            commits.append(self.history[following])
            following = commits[-1].parent
        return commits


@dataclass
class Repositories:
    """All repositories, the LFS objects, and one lock for all of it."""

    by_name: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def make(self, name: str, *, private: bool = False, gated: bool | str = False) -> Repository:
        if name in self.by_name:
            raise Refused(409, None, "You already created this model repo", url=name)
        self.by_name[name] = Repository(name, private, gated)
        return self.by_name[name]

    def find(self, name: str, token: str | None, *, write: bool = False) -> Repository:
        """The repository if it may be seen; missing and forbidden look the same, as on the Hub."""
        repository = self.by_name.get(name)
        if repository is None or (repository.private and not is_member(name, token)):
            raise Refused(401 if token is None else 404, "RepoNotFound", "Repository not found")
        if write:
            require_writer(name, token)
        return repository

    def keep(self, data: bytes) -> Blob:
        """Keep a large content by its sha256."""
        blob = Blob(data, large=True)
        self.objects[blob.sha256] = data
        return blob
