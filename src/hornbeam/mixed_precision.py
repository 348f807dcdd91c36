"""Dtype policies under older names, and the optimizer that scales the loss."""

from .dtype_policies import DTypePolicy
from .dtype_policies._get import set_dtype_policy
from .dtype_policies._policy import dtype_policy
from .optimizers import LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]
