"""Text and sequences to arrays of ids, as Keras 2.2.4's `keras.preprocessing` does it."""

from fastembed.preprocessing import sequence, text

__all__ = ["sequence", "text"]
