"""KnowEdit: edits with probes of what should follow from them and of what should stay.

Zhang et al. 2024, "A Comprehensive Study of Knowledge Editing for Large Language Models"
(arXiv:2401.01286).
"""

from typing import ClassVar

from .base import Loaded
from .easyedit import easyedit_request
from .reading import read_records


class KnowEdit:
    """KnowEdit's records of facts; those of texts and of sentiment are refused."""

    name: ClassVar[str] = "knowedit"
    title: ClassVar[str] = "KnowEdit (Zhang et al. 2024); its ZsRE part ships"
    shipped: ClassVar[str | None] = "knowedit.json"

    def read(self, data: bytes, *, name: str) -> Loaded:
        """Read a whole file; raises InputError, LimitExceeded."""
        return read_records(data, easyedit_request, name=name)
