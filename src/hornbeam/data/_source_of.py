"""One way in: any data as a `Source`."""

from ..core.messages import expected
from ._arrays import NAMES, Form, are_names
from ._batches import BatchSource, yields_batches
from ._dataset import Dataset, DatasetSource
from ._foreign import batched, columns_of, refused, rows_of
from ._rows import RowSource, as_rows


def source_of(
    x,
    y=None,
    sample_weight=None,
    *,
    batch_size=None,
    shuffle=False,
    inputs=None,
    outputs=None,
    host=None,
    names=NAMES,
):
    """A `Source` of the batches that `x` holds, or yields.

    Args:
        x: arrays, tables, or whole batches.
        y, sample_weight: the same for targets and weights, or names of columns of `x`.
        batch_size: rows in a batch, if `x` doesn't yield batches.
        shuffle: whether each pass has a new order, if `x` has rows or batches by number.
        inputs, outputs: names that a model's inputs and outputs have, to be fed from columns.
        host: the model, if a part of it works on the host; see `Form`.
        names: what to call `x`, `y` and `sample_weight` in messages.
    """
    x, y, sample_weight, form = _formed(x, y, sample_weight, inputs, outputs, host)
    x = batched(x, 32 if batch_size is None else batch_size)
    if _has_rows(x):
        rows = as_rows(x, y, sample_weight, form, names)
        return RowSource(rows, batch_size, shuffle, names[0])
    hint = refused(x)
    if hint is not None:
        raise ValueError(f"{names[0]} is a {type(x).__name__}. {hint}")
    for name, value in zip(names[1:], (y, sample_weight)):
        if value is not None:
            raise ValueError(
                f"{names[0]} yields whole batches (it is a {type(x).__name__}), so {name} should "
                "be in them: let it yield (x, y) or (x, y, sample_weight)."
            )
    if isinstance(x, Dataset):
        return DatasetSource(x, names[0], form)
    return BatchSource(x, shuffle, names[0], form)


def split_source(
    x, y, sample_weight, fraction, *, batch_size, shuffle, inputs, outputs, host, other
):
    """Two sources: of the first rows, and of the last `fraction` of them, without shuffling.

    Args:
        other: the batch size of the second one.
    """
    if not 0 < fraction < 1:
        raise ValueError(expected("validation_split", "between 0 and 1", fraction))
    x, y, sample_weight, form = _formed(x, y, sample_weight, inputs, outputs, host)
    if not _has_rows(x):
        raise ValueError(
            f"validation_split is for data with rows; x yields batches (it is a "
            f"{type(x).__name__}). Pass the other part of the data as validation_data."
        )
    rows = as_rows(x, y, sample_weight, form)
    start = int(rows.count * (1.0 - fraction))
    if start in (0, rows.count):
        raise ValueError(
            f"validation_split={fraction} of {rows.count} rows leaves nothing for "
            f"{'training' if start == 0 else 'validation'}."
        )
    first, last = rows.part(0, start), rows.part(start, rows.count)
    return (
        RowSource(first, batch_size, shuffle),
        RowSource(last, other, name="validation x"),
    )


def stands_alone(x):
    """Whether `x` may hold targets, too: batches, tables and data sets of rows."""
    return yields_batches(x) or columns_of(x) is not None or rows_of(x) is not None


def _has_rows(x):
    return rows_of(x) is not None or not yields_batches(x)


def _formed(x, y, sample_weight, inputs, outputs, host):
    """The arguments, without names of columns, and the `Form` that has these."""
    named = [part if are_names(part) else None for part in (y, sample_weight)]
    given = [None if are_names(part) else part for part in (y, sample_weight)]
    return x, *given, Form(inputs, outputs, *named, host=host)
