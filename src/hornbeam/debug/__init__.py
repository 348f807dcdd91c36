"""Finding what went wrong in a training."""

from ..training.nonfinite import NonFinite
from ._nonfinite import find_nonfinite, raise_on_nonfinite

__all__ = ["NonFinite", "find_nonfinite", "raise_on_nonfinite"]
