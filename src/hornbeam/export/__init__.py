"""Functions and models as programs that run without the code that made them."""

from ._archive import ExportArchive
from ._exported import ExportedEndpoint, ExportedModel, load

__all__ = ["ExportArchive", "ExportedEndpoint", "ExportedModel", "load"]
