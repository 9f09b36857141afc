"""Data sets of edits: published ones and one's own, read into requests; a few ship with us."""

from .base import DataSet, Loaded, Loader, Refused
from .loading import load
from .sampling import halves, sample

__all__ = ["DataSet", "Loaded", "Loader", "Refused", "halves", "load", "sample"]
