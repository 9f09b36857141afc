"""Models in memory: patches put on and taken off, bits restored."""

from .attachments import Attachment, attach, detach_all, patched
from .loading import load

__all__ = ["Attachment", "attach", "detach_all", "load", "patched"]
