"""Objects as data: configs read off constructors, tables of names, and nothing else.

A config names classes and functions. Names map to objects through tables: those that hornbeam's
own packages fill with `publish`, and those that users fill with `register_keras_serializable`,
`custom_object_scope` or `custom_objects=`. No name is ever imported.
"""

import base64
import binascii
import builtins
import contextlib
import contextvars
import functools
import inspect
import marshal
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import dtypes
from .loading import LoadError, count_object, loading, unlimited
from .messages import did_you_mean, expected, shown
from .naming import to_snake_case

# Names -----------------------------------------------------------------------------------------

_public = {}  # {("keras.layers", "Dense"): class}
_home = {}  # {class or function: ("keras.layers", "Dense")}
_families = {}  # {"initializers": {"glorot_uniform": class, "GlorotUniform": class}}
_bytecode = contextvars.ContextVar("bytecode", default=False)  # whether a call asked for it
_doubts: contextvars.ContextVar[dict | None] = contextvars.ContextVar("doubts", default=None)
_registered = {}  # {"package>Name": object}
_registered_names = {}  # {object: "package>Name"}
# Functions that each package has beside what configs name.
_NO_DATA = {"deserialize", "get", "serialize"}
_scoped: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar(
    "custom_objects", default=types.MappingProxyType({})
)


def publish(module, namespace, names, aliases=()):
    """Enter public objects into the tables.

    Args:
        module: the name that configs give their package, such as `"keras.layers"`.
        namespace: dict that holds the objects, usually `globals()`.
        names: which of them are public.
        aliases: further `{name: object}` that users may write as strings.
    """
    family = _families.setdefault(module.removeprefix("keras.").removesuffix("keras"), {})
    for name in names:
        thing = namespace[name]
        if inspect.ismodule(thing) or not callable(thing) or name in _NO_DATA:
            continue
        family[name] = thing
        if inspect.isclass(thing):
            family.setdefault(to_snake_case(name), thing)
        _public[module, name] = thing
        canonical = getattr(thing, "__name__", name)
        canonical = canonical if canonical in names else name
        # An alias (`losses.mse`) is written under its first published or its own name.
        if thing not in _home or canonical == name:
            _home.setdefault(thing, (module, canonical))
    family.update(aliases)
    for name, thing in dict(aliases).items():
        _public.setdefault((module, name), thing)


def lookup(family, name):
    """The object that `name` means among the `family` ("layers", "losses", …), or `None`."""
    custom = _custom(name)
    return _families.get(family, {}).get(name) if custom is None else custom


def public_name(thing):
    """`("keras.layers", "Dense")` for a published object, else `None`."""
    try:
        return _home.get(thing)
    except TypeError:  # unhashable callables
        return None


def _custom(name):
    scoped = _scoped.get()
    if name in scoped:
        return scoped[name]
    return _registered.get(name)


class CustomObjectScope:
    """Context manager: names of custom classes and functions, for loading inside it.

    Example:

    >>> class Mine(keras.layers.Layer):
    ...     pass
    >>> config = keras.saving.serialize_keras_object(Mine())
    >>> with keras.saving.custom_object_scope({"Mine": Mine}):
    ...     type(keras.saving.deserialize_keras_object(config)).__name__
    'Mine'
    """

    def __init__(self, custom_objects):
        self.custom_objects = dict(custom_objects or {})

    def __enter__(self):
        self._token = _scoped.set({**_scoped.get(), **self.custom_objects})
        return self

    def __exit__(self, *_):
        _scoped.reset(self._token)


def get_custom_objects():
    """The global dict from names (such as `"package>Name"`) to registered custom objects."""
    return _registered


def register_keras_serializable(package="Custom", name=None):
    """Decorator that enters a class or function into the table of custom objects.

    Args:
        package: prefix that keeps names of different authors apart.
        name: the name; by default that of the class or function.

    Example:

    >>> @keras.saving.register_keras_serializable("docs")
    ... def double(x):
    ...     return 2 * x
    >>> keras.saving.get_registered_name(double)
    'docs>double'
    """

    def register(thing):
        full = f"{package}>{name or thing.__name__}"
        if inspect.isclass(thing) and not hasattr(thing, "get_config"):
            raise ValueError(
                f"Can't register {thing.__name__}: a class needs `get_config` to be written to a "
                "file."
            )
        _registered[full] = thing
        _registered_names[thing] = full
        return thing

    return register


