"""Where a layer stands: the shapes of its input and output at each place it has in models."""

from __future__ import annotations

from .input_spec import Shape

INPUT, OUTPUT = 0, 1
_NAMES = ("input", "output")


class Places:
    """The (input shape, output shape) of each place in a model or, while there is none, of the first call."""

    def __init__(self) -> None:
        self._in_models: list[tuple[Shape, Shape]] = []
        self._first_call: tuple[Shape, Shape] | None = None

    def add(self, input_shape: Shape, output_shape: Shape) -> None:
        """Note one more place in a model."""
        self._in_models.append((input_shape, output_shape))

    def note_call(self, input_shape: Shape, output_shape: Shape) -> None:
        """Note the first call on an array."""
        self._first_call = (input_shape, output_shape)

    @property
    def called(self) -> bool:
        """Whether the layer was called on an array."""
        return self._first_call is not None

    def only(self, end: int, layer_name: str) -> Shape:
        """Return the one shape that all places have at this end, `INPUT` or `OUTPUT`.

        Raises:
            AttributeError: if there is no place, or there are several shapes.
        """
        shapes = {place[end] for place in self._all()}
        if not shapes:
            raise AttributeError(_never_called(end))
        if len(shapes) > 1:
            which = _NAMES[end]
            raise AttributeError(
                f'The layer "{layer_name} has multiple inbound nodes, with different {which} shapes. Hence the notion '
                f'of "{which} shape" is ill-defined for the layer. Use `get_{which}_shape_at(node_index)` instead.'
            )
        return shapes.pop()

    def at(self, end: int, index: int) -> Shape:
        """Return the shape that a place has at this end.

        Raises:
            RuntimeError: if there is no place.
            ValueError: if there are fewer.
        """
        places = self._all()
        if not places:
            raise RuntimeError(_never_called(end))
        if index >= len(places):
            raise ValueError(
                f"Asked to get {_NAMES[end]} shape at node {index}, but the layer has only {len(places)} inbound nodes."
            )
        return places[index][end]

    def _all(self) -> list[tuple[Shape, Shape]]:
        return self._in_models or ([] if self._first_call is None else [self._first_call])


def _never_called(end: int) -> str:
    return f"The layer has never been called and thus has no defined {_NAMES[end]} shape."
