"""`Embedding`: ids to rows of a table, as in Keras 2.2.4."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import constraints, initializers, regularizers
from .._native.kernels import Guard, check_whole, embedding_row_sums
from .._word_rows import copy_rows
from ..io.atomic import Path
from ..ops._check import watch, whole_ids
from ..ops._tables import new_table
from ._legacy import legacy_embedding_arguments
from ._pretrained import pretrained_table
from .input_spec import Shape, as_shape
from .layer import Layer, building
from .step import Step
from .weights import Weight, check_weights, draw_seed


class Embedding(Layer):
    """Turn ids into rows of a table of `input_dim` rows and `output_dim` columns::

        layer = Embedding(6, 2, weights=[table])
        layer(np.array([[1, 2, 3], [2, 1, 0]]))  # rows, shape (2, 3, 2)

    Args:
        input_dim: int >= 0, the number of rows: the largest id + 1.
        output_dim: int >= 0, the number of columns.
        embeddings_initializer: name, config or callable that makes the table; default ``"uniform"``.
        embeddings_regularizer: the table's penalty in training; default None.
        activity_regularizer: the outputs' penalty in training; default None.
        embeddings_constraint: what training makes of a new table; default None.
        mask_zero: whether id 0 is padding, for which `compute_mask` gives False; default False.
        input_length: int, or a tuple for ids of more dimensions, None among them for any size: the shape of one
            sample, which inputs are then checked against; default None, any shape.
        kwargs: as for `Layer`; ``weights=[table]`` wins over the initializer and is copied once, ``trainable=False``
            freezes the table. Keras 1's ``init``, ``W_regularizer``, ``W_constraint`` and ``dropout`` warn.

    Input shape:
        Any: integers in [0, input_dim), or floats that are such numbers exactly.

    Output shape:
        The input's shape + (output_dim,), float32.

    Raises:
        TypeError: if more than two arguments are positional, a keyword is unknown, or a dim is no number.
        ValueError: if a dim is negative or not whole, or a name is unknown.
    """

    _table: NDArray[np.float32]  # (input_dim, output_dim); there is none before the layer is built
    _weight: Weight  # whose value the table is
    _guard: Guard  # the weight's

    @legacy_embedding_arguments
    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        activity_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: Any = False,
        input_length: int | Sequence[int | None] | None = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" not in kwargs:
            kwargs["input_shape"] = _lengths(input_length) if input_length else (None,)
        super().__init__(**kwargs)
        self.input_dim = _dim("input_dim", input_dim)
        self.output_dim = _dim("output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.input_length = input_length
        # What `__call__` may gather at once: nothing, or ids whose samples have this shape (None: any).
        self._direct = False
        self._direct_shape: Shape | None = None
        self._holds_given = False  # whether the given table itself is to be the layer's

    @classmethod
    def from_pretrained(
        cls,
        pretrained: Any,
        *,
        trainable: bool = False,
        mask_zero: bool = False,
        tensor: str | None = None,
        **kwargs: Any,
    ) -> Embedding:
        """Return a layer, built, with a table that there is already; it is copied once, in blocks::

            layer = Embedding.from_pretrained("glove.safetensors")
            layer = Embedding.from_pretrained(vectors, mask_zero=True)

        Args:
            pretrained: numbers (V, D), mapped ones too; a `KeyedVectors`, or gensim's; or the path of a file that
                `load_table` reads.
            trainable, mask_zero, kwargs: as for `Embedding`.
            tensor: which table of a file that holds several; default None, its only one.

        Raises:
            TypeError: `pretrained` is no such thing, or ``weights=`` is given too.
            ValueError: it has not two dimensions, or `tensor` comes without a path. As from `load_table`, for a path.
        """
        if "weights" in kwargs:
            raise TypeError("`from_pretrained` takes the table as `pretrained`: `weights` must be left out.")
        table = pretrained_table(pretrained, tensor)
        return cls.holding(table, trainable=trainable, mask_zero=mask_zero, **kwargs)

    @classmethod
    def holding(cls, table: NDArray[np.float32], **kwargs: Any) -> Embedding:
        """Return a layer, built, whose table is this very array: float32 (V, D), C-contiguous, which nobody else uses.

        Training writes to it, unless ``trainable=False``. `kwargs` as for `Embedding`.
        """
        layer = cls(table.shape[0], table.shape[1], **kwargs)
        layer._initial_weights = [table]
        layer._holds_given = True
        layer.build(None)
        return layer

    def build(self, input_shape: Any) -> None:
        """Make the table, from ``weights=`` where given; a second call changes nothing. `input_shape` is not used.

        Raises:
            ValueError: if ``weights=`` does not fit, or ``dtype=`` is not float32.
        """
        with building():
            if not self.built:
                self._build()

    def _build(self) -> None:
        shape = (self.input_dim, self.output_dim)
        initializer = self.embeddings_initializer
        if self._initial_weights is not None:
            check_weights(self.name, self._initial_weights, [shape])
            draw_seed(initializer)
            initializer = (_Given if self._holds_given else _CopyOf)(self._initial_weights[0])
        self._table = self.add_weight(
            "embeddings",
            shape,
            self._table_dtype,
            initializer,
            self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        self._weight = next(weight for weight in self.weights if weight.value is self._table)
        self._guard = self._weight.guard
        self._initial_weights = None
        self.built = True
        lengths = None if self.input_length is None else _lengths(self.input_length)
        known = lengths is None or (lengths != () and None not in lengths)
        self._direct = known and type(self).call is Embedding.call
        self._direct_shape = lengths

    # Without **kwargs, which would cost every call 0.06 of its 0.45 µs.
    def __call__(self, inputs: Any, mask: Any = None) -> Any:  # type: ignore[override]
        """Return the rows of an array of ids, and build the layer first where needed.

        Args:
            inputs: integers of any shape, lists too; floats, where all are whole numbers that float holds exactly.
            mask: not used.

        Returns:
            float32, ``inputs.shape + (output_dim,)``.

        Raises:
            IndexError: if an id is outside [0, input_dim); the text begins with its place.
            TypeError: if the ids are not numbers, or bool.
            ValueError: if a float is not such a number, or the shape does not fit `input_length`.
        """
        if self._direct:
            shape = self._direct_shape
            if shape is None or (type(inputs) is np.ndarray and inputs.shape[1:] == shape):
                try:
                    return self._guard.gather(self._table, inputs)
                except TypeError:
                    pass  # not integers: what follows converts whole floats and words the error for others
        if not isinstance(inputs, np.ndarray):
            inputs = np.asarray(inputs)
        if self.input_length is not None:
            self.compute_output_shape(inputs.shape)  # checks it
        return super().__call__(inputs, mask)

    def call(self, inputs: Any) -> NDArray[np.float32]:
        """Return the rows of an array of ids; the layer must be built. As `__call__`, without checking the shape."""
        return self._guard.gather(self._table, exact_ids(inputs))

    def backward(self, output_gradient: Any, step: Step) -> None:
        """Hand over the gradient of the rows that were read; ids have none."""
        if step.wants(self._table):
            deferred = {"deferred": True} if step.deferred and type(self).gradient is Embedding.gradient else {}
            step.add_gradient(self._table, self.gradient(step.inputs, output_gradient, **deferred))

    def gradient(self, ids: Any, output_gradient: Any, *, deferred: bool = False) -> Any:
        """Return the gradient of a loss with respect to the table, as rows, for those who train elsewhere::

            rows = layer(ids)
            ...  # your network and loss, which give the loss's gradient with respect to `rows`
            optimizer.apply_gradients([(layer.gradient(ids, rows_gradient), layer)])

        Args:
            ids: as in the call; the layer must be built.
            output_gradient: array of the shape of the rows, ``ids.shape + (output_dim,)``.
            deferred: whether to leave the sums to the optimizer, which makes them while it takes the step: faster, but
                `output_gradient` must not change before that. Default False.

        Returns:
            `IndexedSlices`: the sum of each used row's gradients, the rows' ids, unique and sorted, and the table's
            shape. With `deferred`: an object for `apply_gradients`, whose `summed()` gives them.

        Raises:
            IndexError: if an id is outside [0, input_dim).
            ValueError: if the shapes do not fit.
        """
        if np.ma.isMA(output_gradient) or np.asarray(output_gradient).dtype.kind not in "iuf":
            output_gradient = np.asarray(output_gradient, np.float32)  # bfloat16, say
        sums = embedding_row_sums(exact_ids(ids), output_gradient, self.input_dim)
        return sums if deferred else sums.summed()

    def freeze_rows(self, rows: Any) -> None:
        """Leave rows of the table alone in training from now on: no optimizer, penalty or constraint moves them.

        Args:
            rows: ids of rows, or a bool array (input_dim,), True for those to freeze. Rows frozen before stay so.

        Raises:
            ValueError: if the layer is not built, or a bool array has another shape.
            IndexError: if an id is outside [0, input_dim).
        """
        self._built_weight().freeze_rows(rows)

    def unfreeze_rows(self, rows: Any = None) -> None:
        """Let training move rows again; default all. They begin without optimizer state.

        Args:
            rows: as for `freeze_rows`, or None.

        Raises:
            ValueError: if the layer is not built, or a bool array has another shape.
            IndexError: if an id is outside [0, input_dim).
        """
        self._built_weight().unfreeze_rows(rows)

    def _built_weight(self) -> Weight:
        if "_weight" not in self.__dict__:
            raise ValueError(f'Layer "{self.name}" must be built before rows are frozen: it has no table yet.')
        return self._weight

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """The table, (input_dim, output_dim), itself; training changes it in place.

        A row that a training step does not use may move later, when it is next needed: an array kept across training
        steps may lag. Reading this attribute again brings it up to date. While other threads write the table, calls of
        the layer and `get_weights` see one version of it; who reads this array sees what is being written.

        Raises:
            AttributeError: if the layer is not built.
        """
        if "_table" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'embeddings'")
        self._weight.settle()
        return self._table

    def compute_mask(self, inputs: Any, mask: Any = None) -> NDArray[np.bool_] | None:
        """Return where ids are not 0, True meaning that a row counts; None unless `mask_zero`. `mask` is not used.

        Raises:
            TypeError: if the ids are not numbers, or bool.
        """
        if not self.mask_zero:
            return None
        ids = np.asarray(inputs)
        if ids.dtype.kind not in "iufO":
            raise TypeError(f"`ids` must be integers. Received: dtype {ids.dtype}.")
        watch(ids)
        counts = np.asarray(ids != 0)
        check_whole(ids)
        return counts

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return ``input_shape + (output_dim,)``, with what `input_length` knows filled in.

        Raises:
            ValueError: if the shape does not fit `input_length`.
        """
        if self.input_length is None:
            return input_shape + (self.output_dim,)  # noqa: RUF005 (a list is an error, as in Keras)
        lengths = _lengths(self.input_length)
        fits = len(lengths) == len(input_shape) - 1 and all(
            length is None or size is None or length == size
            for length, size in zip(lengths, input_shape[1:], strict=True)
        )
        if not fits:
            raise ValueError(f'"input_length" is {self.input_length}, but received input has shape {input_shape}')
        sample = [size if length is None else length for length, size in zip(lengths, input_shape[1:], strict=True)]
        return (input_shape[0], *sample, self.output_dim)

    @classmethod
    def from_keras_file(cls, path: Path, name: str | None = None) -> Any:
        """Make the layer, built and with its table, from a Keras file of any version::

            layer = Embedding.from_keras_file("model.h5")

        The model may be of any kind, nested, and of layers that are unknown here. `mask_zero`, `trainable` and the
        other arguments come along where the file has a config.

        Args:
            path: of a .h5, .weights.h5 or .keras file.
            name: of the layer, or the table's path in the file; needed if there are several.

        Raises:
            ValueError: if there are several and no name, none that is known as an Embedding's, or none of that name;
                the text lists what there is.
            FormatError: if the file is damaged or of another kind, holds no table, or one of numbers too large for
                float32.
            OSError: if it is not to be read.
        """
        from .._loading import load_embedding  # here and not at the top: needed by few

        return load_embedding(cls, path, name)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, without its table."""
        return super().get_config() | {
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
            "input_length": self.input_length,
        }


def exact_ids(ids: Any) -> NDArray[Any]:
    """Return ids as an array, floats that are whole numbers as int64.

    Raises:
        ValueError: if a float is no such number.
    """
    ids = ids if isinstance(ids, np.ndarray) else np.asarray(ids)
    return whole_ids(ids) if ids.dtype.kind == "f" else ids


class _CopyOf(initializers.Initializer):
    """The one copy that ``weights=[table]`` costs."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> NDArray[np.float32]:
        table = new_table(shape)
        copy_rows(table, self.table)
        return table


class _Given(_CopyOf):
    """A table that is the layer's own from now on."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> NDArray[np.float32]:
        table: NDArray[np.float32] = self.table
        return table


def _lengths(input_length: int | Sequence[int | None]) -> Shape:
    return as_shape(input_length if isinstance(input_length, (list, tuple)) else (input_length,))


def _dim(name: str, value: Any) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"`{name}` must be an integer >= 0. Received: {value!r} ({type(value).__name__}).")
    if not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(f"`{name}` must be an integer >= 0. Received: {value!r}.")
    return operator.index(value)
