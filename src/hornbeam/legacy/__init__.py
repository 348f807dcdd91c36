"""What remains of Keras 2."""

from . import saving

__all__ = ["saving"]
