"""Layer configs that tf_keras and Keras 3 wrote, put into Keras 2.2.4's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def in_old_words(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a layer config in which later versions' keys are renamed, or left out where they say nothing.

    A later key that does say something (a quantisation, say) stays, and the layer's constructor then names it as not
    understood.
    """
    old = dict(config)
    if isinstance(old.get("dtype"), Mapping):  # a policy: {"class_name": "DTypePolicy", "config": {"name": "float32"}}
        old["dtype"] = old["dtype"]["config"]["name"]
    if "batch_shape" in old:
        old["batch_input_shape"] = old.pop("batch_shape")
    for key in ("quantization_config", "ragged", "optional", "keepdims", "lora_rank", "lora_alpha"):
        if key in old and not old[key]:
            del old[key]
    return old
