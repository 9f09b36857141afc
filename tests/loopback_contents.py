"""What tests of the loopback hub itself put there, by the real client."""

from huggingface_hub import CommitOperationAdd, HfApi

CARD = """---
base_model: acme/pico
base_model_relation: adapter
library_name: weightpatch
license: cc0-1.0
tags: [model-edit, "edit-method:rome"]
---
# A fix
"""
LARGE = bytes(range(256)) * 1_000


def commit(api: HfApi, name: str, files: dict[str, bytes], **options: object) -> str:
    """Commit files; gives the new head."""
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    return api.create_commit(name, operations, commit_message="Change", **options).oid


def propose(api: HfApi, name: str, files: dict[str, bytes], **options: object) -> int:
    """Open a pull request; gives its number."""
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    made = api.create_commit(name, operations, commit_message="Better", create_pr=True, **options)
    return made.pr_num
