"""Load one operation, method, suite, data set or remote by name, and only that one.

Those of other packages are found by entry points in the groups `weightpatch.operations`,
`.methods`, `.suites`, `.datasets` and `.remotes`. Our own are entry points too, for whoever lists
them, but are looked up here: searching all installed packages takes 30 ms, and no other package can
take their place.
"""

from functools import cache
from importlib import import_module
from typing import Any

from .errors import PluginMissing

BUILT_IN = {
    "datasets": {
        "counterfact": "weightpatch.patches.datasets.counterfact:CounterFact",
        "jsonl": "weightpatch.patches.datasets.jsonl:Jsonl",
        "knowedit": "weightpatch.patches.datasets.knowedit:KnowEdit",
        "zsre": "weightpatch.patches.datasets.zsre:ZsRE",
    },
    "operations": {
        "dense": "weightpatch.patches.operations.dense:Dense",
        "lowrank": "weightpatch.patches.operations.lowrank:LowRank",
        "replace": "weightpatch.patches.operations.replace:Replace",
        "sparse": "weightpatch.patches.operations.sparse:Sparse",
        "widen": "weightpatch.patches.operations.widen:Widen",
    },
    "methods": {
        "alphaedit": "weightpatch.patches.methods.alphaedit:AlphaEdit",
        "ft": "weightpatch.patches.methods.ft:FineTuning",
        "ke": "weightpatch.patches.methods.ke:KnowledgeEditor",
        "kn": "weightpatch.patches.methods.kn:KnowledgeNeurons",
        "lora": "weightpatch.patches.methods.lora:Lora",
        "memit": "weightpatch.patches.methods.memit:Memit",
        "mend": "weightpatch.patches.methods.mend:Mend",
        "rome": "weightpatch.patches.methods.rome:Rome",
    },
    "suites": {
        "requests": "weightpatch.patches.evaluation.requests:RequestProbes",
        "retention": "weightpatch.patches.evaluation.retention:Retention",
        "text": "weightpatch.patches.evaluation.text:TextSuite",
    },
    "remotes": {
        "folder": "weightpatch.registry.remotes.folder.remote:FolderRemote",
        "hub": "weightpatch.registry.remotes.hub.remote:HubRemote",
    },
}
"""The entry points of pyproject.toml; a test compares them."""


def names(kind: str) -> list[str]:
    """Names installed for a kind of plugin, sorted; nothing of theirs is imported."""
    from importlib.metadata import entry_points

    return sorted({*BUILT_IN[kind], *entry_points(group=f"weightpatch.{kind}").names})


@cache
def load(kind: str, name: str) -> Any:  # noqa: ANN401 - each kind has its own Protocol
    """Import the plugin `name` of `kind`; looked up once.

    Raises PluginMissing if nothing of that name is installed.
    """
    if name in BUILT_IN[kind]:
        module, _, attribute = BUILT_IN[kind][name].partition(":")
        return getattr(import_module(module), attribute)
    from importlib.metadata import entry_points

    for entry in entry_points(group=f"weightpatch.{kind}", name=name):
        return entry.load()
    raise PluginMissing(
        f"no {kind.rstrip('s')} named {name!r} is installed",
        why=f"installed: {', '.join(names(kind))}",
        hint="check the spelling, or install the package that provides it",
    )
