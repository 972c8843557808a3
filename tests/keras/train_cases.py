"""The recorded training cases, independent of any implementation."""

import collections

import numpy as np

VOC, DIM, T, B, NB, STEPS = 8, 3, 4, 6, 5, 10
_r = np.random.RandomState(42)
W0 = np.round(_r.uniform(-0.5, 0.5, (VOC, DIM)), 3).astype("float32")
K12 = np.round(_r.uniform(-0.5, 0.5, (T * DIM, 1)), 3).astype("float32")
K3 = np.round(_r.uniform(-0.5, 0.5, (DIM, 1)), 3).astype("float32")
K32 = np.round(_r.uniform(-0.5, 0.5, (DIM, 2)), 3).astype("float32")
# ids: row 7 never occurs, row 6 only in batch 0, zeros are padding, duplicates inside a sample
XS = _r.randint(1, 6, (NB, B, T))
XS[:, ::2, -1] = 0
XS[:, 1, -2:] = 0
XS[:, 2, 0] = XS[:, 2, 1]
XS[0, 0, 0] = 6
XS[0, 3, 1] = 6
YS = {
    "1": np.round(_r.uniform(0, 1, (NB, B, 1)), 3).astype("float32"),
    "bin": _r.randint(0, 2, (NB, B, 1)).astype("float32"),
    "TD": np.round(_r.uniform(-1, 1, (NB, B, T, DIM)), 3).astype("float32"),
    "T2": np.round(_r.uniform(-1, 1, (NB, B, T, 2)), 3).astype("float32"),
}

OPTS = collections.OrderedDict(
    [
        ("sgd", ("SGD", {})),
        ("sgd_lr", ("SGD", {"lr": 0.1})),
        ("sgd_mom", ("SGD", {"lr": 0.1, "momentum": 0.9})),
        ("sgd_nest", ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True})),
        ("sgd_decay", ("SGD", {"lr": 0.1, "momentum": 0.9, "decay": 0.1})),
        ("sgd_clipnorm", ("SGD", {"lr": 0.1, "clipnorm": 0.05})),
        ("sgd_clipvalue", ("SGD", {"lr": 0.1, "clipvalue": 0.02})),
        ("rmsprop", ("RMSprop", {})),
        ("rmsprop_lr", ("RMSprop", {"lr": 0.01, "rho": 0.8})),
        ("rmsprop_decay", ("RMSprop", {"lr": 0.01, "decay": 0.1})),
        ("rmsprop_eps", ("RMSprop", {"lr": 0.01, "epsilon": 1e-2})),
        ("adagrad", ("Adagrad", {})),
        ("adagrad_decay", ("Adagrad", {"lr": 0.05, "decay": 0.1})),
        ("adadelta", ("Adadelta", {})),
        ("adadelta_2", ("Adadelta", {"lr": 0.5, "rho": 0.9, "epsilon": 1e-3, "decay": 0.1})),
        ("adam", ("Adam", {})),
        ("adam_lr", ("Adam", {"lr": 0.05, "beta_1": 0.8, "beta_2": 0.9})),
        ("adam_amsgrad", ("Adam", {"lr": 0.05, "amsgrad": True, "beta_2": 0.9})),
        ("adam_decay", ("Adam", {"lr": 0.05, "decay": 0.1})),
        ("adam_eps", ("Adam", {"lr": 0.05, "epsilon": 1e-2})),
        ("adamax", ("Adamax", {})),
        ("adamax_lr", ("Adamax", {"lr": 0.05, "decay": 0.1})),
        ("nadam", ("Nadam", {})),
        ("nadam_lr", ("Nadam", {"lr": 0.05, "schedule_decay": 0.01})),
    ]
)

