"""Connectionist temporal classification: sequences of labels from outputs that aren't aligned.

An alignment gives every step a label or a blank. It writes every label of a sequence once or
several times in a row, with blanks wherever one likes and at least one between equal labels.
"""

import functools

import jax
import jax.numpy as jnp

from ..core.messages import expected, one_of
from ..core.symbolic import op
from ._convert import differ, float_array, widened


@op
def ctc_loss(target, output, target_length, output_length, mask_index=0):
    """`-log p(target | output)` of connectionist temporal classification, over all alignments.

    Args:
        target: class indices, `(batch, length)`.
        output: logits, `(batch, steps, classes)`.
        target_length: how many of the labels count, `(batch,)`.
        output_length: how many of the steps count, `(batch,)`.
        mask_index: the class that means blank.

    Returns:
        One loss per sample, `(batch,)`; huge where no alignment fits.

    Reference:
        [Graves et al., 2006](https://www.cs.toronto.edu/~graves/icml_2006.pdf)

    Example:

    >>> keras.ops.ctc_loss([[1]], np.zeros((1, 2, 2)), [1], [2]).round(4)
    Array([0.2877], dtype=float32)
    """
    target, output = jnp.asarray(target, "int32"), float_array(output)
    target_length = jnp.asarray(target_length, "int32")
    output_length = jnp.asarray(output_length, "int32")
    shapes = target.shape, output.shape, target_length.shape, output_length.shape
    if [len(s) for s in shapes] != [2, 3, 1, 1] or any(
        differ(s[:1], shapes[0][:1]) for s in shapes
    ):
        raise ValueError(
            "ctc_loss expects target (batch, length), output (batch, steps, classes), and "
            f"target_length and output_length (batch,); received shapes {shapes}."
        )
    log_p = jax.nn.log_softmax(widened(output))
    # The states of an alignment: a blank, the first label, a blank, the second label, ..., a blank.
    batch, length = target.shape
    states = jnp.full((batch, 2 * length + 1), mask_index).at[:, 1::2].set(target)
    emitted = jnp.take_along_axis(log_p, states[:, None, :], axis=2)
    # A label may follow another without a blank unless they are equal.
    skips = jnp.pad(states[:, 2:] != states[:, :-2], ((0, 0), (2, 0))) & (states != mask_index)
    never = jnp.asarray(-1e30, log_p.dtype)  # finite, since the gradient of -inf - -inf is NaN

    def shifted(alpha, by):
        return jnp.pad(alpha, ((0, 0), (by, 0)), constant_values=never)[:, : alpha.shape[1]]

    def step(alpha, inputs):
        emitted, active = inputs
        reached = jnp.logaddexp(alpha, shifted(alpha, 1))
        reached = jnp.logaddexp(reached, jnp.where(skips, shifted(alpha, 2), never)) + emitted
        return jnp.where(active[:, None], reached, alpha), None

    steps = jnp.arange(output.shape[1])[:, None] < output_length
    emitted = jnp.swapaxes(emitted, 0, 1)
    start = jnp.where(jnp.arange(states.shape[1]) < 2, emitted[0], never)
    alpha, _ = jax.lax.scan(step, start, (emitted[1:], steps[1:]))
    last = jnp.take_along_axis(alpha, 2 * target_length[:, None], axis=1)[:, 0]
    previous = jnp.take_along_axis(alpha, jnp.maximum(2 * target_length - 1, 0)[:, None], axis=1)[
        :, 0
    ]
    previous = jnp.where(target_length > 0, previous, never)
    return -jnp.logaddexp(last, previous).astype(output.dtype)


