"""Small scripts about texts and sequences that run alike on the real Keras 2.2.4 and on fastembed."""

# ruff: noqa: E501, UP032

import textwrap

from .layer_probes import observe

__all__ = ["PROBES", "observe"]

PROBES = {}

TEXTS = [
    "The cat sat on the mat.",
    "The dog sat on the LOG!",
    "",
    "it's a cat's life; don't  -- ever\tstop\nnow",
    "cat dog cat dog cat",
]
SHOW = """
result = (list(t.word_counts.items()), sorted(t.word_docs.items()), sorted(t.index_docs.items()),
          list(t.word_index.items()), list(t.index_word.items()), t.document_count)
"""
MATRIX = "x = {}; result = (np.round(x, 12).tolist(), str(x.dtype), x.shape)"


def group(prefix, **scripts):
    for name, script in scripts.items():
        PROBES[prefix + "." + name] = textwrap.dedent(script).strip()


def fitted(rest, **arguments):
    given = ", ".join("{}={!r}".format(*item) for item in arguments.items())
    return "texts = {!r}\nt = text.Tokenizer({})\nt.fit_on_texts(texts)\n{}".format(
        TEXTS, given, textwrap.dedent(rest).strip()
    )


def padded(call):
    return "x = sequence.pad_sequences({}); result = (x.tolist(), str(x.dtype), x.shape, x.flags.c_contiguous)".format(call)


group(
    "words",
    default="result = text.text_to_word_sequence('To be, or not: to-be!? (2b || !2b) it\\'s\\ttab\\nline')",
    keep_case="result = text.text_to_word_sequence('To Be', lower=False)",
    filters="result = text.text_to_word_sequence('a.b,c d', filters='.')",
    filters_list="result = text.text_to_word_sequence('a.b,c d', filters=['.', ','])",
    no_filters="result = text.text_to_word_sequence('a.b, c', filters='')",
    split="result = text.text_to_word_sequence('a,b c.d', split=',')",
    split_long="result = text.text_to_word_sequence('a.b--c d', split='--')",
    split_filters="result = text.text_to_word_sequence('a b c', filters=' ', split='_')",
    split_empty="text.text_to_word_sequence('a b', split='')",
    filters_words="text.text_to_word_sequence('a b', filters=['ab'])",
    empty="result = text.text_to_word_sequence('')",
    only_filters="result = text.text_to_word_sequence('...!!')",
    unicode="result = text.text_to_word_sequence('\\xc4pfel \\u2014 \\u010cesk\\xe9, \\u65e5\\u672c')",
    number="text.text_to_word_sequence(3)",
    positional="result = text.text_to_word_sequence('A.B', '', False, '.')",
    signature="result = signature(text.text_to_word_sequence)",
)
group(
    "hashing",
    md5="result = text.hashing_trick('the cat sat on the mat', 100, hash_function='md5')",
    md5_small="result = text.hashing_trick('the cat sat on the mat', 2, 'md5')",
    function="result = text.hashing_trick('the cat sat', 7, hash_function=len)",
    default="result = text.hashing_trick('a b a', 50) == [hash(w) % 49 + 1 for w in 'aba']",
    one_hot="result = text.one_hot('A, b a', 50) == [hash(w) % 49 + 1 for w in 'aba']",
    one_hot_arguments="result = text.one_hot('A.b', 50, '', False, '.') == [hash(w) % 49 + 1 for w in 'Ab']",
    unicode="result = text.hashing_trick('\\xc4pfel \\u65e5', 1000, 'md5')",
    n1="text.hashing_trick('a', 1, 'md5')",
    n0="result = text.hashing_trick('a b c', 0, 'md5')",
    unknown="text.hashing_trick('a', 5, 'sha1')",
    empty="result = text.hashing_trick('', 5)",
    signature="result = signature(text.hashing_trick)",
    one_hot_signature="result = signature(text.one_hot)",
)
group(
    "tokenizer",
    signature="result = signature(text.Tokenizer.__init__)",
    unknown_kwarg="text.Tokenizer(foo=1)",
    nb_words="result = text.Tokenizer(nb_words=3).num_words",
    nb_words_and_unknown="text.Tokenizer(nb_words=3, foo=1)",
    attributes="""
        t = text.Tokenizer()
        result = (t.num_words, t.filters, t.lower, t.split, t.char_level, t.oov_token, t.document_count, t.word_counts,
                  t.word_docs, t.index_docs, t.word_index, t.index_word)
    """,
    learned=fitted(SHOW),
    learned_twice=fitted("t.fit_on_texts(['now a new text, now'])\n" + SHOW),
    learned_limited=fitted(SHOW, num_words=3),
    learned_oov=fitted(SHOW, oov_token="<oov>"),
    learned_oov_in_texts=fitted(SHOW, oov_token="cat"),
    learned_case=fitted(SHOW, lower=False),
    learned_chars=fitted(SHOW, char_level=True),
    learned_chars_case=fitted(SHOW, char_level=True, lower=False),
    learned_filters=fitted(SHOW, filters="at", split="o"),
    learned_count=fitted(SHOW, document_count=7),
    learned_lists="t = text.Tokenizer(); t.fit_on_texts([['A', 'b', 'a'], ['c d', 'B']])" + SHOW,
    learned_lists_case="t = text.Tokenizer(lower=False); t.fit_on_texts([['A', 'b', 'a'], ['c d', 'B']])" + SHOW,
    learned_lists_chars="t = text.Tokenizer(char_level=True); t.fit_on_texts([['Ab', 'b'], 'abc'])" + SHOW,
    learned_generator="t = text.Tokenizer(); t.fit_on_texts(w for w in ['a b', 'b']); result = t.word_index",
    learned_string="t = text.Tokenizer(); t.fit_on_texts('abca'); result = t.word_index, t.document_count",
    learned_tuple="text.Tokenizer().fit_on_texts([('a', 'b')])",
    learned_number="text.Tokenizer().fit_on_texts([3])",
    learned_nothing="t = text.Tokenizer(); t.fit_on_texts([])" + SHOW,
    learned_nothing_oov="t = text.Tokenizer(oov_token='x'); t.fit_on_texts([])" + SHOW,
    types=fitted("result = [type(v).__name__ for v in (t.word_counts, t.word_docs, t.index_docs, t.word_index, t.index_word)]"),
    sequences_learned="""
        t = text.Tokenizer(num_words=5); t.fit_on_sequences([[1, 2, 2], [2, 7], []])
        result = sorted(t.index_docs.items()), t.document_count
    """,
)
NEW = ["the cat and the bird", "zebra", "", "Dog-dog", ["the", "Mat", "bird"]]
for name, arguments in {
    "default": {},
    "limited": {"num_words": 4},
    "limited1": {"num_words": 1},
    "limited0": {"num_words": 0},
    "oov": {"oov_token": "<oov>"},
    "oov_limited": {"oov_token": "<oov>", "num_words": 4},
    "oov_limited1": {"oov_token": "<oov>", "num_words": 1},
    "oov_in_texts": {"oov_token": "cat", "num_words": 3},
    "chars": {"char_level": True},
    "chars_oov": {"char_level": True, "oov_token": "UNK", "num_words": 9},
    "case": {"lower": False, "oov_token": "?"},
}.items():
    group("sequences", **{name: fitted("result = t.texts_to_sequences({!r})".format(NEW), **arguments)})
    group("texts", **{name: fitted("result = t.sequences_to_texts([[1, 2, 3], [], [0, 99, 5], [4, 4]])", **arguments)})
