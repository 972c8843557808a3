"""Expressions that mean the same to the real Keras 2.2.4 and to fastembed; tests compare what both make of them.

`record_keras224.py` writes what Keras gives into data/families_k224.json; tests read only that. Python 3.7 reads this
file too.
"""

import numpy as np

_INITIALIZERS = """
Initializer Zeros zeros zero Ones ones one Constant constant RandomUniform random_uniform uniform RandomNormal
random_normal normal TruncatedNormal truncated_normal VarianceScaling lecun_uniform lecun_normal glorot_uniform
glorot_normal he_uniform he_normal Orthogonal orthogonal Identity identity
"""
_REGULARIZERS = "Regularizer L1L2 l1 l2 l1_l2"
_CONSTRAINTS = """
Constraint MaxNorm max_norm maxnorm NonNeg non_neg nonneg UnitNorm unit_norm unitnorm MinMaxNorm min_max_norm
"""
_WRONG = """
foo Uniform ZEROS Zero HeNormal he_Normal variance_scaling VarianceScaling2 eye L1 L2 L1_L2 l1l2 regularizer maxNorm
max-norm Max_Norm minmaxnorm MinMax constraint initializer
"""
NAMES = {
    "initializers": _INITIALIZERS.split(),
    "regularizers": _REGULARIZERS.split(),
    "constraints": _CONSTRAINTS.split(),
}
WRONG_NAMES = _WRONG.split()

# A matrix with columns and rows of norms below, in and above the usual bounds, a column and a row of zeros, signs.
MATRIX = "[[3., .1, 0., -1.], [4., -.2, 0., 1.5], [0., 0., 0., 0.], [-.5, .3, 0., 2.]]"

_MAKERS = """
initializers.Constant(3)
initializers.Constant(value=[1, 2])
initializers.RandomNormal(1, 2, 3)
initializers.RandomNormal(seed=3, stddev=2)
initializers.RandomUniform(-1, 1., 3)
initializers.RandomUniform(maxval=1)
initializers.TruncatedNormal(1, 2, 3)
initializers.VarianceScaling(2, 'fan_out', 'uniform', 3)
initializers.VarianceScaling(mode='FAN_AVG', distribution='Uniform')
initializers.Orthogonal(2, 3)
initializers.Identity(2)
initializers.zeros()
initializers.zero()
initializers.ones()
initializers.one()
initializers.constant()
initializers.uniform()
initializers.random_uniform()
initializers.normal()
initializers.random_normal()
initializers.truncated_normal()
initializers.orthogonal()
initializers.identity()
initializers.lecun_uniform()
initializers.lecun_normal(3)
initializers.glorot_uniform()
initializers.glorot_normal(3)
initializers.he_uniform()
initializers.he_normal(seed=3)
regularizers.L1L2()
regularizers.L1L2(.1, .2)
regularizers.l1()
regularizers.l2()
regularizers.l1_l2()
regularizers.l1(l=.3)
regularizers.l2(.3)
regularizers.l2(-1)
regularizers.l1_l2(l1=.5, l2=.7)
constraints.MaxNorm()
constraints.MaxNorm(3, [0, 1])
constraints.max_norm(3., axis=1)
constraints.maxnorm(4)
constraints.NonNeg()
constraints.non_neg()
constraints.nonneg()
constraints.UnitNorm()
constraints.unit_norm(1)
constraints.unitnorm(axis=1)
constraints.MinMaxNorm()
constraints.MinMaxNorm(.5, 2, .3, 1)
constraints.min_max_norm(rate=.5)
"""

_CONFIGS = """
initializers.get({'class_name': 'zeros', 'config': {}})
initializers.get({'class_name': 'Zeros', 'config': {'dtype': 'float32'}})
initializers.get({'class_name': 'RandomUniform', 'config': {'minval': -1, 'dtype': 'float32', 'seed': 3}, 'other': 1})
initializers.get({'class_name': 'he_normal', 'config': {'seed': 3}})
initializers.deserialize({'class_name': 'Mine', 'config': {}}, custom_objects={'Mine': initializers.Ones})
initializers.deserialize({'class_name': 'Ones', 'config': {}}, {'Ones': initializers.Zeros})
initializers.deserialize({'class_name': 'uniform', 'config': {'maxval': 2}})
regularizers.get({'class_name': 'l1', 'config': {'l': .5}})
regularizers.get({'class_name': 'L1L2', 'config': {'l1': .5, 'l2': 0.0}})
regularizers.deserialize({'class_name': 'l2', 'config': {}})
constraints.get({'class_name': 'maxnorm', 'config': {'max_value': 3, 'axis': [0, 1]}})
constraints.deserialize({'class_name': 'MinMaxNorm', 'config': {'rate': .5}})
"""