@op
def ctc_decode(
    inputs,
    sequence_lengths,
    strategy="greedy",
    beam_width=100,
    top_paths=1,
    merge_repeated=True,
    mask_index=0,
):
    """The labels that a model trained with `ctc_loss` has read.

    Args:
        inputs: logits, `(batch, steps, classes)`.
        sequence_lengths: how many of the steps count, `(batch,)`.
        strategy: `"greedy"`, the labels of the most probable alignment, or `"beam_search"`, the
            most probable labels over all their alignments, as far as the beam is wide enough.
        beam_width: how many sequences a beam search keeps at every step.
        top_paths: how many sequences a beam search returns, at most `beam_width`.
        merge_repeated: whether `"greedy"` counts equal labels in a row once. A beam search always
            does, since it sums over alignments.
        mask_index: the class that means blank; `None` for the last one.

    Returns:
        Tuple `(labels, scores)`. The labels are int32 `(paths, batch, steps)`, best path first,
        with -1 behind the end. The scores, `(batch, paths)`, are log-probabilities of a beam
        search, -inf where it found fewer paths; for `"greedy"`, the only path has minus the sum
        of its logits.

    Reference:
        [Graves et al., 2006](https://www.cs.toronto.edu/~graves/icml_2006.pdf),
        [Hannun et al., 2014](https://arxiv.org/abs/1408.2873) for the beam search

    Example:

    >>> logits = 9 * np.eye(3)[[[1, 1, 0, 1, 2]]]
    >>> keras.ops.ctc_decode(logits, [5], strategy="beam_search")[0]
    Array([[[ 1,  1,  2, -1, -1]]], dtype=int32)
    """
    one_of("strategy", strategy, ("greedy", "beam_search"))
    logits, lengths = widened(float_array(inputs)), jnp.asarray(sequence_lengths, "int32")
    if logits.ndim != 3 or lengths.ndim != 1 or differ(logits.shape[:1], lengths.shape):
        raise ValueError(
            "ctc_decode expects inputs of shape (batch, steps, classes) and sequence_lengths of "
            f"shape (batch,); received {tuple(logits.shape)} and {tuple(lengths.shape)}."
        )
    if not 1 <= top_paths <= beam_width:
        raise ValueError(expected("top_paths", f"from 1 to beam_width={beam_width}", top_paths))
    blank = (-1 if mask_index is None else mask_index) % logits.shape[-1]
    active = jnp.arange(logits.shape[1]) < lengths[:, None]
    if strategy == "greedy":
        return _best_alignment(logits, active, blank, merge_repeated)
    search = functools.partial(_beam_search, blank=blank, width=beam_width, paths=top_paths)
    labels, scores = jax.vmap(search)(jax.nn.log_softmax(logits), active)
    return jnp.swapaxes(labels, 0, 1), scores


def _best_alignment(logits, active, blank, merge_repeated):
    best = jnp.argmax(logits, axis=-1).astype("int32")
    kept = active & (best != blank)
    if merge_repeated:
        kept &= jnp.pad(best[:, 1:] != best[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    order = jnp.argsort(~kept, axis=1, stable=True)  # what is kept moves to the front
    labels = jnp.take_along_axis(jnp.where(kept, best, -1), order, axis=1)
    score = -jnp.sum(jnp.max(logits, axis=-1), axis=1, keepdims=True, where=active)
    return labels[None], score


def _beam_search(log_p, active, blank, width, paths):
    """The `paths` most probable label sequences of one sample, and their log-probabilities.

    A beam is a sequence of labels with two probabilities: those of its alignments that end in a
    blank, and of those that end in its last label. With every step a beam stays as it is or
    grows by a label. One that grows into another adds to it, so that the beams stay distinct.
    """
    steps, classes = log_p.shape
    beam, position, label = jnp.arange(width), jnp.arange(steps), jnp.arange(classes)
    never = jnp.asarray(-jnp.inf, log_p.dtype)

    def step(state, inputs):
        labels, length, in_blank, in_label = state
        log_p, active = inputs
        total = jnp.logaddexp(in_blank, in_label)
        last = jnp.where(length > 0, labels[beam, length - 1], -1)
        # An equal label must be kept apart by a blank.
        grown = jnp.where(label == last[:, None], in_blank[:, None], total[:, None]) + log_p
        grown = jnp.where(label == blank, never, grown)
        # The beam, if any, that grows into this one.
        shortened = jnp.where(position == length[:, None] - 1, -1, labels)
        leads_here = jnp.all(labels[:, None] == shortened, axis=-1) & (total > never)[:, None]
        parent = jnp.argmax(leads_here, axis=0)
        joined = leads_here.any(axis=0) & (length > 0) & (total > never)
        arriving = jnp.where(joined, grown[parent, last], never)
        grown = grown.at[jnp.where(joined, parent, width), last].set(never, mode="drop")
        stays_blank = total + log_p[blank]
        stays_label = jnp.where(length > 0, in_label + log_p[last], never)
        stays_label = jnp.logaddexp(stays_label, arriving)
        # The best of all, numbered by beam and choice: 0 to stay, else 1 + label.
        stays = jnp.logaddexp(stays_blank, stays_label)
        _, best = jax.lax.top_k(jnp.concatenate([stays[:, None], grown], axis=1).ravel(), width)
        source, choice = best // (classes + 1), best % (classes + 1) - 1
        grows = choice >= 0
        end = jnp.where(grows, length[source], steps)
        new = (
            labels[source].at[beam, end].set(choice, mode="drop"),
            length[source] + grows,
            jnp.where(grows, never, stays_blank[source]),
            jnp.where(grows, grown[source, choice], stays_label[source]),
        )
        return jax.tree.map(lambda new, old: jnp.where(active, new, old), new, state), None

    start = (
        jnp.full((width, steps), -1, "int32"),
        jnp.zeros(width, "int32"),
        jnp.where(beam == 0, 0, never),
        jnp.full(width, never),
    )
    (labels, _, in_blank, in_label), _ = jax.lax.scan(step, start, (log_p, active))
    scores, best = jax.lax.top_k(jnp.logaddexp(in_blank, in_label), paths)
    return jnp.where(scores[:, None] > never, labels[best], -1), scores
