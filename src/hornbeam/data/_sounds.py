"""Data sets of sounds."""

import functools
import os
import wave
from typing import Any

import numpy as np

from ..core.messages import expected
from ._dataset import processors
from ._files import from_directory


def audio_dataset_from_directory(
    directory,
    labels="inferred",
    label_mode="int",
    class_names=None,
    batch_size: int | None = 32,
    sampling_rate=None,
    output_sequence_length=None,
    ragged=False,
    shuffle=True,
    seed=None,
    validation_split=None,
    subset=None,
    follow_links=False,
    verbose=True,
) -> Any:
    """A data set of the sounds in a folder, in which each class has a folder of its own.

    Args:
        directory: the folder; files end in .wav. With the package soundfile they may have any
            encoding, otherwise they are PCM.
        sampling_rate: samples per second to convert sounds to; by default they stay as they are.
        output_sequence_length: samples that longer sounds are cut to, and shorter ones filled up
            to by zeros. By default all of a batch get the length of the longest one.
        ragged: whether sounds of a batch keep their lengths: it is an array of arrays then.

    The other arguments are those of `image_dataset_from_directory`.

    Returns:
        A `Dataset` of `(sounds, labels)`, or of sounds without labels. Sounds are float32 from -1
        to 1, `[b, samples, channels]`.

    Example:

    >>> import pathlib, tempfile, wave
    >>> folder = tempfile.TemporaryDirectory()
    >>> for i, name in enumerate(("high", "low")):
    ...     pathlib.Path(folder.name, name).mkdir()
    ...     with wave.open(f"{folder.name}/{name}/1.wav", "wb") as file:
    ...         file.setparams((1, 2, 8000, 0, "NONE", ""))
    ...         file.writeframes(np.zeros(100 + 10 * i, "<i2").tobytes())
    >>> ds = keras.utils.audio_dataset_from_directory(folder.name, verbose=False)
    >>> ds[0][0].shape
    (2, 110, 1)
    >>> folder.cleanup()
    """
    if ragged and output_sequence_length is not None:
        raise ValueError("ragged is for sounds of different lengths; leave output_sequence_length.")
    for name, value in (
        ("sampling_rate", sampling_rate),
        ("output_sequence_length", output_sequence_length),
    ):
        if value is not None and (not isinstance(value, (int, np.integer)) or value < 1):
            raise ValueError(expected(name, "an int of at least 1, or None", value))
    return from_directory(
        directory,
        "sound",
        (".wav",),
        functools.partial(read_sound, rate=sampling_rate, length=output_sequence_length),
        labels=labels,
        label_mode=label_mode,
        class_names=class_names,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        verbose=verbose,
        join=as_objects if ragged else padded,
        workers=processors(),
    )


def read_sound(path, rate=None, length=None):
    """The samples of a file, float32 `[samples, channels]`, at a rate and of a length."""
    _check_size(path)
    x, old = _samples(path)
    if rate is not None and rate != old:
        x = resampled(x, -(-len(x) * rate // old))
    if length is not None:
        x = padded([x[:length]], length)[0]
    return x


def resampled(x, count):
    """`count` samples of the same sound, `[samples, channels]`, by its Fourier transform."""
    import scipy.signal  # takes a while, and comes with JAX

    y: Any = scipy.signal.resample(x, count, axis=0) if len(x) else x
    return y.astype("float32")


def as_objects(sounds):
    """An array of arrays."""
    batch = np.empty(len(sounds), object)
    batch[:] = sounds
    return batch


def padded(sounds, length=None):
    """Sounds as one array, filled up by zeros to a length, that of the longest one by default."""
    channels = {x.shape[1] for x in sounds}
    if len(channels) > 1:
        raise ValueError(
            f"Sounds of a batch should have as many channels each; received {sorted(channels)}."
        )
    length = max(map(len, sounds)) if length is None else length
    batch = np.zeros((len(sounds), length, *channels), "float32")
    for out, x in zip(batch, sounds):
        out[: len(x)] = x
    return batch


padded.pads = True  # pyright: ignore[reportFunctionMemberAccess]


def _check_size(path):
    """Refuse a file that ends before its first bytes say, which decoders read without a word."""
    with open(path, "rb") as file:
        head = file.read(8)
        size, there = int.from_bytes(head[4:], "little"), os.fstat(file.fileno()).st_size
    if head[:4] == b"RIFF" and size not in (0, 2**32 - 1) and there < size + 8:  # those are streams
        raise ValueError(f"it has {there} bytes of {size + 8}")


def _samples(path):
    """Samples of a file and their rate."""
    try:
        import soundfile
    except ImportError:
        return _pcm(path)
    return soundfile.read(path, dtype="float32", always_2d=True)


def _pcm(path):
    with wave.open(os.fspath(path), "rb") as file:
        width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
        raw = np.frombuffer(file.readframes(file.getnframes()), "uint8").reshape(-1, width)
    # The bytes of a sample become the highest ones of 32 bits; only 8 bits have no sign.
    wide = np.zeros((len(raw), 4), "uint8")
    wide[:, 4 - width :] = raw if width > 1 else raw ^ 0x80
    return (wide.view("<i4") / 2.0**31).astype("float32").reshape(-1, channels), rate
