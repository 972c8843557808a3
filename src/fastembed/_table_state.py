"""What an optimizer keeps of one weight: its state, and when each row of a table was last visited.

Keras visits every row of a table at every step. Here a step visits the rows that have a gradient; the others owe what
the step would have done to them, which is known in advance, and pay it all at once at their next visit.
"""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import constraints, regularizers
from ._history import LIMIT, Coming, Debt, History
from ._native import kernels
from ._native.kernels import RowSums
from .ops import IndexedSlices, _check

_NO_NORM = (0, 0.0, 0.0, 0.0)


class StepNumbers(NamedTuple):
    """What a step is, the same for all weights."""

    t: int  # 1 for the first
    numbers: tuple[float, ...]  # fe_numbers of steps.h
    rate: float  # what average / size is multiplied with where there is no gradient
    scale: float = 1.0  # of gradients, for clipnorm
    clip: float = float("inf")  # clipvalue


class Prepared(NamedTuple):
    """A step of one weight that only has to be taken: `kernels.run_updates`, then `TableState.take`."""

    update: Any  # from `kernels.prepare_update`
    coming: Coming | None  # in the history
    plain: Any  # the new `TableState._plain`
    after: Any  # what the constraint does to the whole weight, or None


class TableState:
    """An optimizer's arrays for one weight, and the steps on it.

    Args:
        weight: the `Weight`; its axes after the first are taken as one.
        rule: name of the row update, see steps.h.
        lazy: whether rows without a gradient owe nothing.
    """

    def __init__(self, weight: Any, rule: str, lazy: bool = False) -> None:
        self.weight = weight
        self.rule = rule
        self.lazy = lazy
        self._rows = weight.shape[0] if len(weight.shape) > 1 else 1
        self._dim = weight.value.size // self._rows if self._rows else 0
        self._states = kernels.RULES[rule][1]
        self._width = 1 if rule == "rowwise_adagrad" else self._dim
        self._state: NDArray[np.float32] | None = None
        self._last: NDArray[np.int32] | None = None
        self._history: History | None = None
        self._zeros = np.zeros(self._dim, np.float32)
        self._plain: tuple[IndexedSlices, StepNumbers] | None = None  # SGD's last step, instead of a velocity
        self._non_negative = False
        self._held = False  # whether no value is negative, where there is that constraint
        self._frozen: NDArray[np.bool_] | None = None

    def __getstate__(self) -> dict[str, Any]:
        with self._settling():
            self.settle()
            own = {name: copy.deepcopy(getattr(self, name)) for name in ("_state", "_last", "_history")}
        return self.__dict__ | own

    def _settling(self) -> AbstractContextManager[None]:
        return kernels.settling([self.weight.guard])

    # ── steps ────────────────────────────────────────────────────────────────────────────────────

    def fit(self, gradient: Any, tables: list[NDArray[np.float32]], once: bool) -> Any:
        """The gradient, when it fits the weight: rising rows in memory that no one else has, or a whole array.

        Its numbers stay as they are while the step is taken, and after it where a velocity may be made of them.

        Args:
            tables: all that the step writes.
            once: whether only the step itself needs the gradient. RowSums then stay what they are, where they do not
                read what is written.

        Raises:
            ValueError: if its shape is another one.
            IndexError: if an index is outside the table.
            OSError: if a file under it was cut short.
        """
        weight = self.weight
        slices, is_ours = isinstance(gradient, (IndexedSlices, RowSums)), False
        shape = tuple(gradient.dense_shape) if slices else np.shape(gradient)
        if shape != weight.shape:
            raise ValueError(f"The gradient of {weight.name} must have shape {weight.shape}. Received: shape {shape}.")
        if isinstance(gradient, RowSums):
            alone = once and weight.frozen is None and weight.regularizer is None
            if alone and not any(gradient.reads(table) for table in tables):
                return gradient
            gradient, is_ours = gradient.summed(), True
        if not isinstance(gradient, IndexedSlices):
            return _lasting(gradient, tables)
        values, indices = gradient.values, np.asarray(gradient.indices)
        count = indices.shape[:1]
        if indices.ndim != 1 or values.shape != count + shape[1:] or len(shape) < 2:
            raise ValueError(
                f"The gradient of {weight.name} must have a row of values for each index. Received: values of shape "
                f"{values.shape}, indices of shape {indices.shape}."
            )
        rows = kernels.rising_rows(indices, shape[0])
        keeps = self.rule == "sgd" and self._state is None and rows is not None and not is_ours
        values = _lasting(values, tables, keeps)
        if rows is None:
            values = values.reshape(len(indices), self._dim)
            values, rows, _ = kernels.embedding_row_sums(indices, values, shape[0], function="").summed()
        frozen = weight.frozen
        if frozen is not None and frozen[rows].any():
            keep = ~frozen[rows]
            values, rows = values[keep], rows[keep]
        penalty = weight.regularizer
        if penalty is None or isinstance(penalty, regularizers.L1L2):
            return IndexedSlices(values, rows, shape)
        return IndexedSlices(values, rows, shape).to_dense()

    def penalised(self, gradient: Any) -> tuple[Any, float, float]:
        """The gradient, and factors of sign(p) and of p that the weight's penalty adds to it."""
        penalty = self.weight.regularizer
        if penalty is None:
            return gradient, 0.0, 0.0
        if isinstance(penalty, regularizers.L1L2) and type(penalty).gradient is regularizers.L1L2.gradient:
            return gradient, float(penalty.l1), float(np.float32(2) * penalty.l2)
        if not hasattr(penalty, "gradient"):
            raise ValueError(
                f"The regularizer of {self.weight.name} must have a method `gradient`, which gives the derivative of "
                f"its penalty. Received: {penalty!r}."
            )
        self.settle()
        if isinstance(gradient, IndexedSlices):
            gradient = gradient.to_dense()
        return gradient + penalty.gradient(self.weight.value), 0.0, 0.0

    def square_sum(self, gradient: Any) -> float:
        """The sum of squares of the gradient with its penalty, over rows that are not frozen."""
        gradient, l1, l2 = self.penalised(gradient)
        if isinstance(gradient, IndexedSlices) and not (l1 or l2):
            return _square_sum(gradient.values)
        self.settle()
        total = 0.0
        table = self.weight.value.reshape(self._rows, self._dim)
        slices = isinstance(gradient, IndexedSlices)
        # by parts: no array of the table's size
        part = max((1 << 20) // max(self._dim, 1), 1)
        for begin in range(0, self._rows, part):
            p = table[begin : begin + part]
            if slices:
                first, last = np.searchsorted(gradient.indices, [begin, begin + len(p)])
                g = np.zeros_like(p)
                g[gradient.indices[first:last] - begin] = gradient.values[first:last].reshape(-1, self._dim)
            else:
                g = gradient.reshape(table.shape)[begin : begin + part]
            g = g + (np.float32(l1) * np.sign(p) + np.float32(l2) * p)
            if self.weight.frozen is not None:
                g = g[~self.weight.frozen[begin : begin + part]]
            total += _square_sum(g)
        return total

    def prepare(self, gradient: Any, step: StepNumbers, debt: Debt) -> Prepared:
        """Do all that may fail of a step with a gradient that `fit` gave; the weight and its state stay as they are."""
        gradient, l1, l2 = self.penalised(gradient)
        sparse = not isinstance(gradient, np.ndarray)
        norm, after = self._constraint()
        every_row = bool(l1 or l2 or norm[0] or after is not None)
        if self.lazy:
            debt = Debt("none")
        self._freeze()
        rule, plain = self.rule, None
        if rule == "sgd" and self._state is None and step.numbers[1] == 0 and sparse and not every_row:
            rule, plain = "plain", step
        else:
            self._make_state()
        if self._last is None and sparse and not every_row and debt.kind != "none" and plain is None:
            self._start_clock(debt)
        history, coming = self._history, None
        if history is not None:
            if history.debt != debt or history.clock + 2 >= LIMIT:
                self._settle(None)
                history = self._start_clock(debt)
            coming = history.prepare(step.numbers, step.rate, step.t)
        self._non_negative = type(self.weight.constraint) is constraints.NonNeg
        if self._non_negative or (history is not None and debt.moves and sparse and not every_row):
            self._owe()
        numbers = np.array([step.numbers], np.float32) if history is None else history.numbers
        arrays = self._arrays(rule, numbers, coming)
        sums = (None, None) if coming is None else (coming.sums, coming.gains)
        update = kernels.prepare_update(
            *(*arrays, gradient, every_row, l1, l2, step.scale, step.clip, norm, *sums)
        )
        return Prepared(update, coming, plain and (update.gradient, plain), after)

    def take(self, prepared: Prepared) -> None:
        """Count a step whose update was run, and apply the constraint."""
        self._plain = prepared.plain
        if prepared.coming is not None and self._history is not None:
            self._history.take(prepared.coming)
        if self._non_negative and not self._held:
            # rows out of the batch too, once: after that no step without a gradient makes a value negative
            np.maximum(self.weight.value, 0, out=self.weight.value, where=self._moving())
            self._held = True
        if prepared.after is not None:
            prepared.after()

    def _owe(self) -> None:
        if self.weight.debtor is not self:
            self.weight.settle()
            self.weight.debtor = self

    def _make_state(self) -> NDArray[np.float32]:
        if self._state is None:
            state = np.zeros((self._rows, self._states, self._width), np.float32)
            if self._plain is not None:
                state[self._plain[0].indices, 0] = self._velocity()
            self._state, self._plain = state, None
        return self._state

    def _start_clock(self, debt: Debt) -> History:
        # all that takes memory first: an error leaves everything as it was
        history = self._history
        if history is None or history.debt != debt:
            history = History(debt)
        if self._last is None:
            assert self._state is not None
            self._last = np.full(self._rows, bool(self._state.any()), np.int32)
        else:
            np.minimum(self._last, 1, out=self._last)
        if self._frozen is not None:
            self._last[self._frozen] = 0  # they owe nothing
        history.restart()
        self._history = history
        return history

    def _arrays(self, rule: str, numbers: NDArray[np.float32], coming: Coming | None = None) -> tuple[Any, ...]:
        history = self._history
        of_table = (self.weight.value, self._state, self._frozen, rule, self._last)
        if history is None:
            return (*of_table, 0, numbers, None, None, 0, 0, self._zeros, self._non_negative)
        series_from = history.series_from if history.series is not None else LIMIT
        return (
            *of_table,
            history.clock if coming is None else coming.clock,
            numbers,
            history.powers,
            history.series,
            series_from,
            history.cutoff,
            self._zeros,
            self._non_negative,
        )

    # ── debts ────────────────────────────────────────────────────────────────────────────────────

    def settle(self, ids: Any = None) -> None:
        """Pay what the rows of these ids owe, or all rows.

        Raises:
            IndexError: if an id is outside the table.
        """
        with self._settling():
            self._settle(ids)
            if ids is None:
                # whoever has everything settled may write to the weight next
                self._held = False
                if self.weight.debtor is self:
                    self.weight.debtor = None

    def _settle(self, ids: Any) -> None:
        history = self._history
        if history is None or self._last is None:
            return
        kernels.settle_rows(*(*self._arrays(self.rule, history.numbers), ids))

    # ── frozen rows ──────────────────────────────────────────────────────────────────────────────

    def _freeze(self) -> None:
        """Take notice of rows frozen since the last step: they have no state from now on."""
        frozen = self.weight.frozen
        if frozen is self._frozen:
            return
        self._settle(None)
        self._frozen = frozen
        self._held = False
        if frozen is not None:
            if self._state is not None:
                self._state[frozen] = 0
            if self._last is not None:
                self._last[frozen] = 0
            if self._plain is not None:
                (values, rows, shape), step = self._plain
                self._plain = IndexedSlices(values[~frozen[rows]], rows[~frozen[rows]], shape), step

    def _moving(self) -> Any:
        return True if self._frozen is None else ~self._frozen[:, None]

    # ── constraints ──────────────────────────────────────────────────────────────────────────────

    def _constraint(self) -> tuple[tuple[int, float, float, float], Any]:
        """How the kernel holds each row's norm; and what else is to be done to the whole weight after a step."""
        constraint = self.weight.constraint
        if constraint is None or type(constraint) is constraints.NonNeg:
            return _NO_NORM, None
        kind, low, high, rate = 0, 0.0, float("inf"), 1.0
        if type(constraint) is constraints.UnitNorm:
            kind = 2
        elif type(constraint) is constraints.MaxNorm:
            kind, high = 1, _high(0.0, constraint.max_value)
        elif type(constraint) is constraints.MinMaxNorm:
            kind, low, rate = 1, constraint.min_value, constraint.rate
            high = _high(low, constraint.max_value)
        if kind and len(self.weight.shape) == 2:
            if constraint.axis in (1, -1, [1], (1,)):
                return (kind, low, high, rate), None
            if constraint.axis in (0, -2, [0], (0,)):
                return _NO_NORM, lambda: self._hold_columns(kind, low, high, rate)
        return _NO_NORM, self._hold

    def _hold_columns(self, kind: int, low: float, high: float, rate: float) -> None:
        norms = np.sqrt(kernels.column_squares(self.weight.value, self._frozen)).astype(np.float32)
        divisors = np.float32(1e-7) + norms
        if kind == 1:
            wanted = rate * np.clip(norms, np.float32(low), np.float32(high)) + (1 - rate) * norms
            divisors = (wanted / divisors).astype(np.float32)
        kernels.scale_columns(self.weight.value, self._frozen, divisors, kind == 2)

    def _hold(self) -> None:
        """Any other constraint, which sees the whole weight."""
        held = self.weight.constraint(self.weight.value)
        np.copyto(self.weight.value, held, where=self._moving())

    # ── state in and out ─────────────────────────────────────────────────────────────────────────

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of what `arrays` gives."""
        return [self.weight.shape if self._width == self._dim else (self._rows,)] * self._states

    def arrays(self) -> list[NDArray[np.float32]]:
        """Copies of the state's arrays, each of the weight's shape, with nothing owed."""
        self.settle()
        with self._settling():
            if self._width != self._dim:
                return [np.zeros(self._rows, np.float32) if self._state is None else self._state[:, 0, 0].copy()]
            shape = self.weight.shape
            if self._state is not None:
                return [self._state[:, row].reshape(shape).copy() for row in range(self._states)]
            arrays = [np.zeros(shape, np.float32) for _ in range(self._states)]
            if self._plain is not None:
                rows = self._plain[0].indices
                arrays[0][rows] = self._velocity().reshape(len(rows), *shape[1:])
            return arrays

    def set_arrays(self, arrays: Any) -> None:
        """Copy arrays into the state."""
        self.settle()
        with self._settling():
            self._plain = None
            self._freeze()
            state = self._make_state()
            for row, given in enumerate(arrays):
                state[:, row] = np.asarray(given).reshape(self._rows, self._width)
            if self._frozen is not None:
                state[self._frozen] = 0
            if self._last is not None and self._history is not None:
                self._last[:] = 1
                self._start_clock(self._history.debt)

    def _velocity(self) -> NDArray[np.float32]:
        """What SGD without momentum has as velocity: its last move."""
        assert self._plain is not None
        (values, _, _), step = self._plain
        g = values.reshape(len(values), self._dim) * np.float32(step.scale)
        velocity: NDArray[np.float32] = np.clip(g, np.float32(-step.clip), np.float32(step.clip))
        velocity *= np.float32(-step.numbers[0])
        return velocity


def _lasting(given: Any, tables: list[NDArray[np.float32]], keeps: bool = False) -> NDArray[np.float32]:
    """Numbers as float32, C-contiguous, which stay what they are while the tables are written; a copy, if `keeps`."""
    _check.watch(given)
    array = (np.array if keeps else np.asarray)(given, np.float32, order="C")
    if not (array.flags.aligned and kernels.stays(array, tables)):
        array = array.copy()
    kernels.check_whole(given)
    return array


def _square_sum(values: NDArray[np.float32]) -> float:
    flat = values.reshape(-1)
    part = 1 << 16
    return sum(
        float(np.sum(np.square(flat[begin : begin + part], dtype=np.float64))) for begin in range(0, len(flat), part)
    )


def _high(low: float, high: float | None) -> float:
    return float("inf") if high is None else max(low, high)