def get_registered_name(obj):
    """`"package>Name"` of a registered object, else its plain name."""
    return _registered_names.get(obj) or obj.__name__


def get_registered_object(name, custom_objects=None, module_objects=None):
    """The object registered as `name`, looked up in the scope, the registry, then the dicts given.

    Returns `None` if there is none.
    """
    found = _custom(name)
    for table in (custom_objects, module_objects):
        if found is None and table:
            found = table.get(name)
    return found


# Configs from constructors -----------------------------------------------------------------------


def _counted(make):
    """A `from_config` whose objects are counted, and whose errors are `LoadError`s."""

    @functools.wraps(make)
    def from_config(cls, config, *args, **kwargs):
        with loading():
            return make(cls, config, *args, **kwargs)

    return from_config


class Configurable:
    """Base of everything that a config describes: the config is read off the constructor.

    hornbeam's own classes keep every constructor argument in an attribute of its name. Of a
    user's class, the arguments are remembered as they were given, since his attributes may mean
    something else.
    """

    _arguments = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        make = vars(cls).get("from_config")
        if is_ours(cls) and isinstance(make, classmethod):
            cls.from_config = classmethod(_counted(make.__func__))  # pyright: ignore

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        if not is_ours(cls):
            object.__setattr__(self, "_arguments", (args, kwargs))
        return self

    def constructor_arguments(self):
        """The arguments that would make an object like this one, as a dict."""
        if is_ours(type(self)):
            return {name: getattr(self, name) for name in constructor_parameters(type(self))}
        args, kwargs = self._arguments or ((), {})
        bound = _signature(type(self)).bind_partial(None, *args, **kwargs).arguments
        arguments = {}
        for name, value in list(bound.items())[1:]:
            kind = _signature(type(self)).parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(value)
            elif kind is not inspect.Parameter.VAR_POSITIONAL:
                arguments[name] = value
        return arguments

    def get_config(self):
        """The constructor's arguments as a dict of plain data, from which `from_config` makes an
        equal object."""
        return {k: config_value(v) for k, v in self.constructor_arguments().items()}

    @classmethod
    @_counted
    def from_config(cls, config):
        """An object made from what `get_config` returned."""
        return cls(**revive(config))

    def clone(self):
        """A new object made from the same arguments."""
        with unlimited():
            return type(self).from_config(self.get_config())


# What an argument that names an object takes: a name, a config, a class, a function or an object.
Identifier = str | dict | Callable | Configurable | None


@functools.cache
def is_ours(cls):
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]


@functools.cache
def _signature(cls):
    return inspect.signature(cls.__init__)


@functools.cache
def constructor_parameters(cls):
    """The names of the constructor's arguments, without `self`, `*args` and `**kwargs`."""
    return tuple(
        name
        for name, p in list(_signature(cls).parameters.items())[1:]
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    )


@functools.cache
def accepts(cls, name):
    """Whether the constructor takes the argument `name`."""
    parameters = _signature(cls).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


# Objects to data ---------------------------------------------------------------------------------

_PLAIN = (str, int, float, bool, type(None))


