"""`ExportArchive`: functions and models on their way into a file that runs without their code."""

import itertools

from ..core.messages import one_of, unknown_keywords
from ..core.variable import Variable
from ._endpoint import Endpoint, parts_of, specs_of
from ._saved_model import write_saved_model
from ._stablehlo import write_stablehlo

FORMATS = {"tf_saved_model": write_saved_model, "stablehlo": write_stablehlo}


class ExportArchive:
    """Compiled functions with the variables they use, to be written to a file together.

    Nothing of the Python code goes into the file. Sizes that a signature leaves open (`None`) stay
    open; along the first axis it is the batch, the same for all inputs.

    Example:

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> archive = keras.export.ExportArchive()
    >>> archive.track_and_add_endpoint("serve", model)
    >>> archive.add_endpoint(
    ...     "best", lambda x: jnp.argmax(model(x), axis=-1), [keras.InputSpec(shape=(None, 3))]
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive.write_out(folder + "/model", format="stablehlo", verbose=False)
    ...     exported = keras.export.load(folder + "/model")
    >>> exported.best(np.ones((4, 3))).shape
    (4,)
    """

    def __init__(self, *args, **kwargs):
        if args or kwargs:
            raise TypeError(f"ExportArchive takes no arguments; received {args or kwargs}.")
        self._endpoints = {}
        self._collections = {}

    def track(self, resource):
        """Nothing to do: an endpoint finds the variables that it uses.

        Args:
            resource: a layer or model.
        """

    def add_endpoint(self, name, fn, input_signature=None, **kwargs):
        """Add a function of arrays, which may call layers and read and assign variables.

        Args:
            name: name; an attribute of what is loaded.
            fn: the function; of a layer or model, what it computes while not training.
            input_signature: list with a spec, or a tree of specs, for each argument: anything
                that has a shape and a dtype. A layer that is built needs none.

        Raises:
            ValueError: if there is such an endpoint already, or no signature.
        """
        kwargs.pop("jax2tf_kwargs", None)  # says how Keras makes a SavedModel
        if kwargs:
            raise unknown_keywords("add_endpoint", kwargs, ("name", "fn", "input_signature"))
        if not str(name).isidentifier() or name.startswith("_"):
            raise ValueError(f"An endpoint's name should be that of a method; received {name!r}.")
        if name in self._endpoints:
            raise ValueError(f"There is an endpoint named '{name}' already.")
        if hasattr(fn, "built"):
            front, function, signature = parts_of(fn, input_signature)
        elif input_signature is None:
            raise ValueError(
                f"Endpoint '{name}' needs an input_signature: a list with one spec for each "
                "argument of the function, such as [keras.InputSpec(shape=(None, 3))]."
            )
        else:
            front, function, signature = None, fn, map(specs_of, input_signature)
        self._endpoints[name] = Endpoint(name, function, signature, front)

    def track_and_add_endpoint(self, name, resource, input_signature=None, **kwargs):
        """Add what a layer or model computes while not training.

        Args:
            name, input_signature: as in `add_endpoint`.
            resource: the layer or model.
        """
        self.add_endpoint(name, resource, input_signature, **kwargs)

    def add_variable_collection(self, name, variables):
        """Name a list of variables, which are written whether an endpoint uses them or not.

        Args:
            name: name of the list.
            variables: the variables.
        """
        variables = list(variables)
        if not all(isinstance(v, Variable) for v in variables):
            raise TypeError(f"add_variable_collection takes variables; received {variables!r}.")
        self._collections[name] = variables

    def write_out(self, filepath, options=None, verbose=True, format="tf_saved_model", **kwargs):
        """Write everything to a file or folder, which is replaced as a whole or not at all.

        Args:
            filepath: where.
            options: for TensorFlow: a `tf.saved_model.SaveOptions`.
            verbose: whether to print what was written.
            format: `"tf_saved_model"`, for which TensorFlow must be installed, or `"stablehlo"`.
            platforms: list of where it will run, of `"cpu"`, `"cuda"`, `"rocm"` and `"tpu"`; by
                default all that are possible.

        Raises:
            ValueError: without endpoints; for another format.
        """
        write = FORMATS[one_of("format", format, FORMATS)]
        if not self._endpoints:
            raise ValueError("There is nothing to write: add an endpoint first.")
        if format == "tf_saved_model":
            kwargs["options"] = options
        lines = write(
            filepath, list(self._endpoints.values()), self._names(), self._collections, **kwargs
        )
        if verbose:
            print(f"Exported to '{filepath}':", *lines, sep="\n  ")

    def _names(self):
        """A name for each variable: its path, numbered where it isn't the only one."""
        groups = [v for e in self._endpoints.values() for v in (e.written, e.read)]
        groups += self._collections.values()
        names, taken = {}, set()
        for variable in itertools.chain(*groups):
            if variable in names:
                continue
            name, number = variable.path, 1
            while name in taken:
                name, number = f"{variable.path}_{number}", number + 1
            taken.add(name)
            names[variable] = name
        return names
