"""The recorded runs of `fit`, independent of any implementation."""

import collections

import numpy as np

r = np.random.RandomState(7)
N, VOC, DIM, T = 10, 8, 3, 4
X = r.randint(1, VOC, (N, T))
X[::3, -1] = 0
Y = np.round(r.uniform(0, 1, (N, 1)), 3).astype("float32")
YB = r.randint(0, 2, (N, 1)).astype("float32")
YC = np.eye(3, dtype="float32")[r.randint(0, 3, N)]
SW = np.array([1, 0, 2, 3, 1, 1, 0.5, 0, 1, 2], "float32")
W = np.round(r.uniform(-0.5, 0.5, (VOC, DIM)), 3).astype("float32")
KD = {
    1: np.round(r.uniform(-0.5, 0.5, (T * DIM, 1)), 3).astype("float32"),
    3: np.round(r.uniform(-0.5, 0.5, (T * DIM, 3)), 3).astype("float32"),
}
K1 = np.round(r.uniform(-0.5, 0.5, (DIM, 1)), 3).astype("float32")
CASES = collections.OrderedDict(
    [
        ("plain", {"fit": {"epochs": 3, "batch_size": 4}}),
        ("default_batch", {"fit": {"epochs": 2}}),
        ("val_data", {"fit": {"epochs": 2, "batch_size": 4, "validation_data": "self"}}),
        ("val_split", {"fit": {"epochs": 2, "batch_size": 3, "validation_split": 0.25}}),
        ("metrics", {"metrics": ["mae", "acc"], "fit": {"epochs": 2, "batch_size": 4, "validation_split": 0.2}}),
        ("sample_weight", {"fit": {"epochs": 2, "batch_size": 4, "sample_weight": "SW"}}),
        (
            "sample_weight_val",
            {
                "metrics": ["mae"],
                "weighted_metrics": ["mae"],
                "fit": {"epochs": 2, "batch_size": 4, "sample_weight": "SW", "validation_split": 0.3},
            },
        ),
        (
            "class_weight",
            {
                "y": "YB",
                "head": "gap",
                "loss": "binary_crossentropy",
                "metrics": ["acc"],
                "fit": {"epochs": 2, "batch_size": 4, "class_weight": {0: 1.0, 1: 3.0}},
            },
        ),
        (
            "gap_bce",
            {
                "y": "YB",
                "head": "gap",
                "loss": "binary_crossentropy",
                "metrics": ["acc"],
                "fit": {"epochs": 3, "batch_size": 5},
            },
        ),
        (
            "softmax_cce",
            {
                "y": "YC",
                "head": "softmax",
                "loss": "categorical_crossentropy",
                "metrics": ["acc"],
                "fit": {"epochs": 3, "batch_size": 4},
            },
        ),
        ("l2", {"emb_l2": 0.05, "fit": {"epochs": 2, "batch_size": 4}}),
        ("act_l2", {"emb_act": 0.05, "fit": {"epochs": 2, "batch_size": 4}}),
        ("initial_epoch", {"fit": {"epochs": 4, "initial_epoch": 2, "batch_size": 4}}),
    ]
)


def build(k, name):
    c = CASES[name]
    head = c.get("head", "flat")
    kw = {}
    if "emb_l2" in c:
        kw["embeddings_regularizer"] = k.R.l2(c["emb_l2"])
    if "emb_act" in c:
        kw["activity_regularizer"] = k.R.l2(c["emb_act"])
    m = k.Sequential()
    m.add(k.L.Embedding(VOC, DIM, weights=[W.copy()], input_length=T, mask_zero=(head == "gap"), **kw))
    if head == "gap":
        m.add(k.L.GlobalAveragePooling1D())
        m.add(k.L.Dense(1, activation="sigmoid", weights=[K1.copy(), np.zeros(1, "float32")]))
    else:
        n = 3 if head == "softmax" else 1
        m.add(k.L.Flatten())
        m.add(k.L.Dense(n, activation="softmax" if n == 3 else None, weights=[KD[n].copy(), np.zeros(n, "float32")]))
    ckw = {}
    if "weighted_metrics" in c:
        ckw["weighted_metrics"] = c["weighted_metrics"]
    m.compile(k.O.SGD(lr=0.1, momentum=0.9), c.get("loss", "mean_squared_error"), metrics=c.get("metrics"), **ckw)
    return m


def run(k, name):
    c = CASES[name]
    y = {"YB": YB, "YC": YC}.get(c.get("y"), Y)
    m = build(k, name)
    kw = dict(c["fit"])
    if kw.get("validation_data") == "self":
        kw["validation_data"] = (X, y)
    if kw.get("sample_weight") == "SW":
        kw["sample_weight"] = SW
    h = m.fit(X, y, shuffle=False, verbose=0, **kw)
    ev = m.evaluate(X, y, verbose=0, batch_size=4)
    return collections.OrderedDict(
        [
            ("metrics_names", list(m.metrics_names)),
            ("epoch", list(h.epoch)),
            ("history", collections.OrderedDict((a, [float(v) for v in b]) for a, b in h.history.items())),
            ("evaluate", [float(v) for v in ev] if isinstance(ev, list) else float(ev)),
            ("predict", np.asarray(m.predict(X)).astype("float64").tolist()),
            ("weights", [np.asarray(w).astype("float64").tolist() for w in m.get_weights()]),
        ]
    )