for mode in ("binary", "count", "freq", "tfidf", "foo"):
    call = MATRIX.format("t.texts_to_matrix(texts, mode={!r})".format(mode))
    group("matrix", **{mode: fitted(call), mode + "_limited": fitted(call, num_words=4)})
    group("matrix", **{mode + "_oov": fitted(call.replace("(texts", "({!r}".format(NEW)), num_words=5, oov_token="x")})
group(
    "sequences",
    before_learning="result = text.Tokenizer().texts_to_sequences(['a'])",
    before_learning_oov="result = text.Tokenizer(oov_token='x').texts_to_sequences(['a'])",
    generator=fitted("g = t.texts_to_sequences_generator(['cat']); result = next(g), list(g)"),
)
group(
    "texts",
    before_learning="result = text.Tokenizer().sequences_to_texts([[1]])",
    before_learning_oov="text.Tokenizer(oov_token='x').sequences_to_texts([[1]])",
    generator=fitted("g = t.sequences_to_texts_generator([[1]]); result = next(g), list(g)"),
    arrays=fitted("result = t.sequences_to_texts(np.array([[1, 2], [3, 0]]))"),
)
group(
    "matrix",
    default=fitted(MATRIX.format("t.texts_to_matrix(texts)")),
    before_learning="text.Tokenizer().sequences_to_matrix([[1]])",
    limit_only=MATRIX.format("text.Tokenizer(num_words=3).sequences_to_matrix([[1, 2, 3], [], [0]])"),
    tfidf_before_learning="text.Tokenizer(num_words=3).sequences_to_matrix([[1]], mode='tfidf')",
    tfidf_of_sequences="""
        t = text.Tokenizer(num_words=5); t.fit_on_sequences([[1, 2, 2], [2, 3], []])
        x = t.sequences_to_matrix([[1, 1, 2], [4], [9]], mode='tfidf'); result = np.round(x, 12).tolist()
    """,
    unknown_mode_empty=MATRIX.format("text.Tokenizer(num_words=3).sequences_to_matrix([[]], mode='foo')"),
    negative=MATRIX.format("text.Tokenizer(num_words=3).sequences_to_matrix([[-1, 1]], 'count')"),
    no_sequences=MATRIX.format("text.Tokenizer(num_words=3).sequences_to_matrix([])"),
    generator="text.Tokenizer(num_words=3).sequences_to_matrix(s for s in [[1]])",
)
# words in a set are in no order: a tokenizer of texts of one word each
ONE_WORD = "t = text.Tokenizer(num_words=9, oov_token='x'); t.fit_on_texts(['b', 'b', '\\xe4', 'c'])\n"
group(
    "config",
    config=ONE_WORD + "result = t.get_config()",
    json=ONE_WORD + "result = t.to_json()",
    json_arguments=ONE_WORD + "result = t.to_json(indent=1, ensure_ascii=False)",
    before_learning="result = text.Tokenizer().to_json()",
    back=ONE_WORD
    + """
import keras_preprocessing.text as k
u = k.tokenizer_from_json(t.to_json())
result = (u.get_config() == t.get_config(), u.index_word, u.index_docs, u.word_docs, u.texts_to_sequences(['b c d']),
          [type(v).__name__ for v in (u.word_counts, u.word_docs, u.index_docs, u.word_index, u.index_word)])
""",
    subclass="""
        class Mine(text.Tokenizer):
            pass
        result = Mine().to_json()[:40]
    """,
)

