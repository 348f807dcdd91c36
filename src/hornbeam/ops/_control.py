"""Control flow that compiles, and gradients by hand.

The functions that these ops take may read and assign variables, as a layer's `call` does. JAX's
loops know pure functions only, so what a function assigns is found out by tracing it once, and
travels through the loop beside the user's own values.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

from ..core.loading import count_calls
from ..core.messages import expected
from ..core.scope import bind, current, enter
from ..core.symbolic import op, tree_map
from ..core.variable import Variable
from ._convert import array


def _run(function, variables, values, args):
    """`(function(*args), new values)`, with `variables` bound to `values` meanwhile."""
    outer = current().values or {}
    with bind({**outer, **dict(zip(variables, values, strict=True))}, losses=[]) as now:
        output = _arrays(function(*args))
    return output, [now[v] for v in variables]


def _pure(function, variables):
    """`_run` of a function under the name of that function, which JAX puts into errors."""

    @functools.wraps(function)
    def pure(values, args):
        return _run(function, variables, values, args)

    return pure


def _assigned(functions, args):
    """The variables that calls of `functions` assign."""
    found = {}
    outer = current().values or {}

    def call(args):
        for function in functions:
            with bind(outer, losses=[]) as now:
                function(*args)
            found.update((v, None) for v, x in now.items() if outer.get(v) is not x)

    for function in functions:
        if not callable(function):
            raise TypeError(expected("What control flow is to call", "a function", function))
    jax.eval_shape(call, args)
    return list(found)


def _values(variables):
    with enter(autocast=None):
        return [v.value for v in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _arrays(structure):
    """A structure with arrays for leaves, as JAX's loops carry it."""
    return jax.tree.map(
        lambda x: x.value if isinstance(x, Variable) else jnp.asarray(x),
        structure,
        is_leaf=lambda x: isinstance(x, Variable),
    )