def config_value(value):
    """A constructor argument as it stands in a config: objects become dicts, the rest stays."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(config_value(v) for v in value) if _is_plain_sequence(value) else value
    if isinstance(value, dict):
        return {k: config_value(v) for k, v in value.items()}
    if isinstance(value, types.FunctionType) and public_name(value):
        return value.__name__
    if _is_unserializable(value):
        return value  # the owner may replace it; writing a file complains
    return serialize(value)


def _is_plain_sequence(value):
    return type(value) in (list, tuple)


def _is_unserializable(value):
    if isinstance(value, types.FunctionType):
        return value.__name__ == "<lambda>"
    known = (np.ndarray, np.generic, bytes, slice, type(Ellipsis), types.BuiltinFunctionType)
    return not (
        hasattr(value, "get_config")
        or isinstance(value, known)
        or (hasattr(value, "shape") and hasattr(value, "dtype"))
        or callable(value)
    )


def serialize(obj) -> Any:
    """Describe an object as plain data (numbers, strings, lists, dicts).

    Args:
        obj: a layer, model, optimizer, loss, metric, initializer, function, array, …, or a list,
            tuple or dict of them.

    Returns:
        Data that can be written as JSON and that `deserialize_keras_object` turns back.

    Raises:
        TypeError: for objects without `get_config`.
        ValueError: for lambdas, which can't be found again by a name.

    Example:

    >>> keras.saving.serialize_keras_object(keras.regularizers.L2(0.1))["config"]
    {'l2': 0.1}
    """
    if isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, (list, tuple)):
        items = [serialize(x) for x in obj]
        if isinstance(obj, tuple):
            return {"class_name": "__tuple__", "config": {"value": items}}
        return items
    if isinstance(obj, dict):
        return {k: serialize(v) for k, v in obj.items()}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("latin-1")}}
    if isinstance(obj, slice):
        config = {"start": obj.start, "stop": obj.stop, "step": obj.step}
        return {
            "class_name": "__slice__",
            "config": {k: serialize(v) for k, v in config.items()},
        }
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, np.dtype):
        return obj.name
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, np.ndarray):
        return {
            "class_name": "__numpy__",
            "config": {"value": obj.tolist(), "dtype": obj.dtype.name},
        }
    if hasattr(obj, "serialize_as"):  # symbolic tensors, in a graph being written
        return obj.serialize_as()
    if not hasattr(obj, "get_config") and hasattr(obj, "shape") and hasattr(obj, "dtype"):
        value = np.asarray(obj)
        return {
            "class_name": "__tensor__",
            "config": {"value": value.tolist(), "dtype": value.dtype.name},
        }
    if isinstance(obj, type):
        return _named(obj, obj.__name__)
    if hasattr(obj, "get_config"):
        return _object_config(obj)
    if isinstance(obj, (types.FunctionType, types.BuiltinFunctionType)) or (
        callable(obj) and hasattr(obj, "__name__")
    ):
        return _function_config(obj)
    raise TypeError(
        f"Can't describe {shown(obj)} as data. Give its class a `get_config` method (and a "
        "`from_config` class method)."
    )


@contextlib.contextmanager
def doubting():
    """Context manager: gives a list, to which `serialize` adds what would not come back, with the
    reason and its mend."""
    found = {}
    token = _doubts.set(found)
    try:
        yield found.keys()
    finally:
        _doubts.reset(token)


def _doubt_local(thing):
    """Note a class or function that nobody will find again: it is local, and not registered."""
    doubts, name = _doubts.get(), getattr(thing, "__qualname__", "")
    if doubts is None or thing in _registered_names or "<locals>" not in name:
        return
    if public_name(thing) is None and _custom(thing.__name__) is not thing:
        what = "class" if inspect.isclass(thing) else "function"
        doubts[
            f"the {what} '{thing.__name__}' is local to {name.partition('.<locals>')[0]}(), and "
            "not registered: decorate it with `@keras.saving.register_keras_serializable()`, or "
            f"pass `custom_objects={{{thing.__name__!r}: …}}` when loading"
        ] = True


def _doubt_config(obj, config):
    """Note arguments that an object was given, and that its own `get_config` leaves out."""
    cls, doubts = type(obj), _doubts.get()
    if doubts is None or is_ours(cls) or not isinstance(obj, Configurable):
        return
    if not is_ours(inspect.unwrap(cls.from_config.__func__)):
        return
    known = constructor_parameters(cls)
    required = {
        n for n in known if _signature(cls).parameters[n].default is inspect.Parameter.empty
    }
    given = obj.constructor_arguments().keys() & set(known)
    for name in sorted((given | required) - config.keys()):
        doubts[
            f"'{getattr(obj, 'name', cls.__name__)}' was given {name}, which the `get_config` of "
            f"{cls.__name__} leaves out: let it return {name!r}, too"
        ] = True


def _object_config(obj):
    cls = type(obj)
    data = _named(cls, class_name(obj), config_home(obj))
    config = obj.get_config()
    _doubt_config(obj, config)
    data["config"] = {k: config_value(v) for k, v in config.items()}
    for key, method in (
        ("build_config", "get_build_config"),
        ("compile_config", "get_compile_config"),
    ):
        if (extra := getattr(obj, method, None)) is not None and (extra := extra()) is not None:
            data[key] = config_value(extra)
    return data


def config_home(obj):
    """The module, class name and registered name that an object asks to be written under, or
    `None`: a graph of layers is a `Model` here, and "Functional" in files."""
    method = getattr(obj, "config_home", None)
    return None if method is None else method()


def class_name(obj):
    """The name that files give the class of `obj`."""
    home = config_home(obj) or getattr(obj, "_config_home", None)
    return type(obj).__name__ if home is None else home[1]


def _named(thing, name, home=None):
    """The four keys that say what something is."""
    _doubt_local(thing)
    module, name, registered = home or home_of(thing, name)
    return {"module": module, "class_name": name, "config": None, "registered_name": registered}


def home_of(thing, name=None):
    """The module, class name and registered name that stand for something in configs."""
    if (override := getattr(thing, "_config_home", None)) is not None:
        return override
    if (home := public_name(thing)) is not None:
        return *home, None
    module = None if thing in _registered_names else thing.__module__
    return module, name or thing.__name__, get_registered_name(thing)


def _function_config(function):
    name = function.__name__
    if name == "<lambda>":
        raise ValueError(
            "A lambda can't be written to a file: nothing could find it again. Define a function "
            "with `def`, and decorate it with `@keras.saving.register_keras_serializable()` or "
            "pass it as `custom_objects={name: function}` when loading."
        )
    home = public_name(function)
    _doubt_local(function)
    return {
        "module": home[0] if home else "builtins",
        "class_name": "function",
        "config": home[1] if home else get_registered_name(function),
        "registered_name": "function",
    }


# Data to objects ---------------------------------------------------------------------------------


def deserialize(config, custom_objects=None, safe_mode=True, **kwargs) -> Any:
    """Make the object that `serialize_keras_object` described.

    Args:
        config: the description. Names in it are looked up in tables; nothing is imported or run.
        custom_objects: dict from names to the classes and functions that the description uses
            beside hornbeam's own and the registered ones.
        safe_mode: `False` lets this call run the Python bytecode that Keras writes for a lambda.
            That code can do anything: only for descriptions whose author you trust.

    Returns:
        The object.

    Raises:
        LoadError: for an unknown name, saying which, and for whatever else is wrong.

    Example:

    >>> config = keras.saving.serialize_keras_object(keras.layers.Dense(3))
    >>> keras.saving.deserialize_keras_object(config).units
    3
    """
    with loading(), bytecode_if(safe_mode is False), CustomObjectScope(custom_objects):
        return _deserialize(config)


@contextlib.contextmanager
def bytecode_if(wanted):
    """Context manager: descriptions may hold lambdas as bytecode, since the caller said so."""
    token = _bytecode.set(wanted or _bytecode.get())
    try:
        yield
    finally:
        _bytecode.reset(token)


def revive(config) -> dict[str, Any]:
    """The values of a constructor's config: descriptions become objects, the rest stays."""
    return {k: _revive_value(v) for k, v in config.items()}


