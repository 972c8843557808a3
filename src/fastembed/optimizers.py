"""Optimizers: how training changes the weights, with Keras 2.2.4's equations, defaults and names.

A table's gradient comes as `IndexedSlices`, the rows of a batch alone, and a step costs no more than those rows. The
numbers are Keras's all the same: a row that a step has no gradient for moves when it is read or written next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _registry
from ._history import Debt
from ._native import kernels
from ._table_state import StepNumbers, TableState
from .layers.weights import numbers_of, reading, writing

_EPSILON = 1e-7  # Keras's K.epsilon()

# rate, b1, 1 - b1, b2, 1 - b2, epsilon, more, unbias: what the row updates of a step take
Numbers = tuple[float, float, float, float, float, float, float, float]


class Optimizer:
    """Base of all optimizers.

    Args:
        clipnorm: float; gradients are scaled down together so that their common norm is at most this.
        clipvalue: float; each number of a gradient is then cut to [-clipvalue, clipvalue].
        lazy: whether a row of a table stays as it is, with its state, while it has no gradient, as in LazyAdam and
            SparseAdam. That trains to other numbers than Keras; default False, Keras's numbers.

    Raises:
        TypeError: if another keyword is given.
    """

    def __init__(self, **kwargs: Any) -> None:
        for keyword in kwargs:
            if keyword not in ("clipnorm", "clipvalue", "lazy"):
                raise TypeError(f"Unexpected keyword argument passed to optimizer: {keyword}")
        self.clipnorm: float | None = kwargs.get("clipnorm")
        self.clipvalue: float | None = kwargs.get("clipvalue")
        self.lazy = bool(kwargs.get("lazy", False))
        self.iterations = 0
        self._states: list[TableState] = []

    # ── what each optimizer says of itself ───────────────────────────────────────────────────────

    _stores_iterations = True

    def _rule(self) -> str:
        """The name of the row update."""
        raise NotImplementedError

    def _numbers(self) -> Numbers:
        """What the row update takes at the coming step, which is number iterations + 1."""
        raise NotImplementedError

    def _debt(self) -> Debt:
        """What the row update does to a row that has no gradient."""
        return Debt("none")

    def _rate_without_gradient(self, numbers: Numbers) -> float:
        """What such a row moves by, in units of average / size."""
        return numbers[0]

    def _after(self, t: int) -> dict[str, Any]:
        """The optimizer's own attributes after step t."""
        return {"iterations": t}

    # ── steps ────────────────────────────────────────────────────────────────────────────────────

    def build(self, weights: Sequence[Any]) -> None:
        """Make fresh state for weights, in this order, as Keras does when a model is compiled; `iterations` stays."""
        for state in self._states:
            state.settle()
            state.weight.debtor = None
        self._states = [TableState(_weight(weight), self._rule(), self.lazy) for weight in weights]

    def apply_gradients(self, grads_and_weights: Iterable[tuple[Any, Any]]) -> None:
        """Take one step: change weights in place by their gradients.

        Args:
            grads_and_weights: pairs of a gradient (an array of the weight's shape, `IndexedSlices`, or what
                `Embedding.gradient` gives) and a `Weight`, or a built `Embedding` for its table. Penalties' gradients
                are added, then all are clipped, and each weight's constraint is applied to its new value.

        Raises:
            ValueError: if a gradient does not fit its weight; no weight has changed then.
        """
        pairs = [(gradient, self._state(_weight(weight))) for gradient, weight in grads_and_weights]
        clips_norm = self.clipnorm is not None and self.clipnorm > 0
        tables = [state.weight.value for _, state in pairs]
        pairs = [(state.fit(gradient, tables, not clips_norm), state) for gradient, state in pairs]
        clip = self.clipvalue if self.clipvalue is not None and self.clipvalue > 0 else math.inf
        with writing([state.weight for _, state in pairs]):
            numbers = self._numbers()
            rate, scale = self._rate_without_gradient(numbers), self._scale(pairs)
            step = StepNumbers(self.iterations + 1, numbers, rate, scale, clip)
            debt, after = self._debt(), self._after(step.t)
            # a weight that is named twice moves twice; else all or none do, should memory run out
            twice = len({state for _, state in pairs}) < len(pairs)
            for group in [[pair] for pair in pairs] if twice else [pairs]:
                prepared = [state.prepare(gradient, step, debt) for gradient, state in group]
                done = [partial(state.take, one) for one, (_, state) in zip(prepared, group, strict=True)]
                kernels.run_updates([one.update for one in prepared], done)
            self.__dict__.update(after)

    def _state(self, weight: Any) -> TableState:
        for state in self._states:
            if state.weight is weight:
                return state
        self._states.append(TableState(weight, self._rule(), self.lazy))
        return self._states[-1]

    def _scale(self, pairs: Sequence[tuple[Any, TableState]]) -> float:
        """What clipnorm multiplies all gradients with."""
        if self.clipnorm is None or self.clipnorm <= 0:
            return 1.0
        norm = math.sqrt(sum(state.square_sum(gradient) for gradient, state in pairs))
        return self.clipnorm / norm if norm >= self.clipnorm else 1.0

    # ── state and config ─────────────────────────────────────────────────────────────────────────

    def get_weights(self) -> list[NDArray[Any]]:
        """Return copies of the state's arrays in Keras's order: iterations, then each kind of array for all weights."""
        if not self._states:
            return []
        with reading([state.weight for state in self._states]):
            kinds = zip(*(state.arrays() for state in self._states), strict=True)
            arrays: list[NDArray[Any]] = [np.array(self.iterations, np.int64)] if self._stores_iterations else []
        return arrays + [array for kind in kinds for array in kind]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy arrays, in the order of `get_weights`, into the state.

        Raises:
            ValueError, TypeError: if their number or a shape differs, or one is not of numbers; nothing has changed
                then.
            OSError: if a file under one was cut short; nothing has changed then.
        """
        own = self.get_weights()
        if len(own) != len(weights):
            raise ValueError(
                f"Length of the specified weight list ({len(weights)}) does not match the number of weights of the "
                f"optimizer ({len(own)})"
            )
        for array, given in zip(own, weights, strict=True):
            if array.shape != np.shape(given):
                raise ValueError(
                    f"Optimizer weight shape {array.shape} not compatible with provided weight shape {np.shape(given)}"
                )
        arrays = [numbers_of(given) for given in weights]
        iterations = self.iterations
        if self._stores_iterations and own:
            iterations = int(weights[0])
            del arrays[0]
        count = len(self._states)
        with writing([state.weight for state in self._states]):
            for position, state in enumerate(self._states):
                state.set_arrays(arrays[position::count][: len(state.shapes)])
            self.iterations = iterations

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again."""
        clips = {"clipnorm": self.clipnorm, "clipvalue": self.clipvalue}
        config: dict[str, Any] = {name: value for name, value in clips.items() if value is not None}
        return config | ({"lazy": True} if self.lazy else {})

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make an optimizer from what `get_config` gave, here or in a later Keras, where lr is `learning_rate`."""
        arguments = dict(config)
        if "learning_rate" in arguments:
            arguments = {"lr": arguments.pop("learning_rate")} | arguments
        return cls(**arguments)


class _Decaying(Optimizer):
    """An optimizer whose rate falls as 1 / (1 + decay * iterations)."""

    def __init__(self, lr: float, decay: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lr = _f32(lr)
        self.decay = _f32(decay)

    def _rate(self) -> float:
        rate = _f32(self.lr)
        return rate / (1.0 + self.decay * self.iterations) if self.decay > 0 else rate


class SGD(_Decaying):
    """Stochastic gradient descent: ``p -= lr * g``, or with momentum ``v = momentum * v - lr * g; p += v``.

    Args:
        lr: float >= 0, the rate; default 0.01.
        momentum: float >= 0; default 0.0.
        decay: float >= 0; the rate of step t is lr / (1 + decay * (t - 1)); default 0.0.
        nesterov: whether ``p += momentum * v - lr * g`` instead; default False.
        kwargs: as for `Optimizer`.
    """

    def __init__(
        self, lr: float = 0.01, momentum: float = 0.0, decay: float = 0.0, nesterov: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(lr, decay, **kwargs)
        self.momentum = _f32(momentum)
        self.nesterov = nesterov

    def _rule(self) -> str:
        return "sgd"

    def _debt(self) -> Debt:
        momentum = _f32(self.momentum)
        return Debt("momentum", momentum, push=momentum if self.nesterov else 1.0)

    def _numbers(self) -> Numbers:
        return (self._rate(), _f32(self.momentum), 0.0, 0.0, 0.0, 0.0, float(bool(self.nesterov)), 0.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again."""
        return super().get_config() | {
            "lr": _f32(self.lr),
            "momentum": _f32(self.momentum),
            "decay": self.decay,
            "nesterov": self.nesterov,
        }


