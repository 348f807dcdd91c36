"""Process-wide defaults: float type, fuzz factor, data format, limits and switches."""

from .messages import one_of

_FLOAT_TYPES = ("float16", "bfloat16", "float32", "float64")
_DATA_FORMATS = ("channels_last", "channels_first")

_floatx = "float32"
_epsilon = 1e-7
_image_data_format = "channels_last"
_switches = {"interactive_logging": True, "traceback_filtering": True, "flash_attention": None}
_limits = {"max_epochs": None, "max_steps_per_epoch": None}


def backend():
    """The name of the engine: always `"jax"`.

    Example:

    >>> keras.config.backend()
    'jax'
    """
    return "jax"


def set_backend(backend):
    """Accept `"jax"` and refuse every other engine; there is nothing to switch.

    Raises:
        ValueError: if `backend` is not `"jax"`.
    """
    one_of("backend", backend, ("jax",))


def floatx():
    """The default float type, as a string.

    Example:

    >>> keras.config.floatx()
    'float32'
    """
    return _floatx


def set_floatx(value):
    """Set the default float type: `"float16"`, `"bfloat16"`, `"float32"` or `"float64"`.

    `"float64"` needs JAX's 64-bit mode (`jax.config.update("jax_enable_x64", True)`). For
    half-precision training prefer `keras.config.set_dtype_policy("mixed_bfloat16")`, which keeps
    the weights in float32.
    """
    global _floatx
    _floatx = one_of("floatx", value, _FLOAT_TYPES)


def epsilon():
    """The small number that keeps divisions and logarithms finite (default `1e-7`)."""
    return _epsilon


def set_epsilon(value):
    """Set the small number that `epsilon()` returns."""
    global _epsilon
    _epsilon = value


def image_data_format():
    """The default axis order of images: `"channels_last"` or `"channels_first"`."""
    return _image_data_format


def set_image_data_format(data_format):
    """Set the default axis order of images to `"channels_last"` or `"channels_first"`."""
    global _image_data_format
    _image_data_format = one_of("data_format", str(data_format).lower(), _DATA_FORMATS)


def standardize_data_format(data_format):
    """The axis order that an argument means; `None` means the default one."""
    if data_format is None:
        return _image_data_format
    return one_of("data_format", str(data_format).lower(), _DATA_FORMATS)


def max_epochs():
    """The largest number of epochs that any `fit` runs, or `None` for no limit."""
    return _limits["max_epochs"]


def set_max_epochs(max_epochs):
    """Limit the number of epochs of every `fit`; `None` removes the limit."""
    _limits["max_epochs"] = max_epochs


def max_steps_per_epoch():
    """The largest number of steps in one epoch of any loop, or `None` for no limit."""
    return _limits["max_steps_per_epoch"]


def set_max_steps_per_epoch(max_steps_per_epoch):
    """Limit the number of steps of every epoch; `None` removes the limit."""
    _limits["max_steps_per_epoch"] = max_steps_per_epoch


def enable_interactive_logging():
    """Show progress on standard output as a live bar (the default)."""
    _switches["interactive_logging"] = True


def disable_interactive_logging():
    """Show progress as plain log lines."""
    _switches["interactive_logging"] = False


def is_interactive_logging_enabled():
    """Whether progress is shown as a live bar on standard output."""
    return _switches["interactive_logging"]


def enable_traceback_filtering():
    """Hide hornbeam's own frames in tracebacks (the default)."""
    _switches["traceback_filtering"] = True


def disable_traceback_filtering():
    """Show hornbeam's own frames in tracebacks."""
    _switches["traceback_filtering"] = False


def is_traceback_filtering_enabled():
    """Whether hornbeam's own frames are hidden in tracebacks."""
    return _switches["traceback_filtering"]


def enable_flash_attention():
    """Use a fused attention kernel wherever the device has one."""
    _switches["flash_attention"] = True


def disable_flash_attention():
    """Never use a fused attention kernel."""
    _switches["flash_attention"] = False


def is_flash_attention_enabled():
    """`True` or `False` when set, `None` when each call decides for itself."""
    return _switches["flash_attention"]


def enable_unsafe_deserialization():
    """Accepted for compatibility: loading never runs code that a file holds.

    There is nothing to allow. A Lambda is loaded by giving its function in `custom_objects`.
    """


def is_nnx_enabled():
    """Whether variables are Flax NNX variables: always `False` here."""
    return False
