"""Where arrays are made."""

import jax

from .messages import expected


def device(device_name):
    """Context manager: arrays are made, and eager calculations run, on this device.

    Args:
        device_name: such as `"cpu:0"` or `"gpu:1"` (the number is 0 by default), or a
            `jax.Device`.

    Raises:
        ValueError: if there is no such device.

    Example:

    >>> with keras.device("cpu:0"):
    ...     keras.ops.ones(2).devices()
    {CpuDevice(id=0)}
    """
    return jax.default_device(_find(device_name))


def _find(device_name):
    if isinstance(device_name, jax.Device):
        return device_name
    wanted = "a string such as 'gpu:0', or a jax.Device"
    if not isinstance(device_name, str):
        raise ValueError(expected("device_name", wanted, device_name))
    kind, _, number = device_name.lower().partition(":")
    try:
        found = jax.devices(kind)
    except RuntimeError:
        found = []
    if not (number or "0").isdigit() or int(number or 0) >= len(found):
        there = ", ".join(f"{d.platform}:{d.id}" for d in jax.devices())
        raise ValueError(expected("device_name", wanted, device_name, f"There are: {there}."))
    return found[int(number or 0)]
