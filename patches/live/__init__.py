"""Models in memory: patches put on and taken off, bits restored."""

from .attachments import Attachment, attach, patched
from .loading import load

__all__ = ["Attachment", "attach", "load", "patched"]
