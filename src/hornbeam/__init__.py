"""The Keras API, implemented from scratch on JAX: `import hornbeam as keras`."""

from . import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    datasets,
    debug,
    distillation,
    dtype_policies,
    export,
    initializers,
    layers,
    legacy,
    losses,
    metrics,
    mixed_precision,
    models,
    ops,
    optimizers,
    preprocessing,
    quantizers,
    random,
    regularizers,
    saving,
    tree,
    utils,
    visualization,
)
from ._version import __version__
from .core.device import device
from .core.remat import RematScope, remat
from .core.scope import StatelessScope, SymbolicScope, name_scope, value_and_grad
from .core.symbolic import KerasTensor, Operation
from .core.variable import Variable
from .dtype_policies import DTypePolicy, FloatDTypePolicy
from .initializers import Initializer
from .layers import Input, InputSpec, Layer
from .losses import Loss
from .metrics import Metric
from .models import Model, Sequential
from .models._functional import Function
from .optimizers import Optimizer
from .quantizers import Quantizer
from .regularizers import Regularizer


def version():
    """The version of hornbeam, as a string."""
    return __version__


__all__ = [
    "DTypePolicy",
    "FloatDTypePolicy",
    "Function",
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Operation",
    "Optimizer",
    "Quantizer",
    "Regularizer",
    "RematScope",
    "Sequential",
    "StatelessScope",
    "SymbolicScope",
    "Variable",
    "__version__",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "debug",
    "device",
    "distillation",
    "dtype_policies",
    "export",
    "initializers",
    "layers",
    "legacy",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "name_scope",
    "ops",
    "optimizers",
    "preprocessing",
    "quantizers",
    "random",
    "regularizers",
    "remat",
    "saving",
    "tree",
    "utils",
    "value_and_grad",
    "version",
    "visualization",
]
