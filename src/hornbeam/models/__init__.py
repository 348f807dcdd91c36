"""Models: layers put together, with training, evaluation, prediction and files."""

from ..core.objects import publish
from ..saving import load_model, save_model
from ._clone import clone_model
from ._functional import Function as Function
from ._json import model_from_json
from ._model import Model
from ._sequential import Sequential

__all__ = [
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]

publish("keras", globals(), ["Function", "Model", "Sequential"], aliases={"Functional": Model})
