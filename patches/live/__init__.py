"""Models in memory: patches put on and taken off, bits restored."""

from .attachments import Attachment, attach, patched
from .load import load

__all__ = ["Attachment", "attach", "load", "patched"]