class RMSprop(_Decaying):
    """``a = rho * a + (1 - rho) * g ** 2; p -= lr * g / (sqrt(a) + epsilon)``.

    Args:
        lr: float >= 0, the rate; default 0.001.
        rho: float >= 0; default 0.9.
        epsilon: float; default None, 1e-7.
        decay: float >= 0; the rate of step t is lr / (1 + decay * (t - 1)); default 0.0.
        kwargs: as for `Optimizer`.
    """

    _stores_iterations = False

    def __init__(
        self, lr: float = 0.001, rho: float = 0.9, epsilon: float | None = None, decay: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(lr, decay, **kwargs)
        self.rho = _f32(rho)
        self.epsilon = _EPSILON if epsilon is None else epsilon

    def _rule(self) -> str:
        return "rmsprop"

    def _debt(self) -> Debt:
        return Debt("decay", _f32(self.rho))

    def _numbers(self) -> Numbers:
        rho = _f32(self.rho)
        return (self._rate(), rho, 1.0 - rho, 0.0, 0.0, self.epsilon, 0.0, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again."""
        return super().get_config() | {
            "lr": _f32(self.lr),
            "rho": _f32(self.rho),
            "decay": self.decay,
            "epsilon": self.epsilon,
        }


class Adagrad(_Decaying):
    """``a += g ** 2; p -= lr * g / (sqrt(a) + epsilon)``.

    Args:
        lr: float >= 0, the rate; default 0.01.
        epsilon: float; default None, 1e-7.
        decay: float >= 0; the rate of step t is lr / (1 + decay * (t - 1)); default 0.0.
        kwargs: as for `Optimizer`.
    """

    _stores_iterations = False

    def __init__(self, lr: float = 0.01, epsilon: float | None = None, decay: float = 0.0, **kwargs: Any) -> None:
        super().__init__(lr, decay, **kwargs)
        self.epsilon = _EPSILON if epsilon is None else epsilon

    def _rule(self) -> str:
        return "adagrad"

    def _numbers(self) -> Numbers:
        return (self._rate(), 0.0, 0.0, 0.0, 0.0, self.epsilon, 0.0, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again."""
        return super().get_config() | {"lr": _f32(self.lr), "decay": self.decay, "epsilon": self.epsilon}


class RowwiseAdagrad(Adagrad):
    """Adagrad with one sum a row of a table in the place of one a value: ``a += mean(g ** 2)``.

    Not in Keras: it trains to other numbers than `Adagrad`, and its state is `output_dim` times as small. A weight of
    one axis has one sum.

    Args:
        lr: float >= 0, the rate; default 0.01.
        epsilon: float; default None, 1e-7.
        decay: float >= 0; the rate of step t is lr / (1 + decay * (t - 1)); default 0.0.
        kwargs: as for `Optimizer`.
    """

    def _rule(self) -> str:
        return "rowwise_adagrad"


class Adadelta(_Decaying):
    """``a`` as RMSprop's; ``u = g * sqrt(d + epsilon) / sqrt(a + epsilon); p -= lr * u``; ``d`` averages ``u ** 2``.

    Args:
        lr: float >= 0, the rate; default 1.0.
        rho: float >= 0; default 0.95.
        epsilon: float; default None, 1e-7.
        decay: float >= 0; the rate of step t is lr / (1 + decay * (t - 1)); default 0.0.
        kwargs: as for `Optimizer`.
    """

    _stores_iterations = False

    def __init__(
        self, lr: float = 1.0, rho: float = 0.95, epsilon: float | None = None, decay: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(lr, decay, **kwargs)
        self.rho = rho
        self.epsilon = _EPSILON if epsilon is None else epsilon

    def _rule(self) -> str:
        return "adadelta"

    def _debt(self) -> Debt:
        return Debt("decay", _f32(self.rho), _f32(self.rho))

    def _numbers(self) -> Numbers:
        return (self._rate(), self.rho, 1.0 - self.rho, 0.0, 0.0, self.epsilon, 0.0, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again."""
        return super().get_config() | {
            "lr": _f32(self.lr),
            "rho": self.rho,
            "decay": self.decay,
            "epsilon": self.epsilon,
        }


class _WithMoments(_Decaying):
    """An optimizer with averages of the gradient and of its size."""

    def __init__(
        self, lr: float, beta_1: float, beta_2: float, epsilon: float | None, decay: float, **kwargs: Any
    ) -> None:
        super().__init__(lr, decay, **kwargs)
        self.beta_1 = _f32(beta_1)
        self.beta_2 = _f32(beta_2)
        self.epsilon = _EPSILON if epsilon is None else epsilon

    def _numbers_at(self, rate: float, more: float = 0.0, unbias: float = 0.0) -> Numbers:
        b1, b2 = _f32(self.beta_1), _f32(self.beta_2)
        return (rate, b1, 1.0 - b1, b2, 1.0 - b2, self.epsilon, more, unbias)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again."""
        return super().get_config() | {
            "lr": _f32(self.lr),
            "beta_1": _f32(self.beta_1),
            "beta_2": _f32(self.beta_2),
            "decay": self.decay,
            "epsilon": self.epsilon,
        }


class Adam(_WithMoments):
    """``p -= lr_t * m / (sqrt(v) + epsilon)``, with averages m of g and v of g ** 2, and lr_t as corrected for bias.

    Args:
        lr: float >= 0, the rate; default 0.001.
        beta_1: float in [0, 1); default 0.9.
        beta_2: float in [0, 1); default 0.999.
        epsilon: float; default None, 1e-7.
        decay: float >= 0; the rate of step t is lr / (1 + decay * (t - 1)); default 0.0.
        amsgrad: whether the largest v so far is used; default False.
        kwargs: as for `Optimizer`.
    """

    def __init__(
        self,
        lr: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = None,
        decay: float = 0.0,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(lr, beta_1, beta_2, epsilon, decay, **kwargs)
        self.amsgrad = amsgrad

    def _rule(self) -> str:
        return "amsgrad" if self.amsgrad else "adam"

    def _debt(self) -> Debt:
        b1, b2 = _f32(self.beta_1), _f32(self.beta_2)
        return Debt("series", b1, b2, size=1.0 if self.amsgrad else math.sqrt(b2))

    def _numbers(self) -> Numbers:
        t = self.iterations + 1
        unbias = math.sqrt(1.0 - _f32(self.beta_2) ** t) / (1.0 - _f32(self.beta_1) ** t)
        return self._numbers_at(self._rate() * unbias)

    def get_weights(self) -> list[NDArray[Any]]:
        """Return copies of the state's arrays in Keras's order: iterations, m, v and v's maximum of all weights."""
        arrays = super().get_weights()
        return arrays if self.amsgrad else arrays + [np.zeros(1, np.float32) for _ in self._states]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again."""
        return super().get_config() | {"amsgrad": self.amsgrad}


class Adamax(_WithMoments):
    """Adam with ``u = max(beta_2 * u, abs(g))`` in the place of ``sqrt(v)``.

    Args:
        lr: float >= 0, the rate; default 0.002.
        beta_1: float in [0, 1); default 0.9.
        beta_2: float in [0, 1); default 0.999.
        epsilon: float; default None, 1e-7.
        decay: float >= 0; the rate of step t is lr / (1 + decay * (t - 1)); default 0.0.
        kwargs: as for `Optimizer`.
    """

    def __init__(
        self,
        lr: float = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = None,
        decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(lr, beta_1, beta_2, epsilon, decay, **kwargs)

    def _rule(self) -> str:
        return "adamax"

    def _debt(self) -> Debt:
        return Debt("series", _f32(self.beta_1), _f32(self.beta_2), size=_f32(self.beta_2))

    def _numbers(self) -> Numbers:
        return self._numbers_at(self._rate() / (1.0 - _f32(self.beta_1) ** (self.iterations + 1)))


class Nadam(_WithMoments):
    """Adam with Nesterov momentum.

    Args:
        lr: float >= 0, the rate; default 0.002.
        beta_1: float in [0, 1); default 0.9.
        beta_2: float in [0, 1); default 0.999.
        epsilon: float; default None, 1e-7.
        schedule_decay: float; how fast the momentum rises to beta_1; default 0.004.
        kwargs: as for `Optimizer`.
    """

    def __init__(
        self,
        lr: float = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = None,
        schedule_decay: float = 0.004,
        **kwargs: Any,
    ) -> None:
        super().__init__(lr, beta_1, beta_2, epsilon, 0.0, **kwargs)
        self.schedule_decay = schedule_decay
        self.m_schedule = 1.0  # the product of the momenta so far; as in Keras, no part of get_weights

    def _rule(self) -> str:
        return "nadam"

    def _debt(self) -> Debt:
        b1, b2 = _f32(self.beta_1), _f32(self.beta_2)
        return Debt("series", b1, b2, size=math.sqrt(b2), steady=b2)

    def _rate_without_gradient(self, numbers: Numbers) -> float:
        return numbers[6] / math.sqrt(numbers[7])

    def _momentum(self, t: int) -> float:
        return float(_f32(self.beta_1) * (1.0 - 0.5 * 0.96 ** (t * self.schedule_decay)))

    def product_of_momenta(self) -> float:
        """Return what `m_schedule` is after `iterations` steps: Keras 2.2.4 and tf_keras do not save it."""
        product = 1.0
        for t in range(1, self.iterations + 1):
            product *= self._momentum(t)
            if product < 1e-45 or t == 10**6:  # no float32 is smaller
                break
        return product

    def _numbers(self) -> Numbers:
        t = self.iterations + 1
        now, soon = self._momentum(t), self._momentum(t + 1)
        product = self.m_schedule * now
        rate = _f32(self.lr)
        of_gradient = rate * (1.0 - now) / (1.0 - product)
        of_average = rate * soon / (1.0 - product * soon)
        return self._numbers_at(of_gradient, of_average, 1.0 / (1.0 - _f32(self.beta_2) ** t))

    def _after(self, t: int) -> dict[str, Any]:
        return super()._after(t) | {"m_schedule": self.m_schedule * self._momentum(t)}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again."""
        config = super().get_config()
        del config["decay"]
        return config | {"schedule_decay": self.schedule_decay}


_NAMES: _registry.Names = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "rowwiseadagrad": RowwiseAdagrad,
    "adadelta": Adadelta,
    "adam": Adam,
    "adamax": Adamax,
    "nadam": Nadam,
}


def _f32(value: Any) -> float:
    """The float32 nearest to a number: Keras keeps most of an optimizer's numbers as such."""
    return float(np.float32(value))


def _weight(weight: Any) -> Any:
    """The `Weight` itself, or the table of a layer."""
    if hasattr(weight, "value"):
        return weight
    if not getattr(weight, "built", False) or len(weight.weights) != 1:
        raise ValueError(f"A gradient needs a weight, or a built layer that has one. Received: {weight!r}.")
    return weight.weights[0]


def serialize(optimizer: Any) -> _registry.Config | str | None:
    """Give the config of an optimizer: ``{"class_name": ..., "config": ...}``."""
    return _registry.serialize(optimizer)


def deserialize(config: Any, custom_objects: _registry.Names | None = None) -> Any:
    """Make an optimizer from its config; the names of those here are known in upper and lower case."""
    if isinstance(config, dict) and str(config.get("class_name")).lower() in _NAMES:
        config = config | {"class_name": str(config["class_name"]).lower()}
    return _registry.deserialize(config, _NAMES, "optimizer", custom_objects)


def get(identifier: Any) -> Any:
    """Turn a name, a config or an optimizer into an optimizer.

    Raises:
        ValueError: if the name is unknown or `identifier` is none of these.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        identifier = {"class_name": identifier, "config": {}}
    if isinstance(identifier, dict):
        return deserialize(identifier)
    raise ValueError(f"Could not interpret optimizer identifier: {identifier}")