RAGGED = "[[1, 2, 3], [], [4], [5, 6, 7, 8, 9]]"
for name, data in {
    "lists": RAGGED,
    "tuples": "((1, 2, 3), (), (4,), (5, 6, 7, 8, 9))",
    "arrays": "[np.array([1, 2, 3]), np.array([], int), np.array([4]), np.arange(5, 10)]",
    "arrays32": "[np.array([1, 2, 3], 'int32'), np.array([4], 'int32'), np.arange(9, dtype='int32')[::2]]",
    "arrays_other": "[np.array([1, 2], 'uint8'), np.array([3.7]), np.array([True]), np.array([4, 5], '>i4'), np.array([6, -7], 'int16')]",
    "mixed": "[[1, 2], (3,), np.array([4, 5, 6]), range(7, 9), [True, False], [np.int64(3), 4]]",
    "array_2d": "np.arange(6).reshape(2, 3)",
}.items():
    for cut in ("pre", "post"):
        for pad in ("pre", "post"):
            for length in (None, 2, 4):
                arguments = "maxlen={}, truncating={!r}, padding={!r}".format(length, cut, pad)
                group("pad", **{"{}_{}_{}_{}".format(name, cut, pad, length): padded(data + ", " + arguments)})
for dtype in ("int8", "int16", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "bool", "object", "complex64", ">i4", "str"):
    group("pad_dtype", **{dtype.replace(">", "big_"): padded("[[1, 2], [3]], dtype={!r}".format(dtype))})
    group("pad_dtype", **{dtype.replace(">", "big_") + "_value": padded("[np.array([1, 2]), (3,)], 3, {!r}, value=1".format(dtype))})