def _first(structure):
    """What the parts of arrays along their first axis are like."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), structure)


@op
def cond(pred, true_fn, false_fn):
    """What `true_fn()` returns if `pred` is true, else what `false_fn()` returns.

    Args:
        pred: boolean scalar.
        true_fn, false_fn: functions without arguments that return the same shapes and dtypes.

    Example:

    >>> keras.ops.cond(jnp.array(3) > 2, lambda: 1.0, lambda: 2.0)
    Array(1., dtype=float32, weak_type=True)
    """
    pred = jnp.asarray(pred, dtype=bool)
    choose = lambda pure, *operands: lax.cond(pred, *pure, *operands)
    return _branch(choose, [true_fn, false_fn], ())


@op
def switch(index, branches, *operands):
    """What `branches[index](*operands)` returns.

    Args:
        index: integer scalar; outside of the list, the nearest branch counts.
        branches: list of functions that return the same shapes and dtypes.
        *operands: their arguments.
    """
    choose = functools.partial(lax.switch, jnp.asarray(index))
    return _branch(choose, branches, _arrays(operands))


def _branch(choose, branches, args):
    variables = _assigned(branches, args)
    pure = [_pure(branch, variables) for branch in branches]
    output, new = choose(pure, _values(variables), args)
    _assign(variables, new)
    return output


@op
def while_loop(cond, body, loop_vars, maximum_iterations=None):
    """Call `body` on its own results as long as `cond` holds.

    Args:
        cond: function of the loop variables that returns a boolean scalar.
        body: function of the loop variables that returns their new values.
        loop_vars: tuple or list of values (nested structures are fine), or a single one.
        maximum_iterations: stop after so many calls in any case.

    Returns:
        The last values: a tuple, or a single one.

    Example:

    >>> keras.ops.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (0, 1))
    (Array(3, dtype=int32, weak_type=True), Array(8, dtype=int32, weak_type=True))
    """
    if maximum_iterations is not None:
        count_calls(maximum_iterations)
    elif getattr(cond, "__module__", "").partition(".")[0] == __name__.partition(".")[0]:
        count_calls(math.inf)  # none of our functions is meant to end a loop
    several = isinstance(loop_vars, (tuple, list))
    start = tuple(_arrays(loop_vars)) if several else (_arrays(loop_vars),)
    variables = _assigned([body], start)

    def go_on(state):
        count, values, loop = state
        more = jnp.asarray(_run(cond, variables, values, loop)[0], dtype=bool)
        return more if maximum_iterations is None else more & (count < maximum_iterations)

    def step(state):
        count, values, loop = state
        loop, values = _run(body, variables, values, loop)
        loop = tuple(loop) if isinstance(loop, (tuple, list)) and several else (loop,)
        return count + 1, values, loop

    _, new, loop = lax.while_loop(go_on, step, (0, _values(variables), start))
    _assign(variables, new)
    return loop if several else loop[0]


@op
def fori_loop(lower, upper, body_fun, init_val):
    """Call `value = body_fun(i, value)` for `i` from `lower` up to but without `upper`.

    Example:

    >>> int(keras.ops.fori_loop(0, 4, lambda i, total: total + i, 0))
    6
    """
    if isinstance(lower, int) and isinstance(upper, int):
        count_calls(max(upper - lower, 0))
    value = _arrays(init_val)
    variables = _assigned([body_fun], (jnp.int32(0), value))

    def step(i, state):
        return _run(body_fun, variables, state[1], (i, state[0]))

    value, new = lax.fori_loop(lower, upper, step, (value, _values(variables)))
    _assign(variables, new)
    return value


@op
def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """Call `carry, y = f(carry, x)` for every `x` along the first axis of `xs`.

    Args:
        f: the function.
        init: the first carry, an array or a nested structure.
        xs: array or nested structure of arrays; `None` with `length` for no input.
        length: how many calls, where `xs` doesn't say it.
        reverse: whether to go from the last to the first.
        unroll: how many calls to put into one turn of the compiled loop.

    Returns:
        `(last carry, the ys stacked)`.

    Example:

    >>> keras.ops.scan(lambda total, x: (total + x, total), 0, jnp.arange(4))[1].tolist()
    [0, 0, 1, 3]
    """
    count_calls(max(length or 0, unroll))
    init, xs = _arrays(init), _arrays(xs)
    if not all(x.ndim for x in jax.tree.leaves(xs)):
        raise ValueError(
            expected("xs", "an array, or a structure of arrays, with a first axis", xs)
        )
    variables = _assigned([f], (init, _first(xs)))

    def step(state, x):
        pair, values = _run(f, variables, state[1], (state[0], x))
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(expected("What scan's f returns", "a pair (carry, y)", pair))
        return (pair[0], values), pair[1]

    start = init, _values(variables)
    (carry, new), ys = lax.scan(step, start, xs, length, reverse, unroll)
    _assign(variables, new)
    return carry, ys


@op
def map(f, xs):
    """`f` of every part of `xs` along the first axis, one after the other, stacked."""
    return scan(lambda _, x: ((), f(x)), (), xs)[1]


@op
def associative_scan(f, elems, reverse=False, axis=0):
    """All partial results of `f` along an axis, in logarithmically many steps.

    Args:
        f: associative function of two (structures of) arrays, applied to many pairs at once.
        elems: array, or a nested structure of arrays of the same size along the axis.
        reverse: whether to go from the last to the first.
        axis: the axis.

    Example:

    >>> keras.ops.associative_scan(lambda a, b: a + b, jnp.arange(5))
    Array([ 0,  1,  3,  6, 10], dtype=int32)
    """
    return lax.associative_scan(f, _arrays(elems), reverse, axis)


@op
def vectorized_map(function, elements):
    """`function` of every part of `elements` along the first axis, all at once, stacked.

    Args:
        function: function of one part, or of a structure of parts. A variable that it assigns
            must get the same value for every part.
        elements: array, or a nested structure of arrays.
    """
    elements = _arrays(elements)
    variables = _assigned([function], (_first(elements),))
    run = functools.partial(_run, function, variables, _values(variables))
    try:
        output, new = jax.vmap(lambda part: run((part,)), out_axes=(0, None))(elements)
    except ValueError as error:
        if variables:
            error.add_note(
                "vectorized_map calls its function for all parts at once, so no part can give a "
                "variable a value of its own. With `keras.ops.map` they come one after the other."
            )
        raise
    _assign(variables, new)
    return output


def vectorize(pyfunc, excluded=None, signature=None):
    """Make a function of scalars (or of small arrays) work on arrays of them.

    Args:
        pyfunc: the function.
        excluded: positions of arguments to leave alone.
        signature: the axes that the function itself sees, such as `"(n),(n)->()"`.

    Example:

    >>> keras.ops.vectorize(lambda a, b: a + b)(jnp.arange(2), jnp.arange(2))
    Array([0, 2], dtype=int32)
    """
    if not callable(pyfunc):
        raise TypeError(expected("pyfunc", "a function", pyfunc))
    return op(jnp.vectorize(pyfunc, excluded=frozenset(excluded or ()), signature=signature))


@op
def stop_gradient(variable):
    """The value, without a path for gradients back to where it came from."""
    return tree_map(lambda x: lax.stop_gradient(array(x)), variable)


def custom_gradient(f):
    """Give a function its own gradient.

    Args:
        f: function that returns `(output, grad)`, where `grad(upstream)` returns the gradient of
            the argument (a tuple for several) for the gradient `upstream` of the output. What
            `f` takes from outside gets no gradient, so variables that are trained should be among
            its arguments.

    Example:

    >>> import jax
    >>> @keras.ops.custom_gradient
    ... def log1pexp(x):
    ...     e = keras.ops.exp(x)
    ...     return keras.ops.log(1 + e), lambda upstream: upstream * (1 - 1 / (1 + e))
    >>> float(jax.grad(log1pexp)(0.0))
    0.5
    """

    @functools.wraps(f)
    def call(*args, **kwargs):
        return jax.custom_gradient(functools.partial(f, **kwargs))(*args)

    return op(call)
