"""Where batches come from."""

from ._arrays import ArraySource, pack, split_validation, unpack

__all__ = ["ArraySource", "pack", "split_validation", "unpack"]