group(
    "pad_dtype",
    floats=padded("[[1.5, 2], [0.1, -3.0, 1e-50]], dtype='float32', value=-0.5"),
    floats64=padded("[[1.5, 2], [0.1, 2 ** 60 + 1]], dtype='float64', value=0.1"),
    floats_to_int=padded("[[1.9, -2.9], [3.5]]"),
    float16=padded("[[0.1, 2049, 65504.0], [1e-8]], dtype='float16'"),
    large_float32=padded("[[2 ** 24 + 1, 2 ** 53 + 1, 2 ** 70]], dtype='float32'"),
    infinite=padded("[[float('inf'), float('-inf')]], dtype='float32'"),
    nan="x = sequence.pad_sequences([[float('nan')]], 2, 'float64'); result = repr(x)",
    int64_of_array=padded("[np.array([2 ** 62, -1])], dtype='int64'"),
    wrap_of_array=padded("[np.array([2 ** 31, 300, -1])], dtype='uint8'"),
    limits=padded("[[2 ** 31 - 1, -2 ** 31]], dtype='int32'"),
    limits_u64=padded("[[2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1]], dtype='uint64'"),
    too_large="sequence.pad_sequences([[2 ** 64]], dtype='int64')",
    value_float=padded("[[1], [2, 3]], value=7.9"),
    strings=padded("[['a', 'bc'], ['d']], dtype=object, value='<pad>'"),
    strings_value_number=padded("[['a', 'bc'], ['d']], dtype=object, value=0"),
    strings_fixed=padded("[['a', 'bc'], ['d']], dtype='<U5', value='pad'"),
    strings_int="sequence.pad_sequences([['a']], value='pad')",
    strings_dtype="sequence.pad_sequences([['a']], dtype='float32', value='x')",
    strings_type="sequence.pad_sequences([['a']], dtype=np.int64, value='x')",
    numbers_of_strings=padded("[['1', '2'], ['3']]"),
)
group(
    "pad",
    signature="result = signature(sequence.pad_sequences)",
    positional=padded("[[1], [2, 3]], 3, 'int64', 'post', 'post', 9"),
    maxlen0_pre=padded("[[], []], maxlen=0"),
    maxlen0_filled="sequence.pad_sequences([[1]], maxlen=0)",
    maxlen0_post=padded("[[1]], maxlen=0, truncating='post'"),
    maxlen_negative="sequence.pad_sequences([[1]], maxlen=-1)",
    maxlen_np=padded("[[1, 2, 3]], maxlen=np.int64(2)"),
    all_empty=padded("[[], []]"),
    all_empty_maxlen=padded("[[], []], maxlen=2, value=5"),
    none="sequence.pad_sequences([])",
    none_maxlen=padded("[], maxlen=3"),
    no_length="sequence.pad_sequences(s for s in [[1]])",
    number="sequence.pad_sequences(3)",
    item_number="sequence.pad_sequences([[1], 2])",
    item_none="sequence.pad_sequences([None])",
    flat="sequence.pad_sequences([1, 2, 3])",
    truncating_unknown="sequence.pad_sequences([[1]], truncating='foo')",
    padding_unknown="sequence.pad_sequences([[1]], padding='bar')",
    both_unknown="sequence.pad_sequences([[1]], truncating='foo', padding='bar')",
    unknown_unused=padded("[[], []], truncating='foo', padding='bar', maxlen=1"),
    items_2d=padded("[[[1, 2], [3, 4]], [], [[5, 6]]]"),
    items_2d_cut=padded("[[[1, 2], [3, 4], [5, 6]], [[7, 8]]], maxlen=2, padding='post', dtype='float32', value=-1."),
    items_arrays=padded("[[np.array([1, 2]), np.array([3, 4])], [np.array([5, 6])]]"),
    items_3d=padded("[np.ones((2, 2, 1)), np.zeros((1, 2, 1))], value=3"),
    items_other="sequence.pad_sequences([[[1, 2]], [[1, 2, 3]]])",
    items_other_flat="sequence.pad_sequences([[1, 2], [[1, 2]]])",
    items_other_later="sequence.pad_sequences([[1], [], [2], [[3]]])",
    items_other_first_flat="sequence.pad_sequences([[[1, 2]], [1, 2]])",
    of_strings=padded("['12', '345']"),
    of_sets="sequence.pad_sequences([{1, 2}])",
    of_bytes=padded("[b'ab', b'c']"),
    array_of_lists=padded("np.array([[1, 2], [3]] + [None], dtype=object)[:2]"),
    input_kept="s = [[1, 2, 3], [4]]; sequence.pad_sequences(s, 2); result = s",
)
group(
    "sampling",
    table="result = np.round(sequence.make_sampling_table(12), 12).tolist()",
    factor="result = np.round(sequence.make_sampling_table(5, sampling_factor=1e-1), 12).tolist()",
    one="result = np.round(sequence.make_sampling_table(1), 12).tolist()",
    none="sequence.make_sampling_table(0)",
)
SEED = "import random; random.seed(3)\n"
group(
    "skipgrams",
    signature="result = signature(sequence.skipgrams)",
    plain=SEED + "result = sequence.skipgrams([1, 2, 0, 3, 4], 9, window_size=2, negative_samples=0, shuffle=False)",
    default=SEED + "result = sequence.skipgrams([1, 2, 0, 3, 4], 9)",
    seeded=SEED + "result = sequence.skipgrams([1, 2, 0, 3, 4], 9, window_size=1, seed=5)",
    categorical=SEED + "result = sequence.skipgrams([1, 2, 3], 9, categorical=True, negative_samples=0.5)",
    sampled=SEED + "result = sequence.skipgrams([1, 2, 3, 4] * 3, 5, 2, sampling_table=[0, 0.1, 0.4, 0.7, 1.])",
    many=SEED + "result = sequence.skipgrams([1, 2], 3, negative_samples=3.5)",
    empty=SEED + "result = sequence.skipgrams([], 3)",
    window0=SEED + "result = sequence.skipgrams([1, 2], 3, window_size=0)",
)
