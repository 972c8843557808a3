"""What several tests of this folder use."""

import contextlib
import re

import pytest


@contextlib.contextmanager
def raises(kind, text):
    """Expect an error of exactly this class and with exactly this text."""
    with pytest.raises(kind, match=f"^{re.escape(text)}\\Z") as caught:
        yield
    assert type(caught.value) is kind
