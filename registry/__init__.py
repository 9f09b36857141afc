"""What is known about patches, and by whom: SQL, blobs, ledger, versions and remotes.

`weightpatch.registry.registry.Registry` is the way in; nothing heavy is imported here.
"""

FILE = "registry.db"
"""The database in a registry's folder, unless another one is named."""
