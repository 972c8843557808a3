"""An ONNX model with one Gather, encoded by hand: onnxruntime runs models but does not make them.

The encoding is protobuf's wire format; the field numbers are those of onnx.proto. All values here are below 128, so a
varint is one byte; only a length can be longer.
"""

from __future__ import annotations

_FLOAT, _INT64, _BOOL = 1, 7, 9


def gather_model(with_mask: bool) -> bytes:
    """rows = Gather(table, ids); with_mask adds mask = Not(Equal(ids, 0)). The shapes are left open."""
    nodes = [_node("Gather", ["table", "ids"], ["rows"])]
    outputs = [_value("rows", _FLOAT)]
    constants = []
    if with_mask:
        nodes += [_node("Equal", ["ids", "zero"], ["is_zero"]), _node("Not", ["is_zero"], ["mask"])]
        outputs += [_value("mask", _BOOL)]
        # TensorProto: data_type = 2, int64_data = 7, name = 8; no dims: a scalar
        constants = [_varint(2, _INT64) + _varint(7, 0) + _text(8, "zero")]
    inputs = [_value("table", _FLOAT), _value("ids", _INT64)]
    # GraphProto: node = 1, name = 2, initializer = 5, input = 11, output = 12
    graph = b"".join(_bytes(1, node) for node in nodes) + _text(2, "gather")
    graph += b"".join(_bytes(5, constant) for constant in constants)
    graph += b"".join(_bytes(11, value) for value in inputs) + b"".join(_bytes(12, value) for value in outputs)
    # ModelProto: ir_version = 1, graph = 7, opset_import = 8 {version = 2}
    return _varint(1, 8) + _bytes(7, graph) + _bytes(8, _varint(2, 13))


def _node(operator: str, inputs: list[str], outputs: list[str]) -> bytes:
    """NodeProto: input = 1, output = 2, op_type = 4."""
    return b"".join(_text(1, x) for x in inputs) + b"".join(_text(2, x) for x in outputs) + _text(4, operator)


def _value(name: str, element_type: int) -> bytes:
    """ValueInfoProto: name = 1, type = 2 {tensor_type = 1 {elem_type = 1}}."""
    return _text(1, name) + _bytes(2, _bytes(1, _varint(1, element_type)))


def _varint(number: int, value: int) -> bytes:
    return bytes([number << 3, value])


def _bytes(number: int, value: bytes) -> bytes:
    size = len(value)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    return bytes([number << 3 | 2]) + length + value


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())