# model name -> dict(emb=kwargs, head, loss, y)
MODELS = collections.OrderedDict(
    [
        ("flat", {"emb": {}, "head": "flat", "loss": "mse", "y": "1"}),
        ("gap", {"emb": {"mask_zero": True}, "head": "gap_sigmoid", "loss": "binary_crossentropy", "y": "bin"}),
        ("gap_nomask", {"emb": {}, "head": "gap", "loss": "mse", "y": "1"}),
        ("frozen", {"emb": {"trainable": False}, "head": "flat", "loss": "mse", "y": "1"}),
        (
            "l1",
            {"emb": {"embeddings_regularizer": ("l1", 0.01)}, "head": "flat", "loss": "mse", "y": "1"},
        ),
        (
            "l2",
            {"emb": {"embeddings_regularizer": ("l2", 0.01)}, "head": "flat", "loss": "mse", "y": "1"},
        ),
        (
            "l1_l2",
            {
                "emb": {"embeddings_regularizer": ("l1_l2", 0.01, 0.02)},
                "head": "flat",
                "loss": "mse",
                "y": "1",
            },
        ),
        (
            "act_l2",
            {"emb": {"activity_regularizer": ("l2", 0.01)}, "head": "flat", "loss": "mse", "y": "1"},
        ),
        (
            "l2_frozen",
            {
                "emb": {"embeddings_regularizer": ("l2", 0.01), "trainable": False},
                "head": "flat",
                "loss": "mse",
                "y": "1",
            },
        ),
        (
            "non_neg",
            {"emb": {"embeddings_constraint": ("NonNeg", {})}, "head": "flat", "loss": "mse", "y": "1"},
        ),
        (
            "max_norm",
            {
                "emb": {"embeddings_constraint": ("MaxNorm", {"max_value": 0.6})},
                "head": "flat",
                "loss": "mse",
                "y": "1",
            },
        ),
        (
            "max_norm_ax1",
            {
                "emb": {"embeddings_constraint": ("MaxNorm", {"max_value": 0.4, "axis": 1})},
                "head": "flat",
                "loss": "mse",
                "y": "1",
            },
        ),
        (
            "unit_norm",
            {
                "emb": {"embeddings_constraint": ("UnitNorm", {})},
                "head": "flat",
                "loss": "mse",
                "y": "1",
            },
        ),
        (
            "unit_norm_ax1",
            {
                "emb": {"embeddings_constraint": ("UnitNorm", {"axis": 1})},
                "head": "flat",
                "loss": "mse",
                "y": "1",
            },
        ),
        (
            "min_max",
            {
                "emb": {"embeddings_constraint": ("MinMaxNorm", {"min_value": 0.5, "max_value": 0.7})},
                "head": "flat",
                "loss": "mse",
                "y": "1",
            },
        ),
        (
            "min_max_rate",
            {
                "emb": {
                    "embeddings_constraint": (
                        "MinMaxNorm",
                        {"min_value": 0.5, "max_value": 0.7, "rate": 0.3, "axis": 1},
                    )
                },
                "head": "flat",
                "loss": "mse",
                "y": "1",
            },
        ),
        ("emb_out", {"emb": {}, "head": "none", "loss": "mse", "y": "TD"}),
        ("emb_out_mask", {"emb": {"mask_zero": True}, "head": "none", "loss": "mse", "y": "TD"}),
        ("dense3d_mask", {"emb": {"mask_zero": True}, "head": "dense3d", "loss": "mse", "y": "T2"}),
    ]
)


def plan():
    """The (model, optimizer) pairs."""
    out = []
    for o in OPTS:
        out.append(("flat", o))
        out.append(("gap", o))
    for m in MODELS:
        if m in ("flat", "gap"):
            continue
        for o in ("sgd_lr", "rmsprop_lr", "adam_lr"):
            out.append((m, o))
    return out


def build(k, mname, oname):
    """k: namespace with Sequential, layers L, optimizers O, regularizers R, constraints C (Keras-like)."""
    spec = MODELS[mname]
    ekw = {}
    for a, b in spec["emb"].items():
        if a.endswith("regularizer"):
            b = getattr(k.R, b[0])(*b[1:])
        elif a.endswith("constraint"):
            b = getattr(k.C, b[0])(**b[1])
        ekw[a] = b
    m = k.Sequential()
    m.add(k.L.Embedding(VOC, DIM, weights=[W0.copy()], input_length=T, name="emb", **ekw))
    h = spec["head"]
    if h == "flat":
        m.add(k.L.Flatten())
        m.add(k.L.Dense(1, weights=[K12.copy(), np.zeros(1, "float32")], name="d"))
    elif h in ("gap", "gap_sigmoid"):
        m.add(k.L.GlobalAveragePooling1D())
        m.add(
            k.L.Dense(
                1,
                activation="sigmoid" if h == "gap_sigmoid" else None,
                weights=[K3.copy(), np.zeros(1, "float32")],
                name="d",
            )
        )
    elif h == "dense3d":
        m.add(k.L.Dense(2, weights=[K32.copy(), np.zeros(2, "float32")], name="d"))
    cls, kw = OPTS[oname]
    m.compile(getattr(k.O, cls)(**kw), spec["loss"])
    return m


def run_case(k, mname, oname, steps=STEPS):
    m = build(k, mname, oname)
    ys = YS[MODELS[mname]["y"]]
    losses = []
    for i in range(steps):
        losses.append(float(m.train_on_batch(XS[i % NB], ys[i % NB])))
    return (
        np.array(losses),
        [np.asarray(w) for w in m.get_weights()],
        [np.asarray(w) for w in m.optimizer.get_weights()],
        np.asarray(m.predict(XS[0])),
    )
