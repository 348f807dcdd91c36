"""What every source of batches has in common: its place in the data, and the orders it draws."""

import numpy as np

from ..core.messages import expected


class Source:
    """Batches for a loop; the package's text has the contract.

    Args:
        name: what to call the data in messages.
        shuffle: whether every pass has a new order.

    Attributes:
        epoch: number of the pass that the next batch belongs to, from 0.
        batch: number of the next batch in that pass, from 0.
        num_batches: batches in a pass, as far as the data tells; `None` if it doesn't.
        batch_size: rows in a batch, if the source decides.
        can_seek: whether any batch can be had without those before it.
        at_hand: whether making a batch takes next to no time.
        exhausted: whether nothing will ever come again.
    """

    num_batches: int | None = None
    batch_size: int | None = None
    can_seek = True
    at_hand = False
    exhausted = False

    def __init__(self, name, shuffle=False):
        self.name, self.shuffle = name, bool(shuffle)
        self.epoch, self.batch = 0, 0
        self._shard = None  # slice: which rows of each batch
        self._drawn = None  # the order of this pass, once it has begun
        self._random: tuple = ()  # the state of NumPy's generator before it was drawn

    # What subclasses write -----------------------------------------------------------------------

    def batch_specs(self):
        """Shapes and dtypes of a batch (or of all rows), as they come to the device."""
        raise NotImplementedError

    def take(self, count, stacked=1):
        """The next batches, and how many; `(None, 0)` when a pass is over, before the next begins.

        Args:
            count: how many, at most.
            stacked: the size of the first axis of the result, at least `count`; what is beyond
                those that came is padding.

        Returns:
            `(batches, number)`: arrays `[stacked, batch size, …]` on the device. A batch of
            another shape than the first comes alone.
        """
        raise NotImplementedError

    def map(self, function):
        """Apply a function to every batch to come, a tuple of nested arrays."""
        raise NotImplementedError

    def rewind(self):
        """Start the next `take` at the beginning of a pass."""
        raise NotImplementedError

    def close(self):
        """End what was started to read the data."""

    def _draw(self):
        """Draw the order of this pass, unless that has happened."""
        self._order(0 if self.num_batches is None else self.num_batches)

    def _skip_pass(self):
        """Go through a pass without making its batches."""
        self._draw()

    def _go(self, batch, replay):
        """Go to a batch of the pass `self.epoch`."""
        raise NotImplementedError

    # The place -----------------------------------------------------------------------------------

    def shard(self, index, count):
        """From now on, take only every `count`-th row of each batch, beginning at `index`.

        So the batches of number k of all shards make up batch k of the whole, in any number of
        processes.
        """
        if not 0 <= index < count:
            raise ValueError(f"A shard's index is from 0 to {count - 1}; received {index}.")
        self._shard = slice(index, None, count)

    def seek(self, epoch, batch, replay=False):
        """Go to a batch of a pass, so that `take` begins there.

        Args:
            epoch: the number of the pass.
            batch: the number of the batch in it.
            replay: whether a source that can't seek may draw the batches before it and drop them.
                They are the same ones only if the data yields the same every time.

        Raises:
            ValueError: if the source can't seek and `replay` is false, or can't go back.
        """
        for what, value in (("epoch", epoch), ("batch", batch)):
            if not isinstance(value, (int, np.integer)) or value < 0:
                raise ValueError(expected(f"seek's {what}", "an int of at least 0", value))
        if not self.can_seek and (epoch, batch) != (self.epoch, self.batch) and not replay:
            raise ValueError(
                f"{self.name} can't seek to batch {batch} of pass {epoch}: {self._why_not()}. With "
                "replay=True the batches before it are drawn and dropped; otherwise pass data "
                "that can, such as arrays or a PyDataset."
            )
        if epoch < self.epoch:
            if self.shuffle:
                raise ValueError(
                    f"{self.name} is shuffled and in pass {self.epoch}; the order of pass {epoch} "
                    "is gone. `restore` a state from it."
                )
            self.rewind()
            self.epoch = epoch
        while self.epoch < epoch:
            self._skip_pass()
            self._next_pass()
        self._go(batch, replay)
        self.batch = batch

    def state(self, unused=0):
        """Where the source is, as plain data.

        Args:
            unused: how many of the batches of the last `take` don't count as taken.
        """
        state = {"epoch": self.epoch, "batch": self.batch - unused}
        if self.shuffle:
            state["drawn"] = self._drawn is not None
            kind, keys, *rest = self._random if state["drawn"] else _random_state()
            state["random"] = [kind, keys.tolist(), *rest]
        return state

    def restore(self, state, replay=False):
        """Go to where a source over the same data was.

        If it shuffles, NumPy's global generator, from which it draws, is set: also the passes to
        come are the same.
        """
        if self.shuffle:
            if "random" not in state:
                raise ValueError(f"{self.name} is shuffled; the state is of a source that wasn't.")
            self.epoch = min(self.epoch, state["epoch"])
        self.seek(state["epoch"], 0, replay)
        if self.shuffle:
            kind, keys, *rest = state["random"]
            np.random.set_state((kind, np.array(keys, "uint32"), *rest))
            self._drawn = None
            if state["drawn"]:
                self._draw()
        self.seek(state["epoch"], state["batch"], replay)

    def _why_not(self):
        return "it is read from its beginning to its end"

    def _order(self, n):
        """The numbers 0 to n - 1 in the order of this pass, which is drawn when it begins."""
        if self._drawn is None:
            self._random = _random_state() if self.shuffle else ()
            self._drawn = np.random.permutation(n) if self.shuffle else np.arange(n)
        return self._drawn

    def _next_pass(self):
        self.epoch, self.batch, self._drawn = self.epoch + 1, 0, None


def _random_state() -> tuple:
    return np.random.get_state(legacy=True)  # pyright: ignore[reportReturnType]
