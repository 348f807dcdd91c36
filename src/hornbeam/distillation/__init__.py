"""Distillation: a small model learns what a large one knows."""

from ..core.objects import publish
from ._distiller import Distiller
from ._losses import DistillationLoss, FeatureDistillation, LogitsDistillation

__all__ = [
    "DistillationLoss",
    "Distiller",
    "FeatureDistillation",
    "LogitsDistillation",
]

publish("keras.distillation", globals(), __all__)