def _revive_value(value):
    if isinstance(value, dict):
        if "class_name" in value and "config" in value:
            return _deserialize(value)
        return {k: _revive_value(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_revive_value(v) for v in value)
    return value


def _deserialize(config) -> Any:
    if isinstance(config, list):
        return [_deserialize(x) for x in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config or "config" not in config:
        return {k: _deserialize(v) for k, v in config.items()}
    name, inner = config["class_name"], config["config"]
    if not isinstance(name, str):
        raise LoadError(expected("A config's class_name", "a string", name))
    count_object()
    if name in _SPECIAL:
        return _SPECIAL[name](inner)
    if name == "function":
        return _find(config.get("module"), inner, config.get("registered_name"), "function")
    cls = _find(config.get("module"), name, config.get("registered_name"), "class")
    if (refusal := getattr(cls, "__dict__", {}).get("no_config")) is not None:
        raise LoadError(refusal)
    if not inspect.isclass(cls):
        return cls
    if inner is None:  # the class itself was described
        return cls
    make = getattr(cls, "from_config", None)
    if make is None:
        raise LoadError(f"'{name}' can't be made from a config: it has no `from_config`.")
    if not isinstance(inner, dict):
        raise LoadError(expected(f"The config of a {name}", "a dict", inner))
    obj = make(inner)
    for key, method in (
        ("build_config", "build_from_config"),
        ("compile_config", "compile_from_config"),
    ):
        if config.get(key) and hasattr(obj, method):
            getattr(obj, method)(config[key])
    return obj


def _numpy(config):
    if str(config["dtype"]).startswith("str"):  # NumPy's names of these say how long they are
        return np.array(config["value"], dtype="str")
    return np.array(config["value"], dtype=dtypes.numpy_dtype(config["dtype"]))


_MSG_BYTECODE = """\
The file holds a lambda as Python bytecode, which could do anything. Save the model again with a \
named function, and pass it as `custom_objects={name: function}`. If you trust the author of the \
file, `safe_mode=False` runs it in this one call."""


def _lambda(config):
    """The function that Keras wrote as bytecode, where the caller asked for it."""
    if not _bytecode.get():
        raise LoadError(_MSG_BYTECODE)
    # Keras 3.0 wrote a list of the three.
    code, defaults, closure = config.get("value") or (
        config[key] for key in ("code", "defaults", "closure")
    )
    try:
        code = marshal.loads(base64.b64decode(code))
    except (binascii.Error, EOFError, TypeError, ValueError) as error:
        raise LoadError(
            f"The bytecode of a lambda can't be read by this Python: {error}."
        ) from None
    cells = None if closure is None else tuple(types.CellType(x) for x in _revive_value(closure))
    defaults = None if defaults is None else tuple(_revive_value(defaults))
    return types.FunctionType(code, {"__builtins__": builtins}, None, defaults, cells)


_SPECIAL = {
    "__tuple__": lambda c: tuple(_deserialize(x) for x in c["value"]),
    "__numpy__": _numpy,
    "__tensor__": _numpy,
    "__bytes__": lambda c: c["value"].encode("latin-1"),
    "__ellipsis__": lambda c: Ellipsis,
    "__slice__": lambda c: slice(*(_deserialize(c[k]) for k in ("start", "stop", "step"))),
    "__lambda__": _lambda,
}

# Keras writes some classes under private module names; the rest of the path doesn't matter, since
# class names are unique within a family.
_PRIVATE = "keras.src."


def _find(module, name, registered_name, what) -> Any:
    for part in (name, registered_name, module):
        if part is not None and not isinstance(part, str):
            raise LoadError(expected(f"The name of a {what}, or of its module,", "a string", part))
    for candidate in (registered_name, name):
        if candidate and (found := _custom(candidate)) is not None:
            return found
    found = published(module, name)
    if found is None:
        names = {n for _, n in _public} | {n.rpartition(">")[2] for n in _registered}
        raise LoadError(
            f"Unknown {what} '{name}' (module {module!r}, registered name {registered_name!r}). "
            f"If it is yours, pass `custom_objects={{{name!r}: …}}` when loading, or decorate it "
            f"with `@keras.saving.register_keras_serializable()`. {did_you_mean(name, names)}"
        )
    return found


def published(module, name) -> Any:
    """hornbeam's own object that a config means by a module and a name, or `None`."""
    if module in (None, "builtins") or module.startswith(_PRIVATE):
        candidates = [o for (m, n), o in _public.items() if n == name]
        if module is not None and len(candidates) > 1:
            family = module.removeprefix(_PRIVATE).partition(".")[0]
            candidates = [_public.get((f"keras.{family}", name), candidates[0])]
        return candidates[0] if candidates else None
    return _public.get((module, name))


def get(family, identifier, custom_objects=None) -> Any:
    """What a user means by a name, a config, a class or an object, in a family of objects.

    Args:
        family: `"initializers"`, `"losses"`, …; the tables are filled by `publish`.
        identifier: `None`, a string, a config dict, a class, or an object (returned as it is).

    Raises:
        ValueError: for an unknown name, with the closest known ones.
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        found = deserialize(identifier, custom_objects)
    elif isinstance(identifier, str):
        with CustomObjectScope(custom_objects):
            found = lookup(family, identifier)
        if found is None:
            known = _families.get(family, {})
            raise ValueError(
                f"Unknown {family[:-1] if family != 'losses' else 'loss'} {identifier!r}. "
                + (did_you_mean(identifier, known) or f"Known: {', '.join(sorted(known))}.")
            )
    else:
        found = identifier
    if inspect.isclass(found):
        found = found()
    if not callable(found) and not isinstance(found, Configurable):
        raise ValueError(
            expected(
                f"An argument that names one of keras.{family}",
                "a name, a config, a function or an object",
                identifier,
            )
        )
    return found
