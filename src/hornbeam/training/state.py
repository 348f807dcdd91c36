"""Who holds the arrays of variables while a compiled loop runs."""

import jax

from .interrupts import uninterrupted


class RunningState:
    """The values of the variables that a loop changes, on loan from them while it runs.

    A compiled step gives its old arrays to the new ones (donation), so only one place may hold
    them. While the state is open, the variables read from and write to it; a read gets a copy,
    since the next step frees the original. States nest: that of an `evaluate` inside a `fit`
    borrows from the outer one, and gives back what it changed. Variables that are only read stay
    where they are, so any number of threads may predict at once.

    After an interrupt at any moment the state holds the result of the last finished step.
    """

    def __init__(self):
        self._values = {}  # {Variable: array}
        self._outer = {}  # {Variable: its owner before}
        self._latest = (), ()  # variables and arrays of the last step, not in `_values` yet

    def take(self, variables):
        """Borrow variables that aren't here yet.

        Their arrays are copied, once: somebody else may hold the original
        (`before = variable.value`), and the first step frees what it is given.
        """
        self._settle()
        for v in variables:
            if v not in self._values:
                self._values[v] = copy_of(array_of(v))
                self._outer[v], v._owner = v._owner, self

    def get(self, variables):
        """The arrays themselves of variables that were taken, in order."""
        if variables is self._latest[0]:  # one step after the other
            return self._latest[1]
        self._settle()
        return [self._values[v] for v in variables]

    def borrow(self, variable):
        """The array itself, for somebody who doesn't donate it."""
        self._settle()
        return self._values[variable]

    def read(self, variable):
        """A copy of the value that survives the next step."""
        return copy_of(self.borrow(variable))

    def write(self, variable, value):
        """Set one value, from outside the compiled step."""
        self._settle()
        self._values[variable] = copy_of(value)

    def update(self, variables, values):
        """Set many values: what a compiled step returned."""
        if variables is not self._latest[0]:
            self._settle()
        self._latest = variables, values

    def _settle(self):
        self._values.update(zip(*self._latest, strict=True))
        self._latest = (), ()

    def close(self):
        """Give every array back to its variable, or to the state that it came from."""
        self._settle()
        for v, outer in self._outer.items():
            v._owner = outer
            if outer is None:
                v._array = self._values[v]
            else:
                outer.write(v, self._values[v])
        self._values, self._outer = {}, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with uninterrupted():
            self.close()


def array_of(variable):
    """The array of a variable itself, wherever it is now."""
    owner = variable._owner
    return variable._array if owner is None else owner.borrow(variable)


def copy_of(array):
    """A copy that stays when the original is donated."""
    # Unlike `jnp.copy`, this compiles nothing.
    return jax.device_put(array, may_alias=False)