_PLAIN = """
initializers.serialize(None)
regularizers.serialize(None)
constraints.serialize(None)
initializers.serialize(initializers.he_normal)
regularizers.serialize(regularizers.l2)
initializers.serialize(lambda shape: 0)
constraints.serialize(lambda w: w)
initializers.serialize(5)
regularizers.serialize('l2')
regularizers.get(None)
constraints.get(None)
initializers.get(None)
initializers.get(5)
initializers.get([1])
initializers.get(b'zeros')
initializers.get(np.zeros(2))
initializers.get(np.str_('ones')).get_config()
initializers.get({})
initializers.get({'class_name': 'zeros'})
initializers.get({'config': {}})
initializers.get({'class_name': 'foo', 'config': {}})
initializers.get({'class_name': 'zeros', 'config': {'x': 1}})
initializers.get({'class_name': 'he_normal', 'config': {'scale': 1}})
initializers.get(len)(' ')
initializers.get(initializers.Zeros).__name__
initializers.deserialize('zeros').__name__
initializers.deserialize('foo')
regularizers.deserialize('foo')
constraints.deserialize('foo')
regularizers.get(5)
regularizers.get({'class_name': 'foo', 'config': {}})
regularizers.get({'class_name': 'l1', 'config': {'wrong': 1}})
constraints.get(5)
constraints.get([])
constraints.get({'class_name': 'foo', 'config': {}})
constraints.get({'class_name': 'maxnorm'})
initializers.Initializer()((2,))
initializers.VarianceScaling(0)
initializers.VarianceScaling(-1.)
initializers.VarianceScaling(mode='foo')
initializers.VarianceScaling(mode='Foo')
initializers.VarianceScaling(distribution='Foo')
initializers.VarianceScaling(distribution='truncated_normal')
initializers.Identity()((3, 2))
initializers.Identity()((2, 3, 2))
initializers.Identity()((3,))
regularizers.l1(wrong=1)
regularizers.L1L2('a')
"""

_ARRAYS = (
    """
initializers.Zeros()((2, 3))
initializers.Ones()((2, 0))
initializers.Ones()(())
initializers.Constant()((2,))
initializers.Constant(1.1)((2, 3))
initializers.Constant([[1., 2.], [3., 4.]])((2, 2))
initializers.Constant([.1, .2])((1, 2))
initializers.Identity()((3, 3))
initializers.Identity(.1)((2, 6))
initializers.Identity(.1)((6, 2))
initializers.Identity()((1, 3))
initializers.Identity()((3, 1))
initializers.RandomUniform(.1, .1, 3)((2,))
initializers.RandomNormal(.1, 0., 3)((2,))
initializers.TruncatedNormal(.1, 0., 3)((2,))
regularizers.get('Regularizer')(x)
regularizers.L1L2()(x)
regularizers.l1()(x)
regularizers.l2()(x)
regularizers.l1_l2(.1, .2)(x)
regularizers.l1_l2(-.1, .2)(x)
regularizers.l2()(zeros)
constraints.get('Constraint')(x)
constraints.MaxNorm(None)(x)
constraints.MaxNorm(-1)(x)
constraints.MaxNorm(0)(x)
constraints.MinMaxNorm(2, 1)(x)
constraints.MinMaxNorm(2, 5, .5)(x)
constraints.MinMaxNorm(2, None, .25, 1)(x)
constraints.MinMaxNorm()(zeros)
constraints.UnitNorm()(zeros)
constraints.NonNeg()(x)
""".strip().splitlines()
    + [f"constraints.{name}(axis={axis})(x)" for name in ("MaxNorm", "UnitNorm", "MinMaxNorm")
       for axis in ("0", "1", "-1", "[0, 1]", "(0,)", "None")]
)  # fmt: skip

# What the initializers draw: shape, mean, standard deviation, extremes and kurtosis say which distribution it is.
DISTRIBUTIONS = """
initializers.RandomUniform(seed=1)
initializers.RandomUniform(1, 4, 1)
initializers.RandomUniform(4, 1, 1)
initializers.RandomNormal(seed=1)
initializers.RandomNormal(3, 2, 1)
initializers.TruncatedNormal(seed=1)
initializers.TruncatedNormal(3, 2, 1)
initializers.VarianceScaling(seed=1)
initializers.VarianceScaling(3, 'fan_out', seed=1)
initializers.VarianceScaling(3, 'fan_avg', 'uniform', 1)
initializers.lecun_uniform(1)
initializers.lecun_normal(1)
initializers.glorot_uniform(1)
initializers.glorot_normal(1)
initializers.he_uniform(1)
initializers.he_normal(1)
""".strip().splitlines()
SHAPES = ((2000, 100), (100, 2000), (200000,), (10, 20, 1000), (2, 5, 20, 1000))

PROBES = (
    [f"{family}.serialize({family}.get({name!r}))" for family, names in NAMES.items() for name in names]
    + [f"{family}.serialize({family}.get({name!r}))" for family in NAMES for name in WRONG_NAMES]
    + [f"{maker}.get_config()" for maker in (_MAKERS + _CONFIGS).split("\n") if maker]
    + [f"{maker}.__class__.__name__" for maker in (_MAKERS + _CONFIGS).split("\n") if maker]
    + _PLAIN.strip().splitlines()
    + _ARRAYS
)


def plain(value):
    """Turn a result into what JSON keeps as it is."""
    if isinstance(value, (np.ndarray, np.generic)):
        return {"array": np.asarray(value, np.float32).tolist(), "shape": list(np.shape(value))}
    return value if isinstance(value, (str, int, float, list, tuple, dict, type(None))) else type(value).__name__


def observe(expression, namespace, to_array=lambda value: value):
    """Evaluate a probe: ``{"result": value}``, or ``{"error": type, "args": [...]}``."""
    try:
        return {"result": plain(to_array(eval(expression, dict(namespace, np=np))))}
    except Exception as error:
        return {"error": type(error).__name__, "args": [plain(argument) for argument in error.args]}


def moments(values):
    """Mean, standard deviation, kurtosis, smallest and largest of an array."""
    values = np.asarray(values, np.float64).ravel()
    mean, stddev = values.mean(), values.std()
    kurtosis = ((values - mean) ** 4).mean() / stddev**4
    return [float(number) for number in (mean, stddev, kurtosis, values.min(), values.max())]
