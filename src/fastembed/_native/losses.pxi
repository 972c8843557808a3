"""A loss over many outputs with its gradient, in one pass over them."""

# Bytes of outputs that a thread claims at a time.
cdef ptrdiff_t LOSS_CLAIM_BYTES = 64 * 1024


cdef struct SquaredError:
    const float* outputs        # (rows, dim) IN
    const void* targets         # (rows, dim) IN, double or float
    bint doubles
    const float* shares         # (rows / share_rows,) IN
    ptrdiff_t share_rows        # rows that have one share, one after the other
    float* gradient             # (rows, dim) OUT
    float* scores               # (rows,) OUT
    ptrdiff_t rows
    ptrdiff_t dim
    ptrdiff_t claim             # rows


cdef void _squared_error_block(void* context, ptrdiff_t block) noexcept nogil:
    cdef SquaredError* job = <SquaredError*>context
    cdef ptrdiff_t row, start
    cdef float share
    for row in range(block * job.claim, min((block + 1) * job.claim, job.rows)):
        start = row * job.dim
        share = job.shares[row // job.share_rows]
        if job.doubles:
            job.scores[row] = squared_error_double(
                job.outputs + start, <const double*>job.targets + start, share, job.gradient + start, job.dim
            )
        else:
            job.scores[row] = squared_error_float(
                job.outputs + start, <const float*>job.targets + start, share, job.gradient + start, job.dim
            )


def squared_error(targets, outputs, shares):
    """The mean squared error of each row, and its gradient times the row's share.

    Args:
        targets: float32 or float64 array of the shape of `outputs`.
        outputs: float32 array (..., D) with D > 0.
        shares: float32 array that broadcasts to `outputs`, its last axes 1: of a number for each row, sample or all.

    Returns:
        (scores, gradient), float32 of the shapes (...) and (..., D); None where the arrays are others.
    """
    cdef SquaredError job
    for array in (targets, outputs, shares):
        if type(array) is not np.ndarray or not np.PyArray_ISCARRAY_RO(array):
            return None
    cdef np.ndarray expected = targets
    cdef np.ndarray found = outputs
    cdef np.ndarray share = shares
    cdef int axes = np.PyArray_NDIM(found) - 1
    if (
        np.PyArray_TYPE(found) != np.NPY_FLOAT or np.PyArray_TYPE(share) != np.NPY_FLOAT
        or np.PyArray_TYPE(expected) not in (np.NPY_FLOAT, np.NPY_DOUBLE) or not np.PyArray_SAMESHAPE(expected, found)
        or axes < 0 or np.PyArray_SIZE(found) == 0
    ):
        return None
    job.dim = np.PyArray_DIMS(found)[axes]
    job.rows = np.PyArray_SIZE(found) // job.dim
    # its first axes are those of outputs, all others 1
    cdef ptrdiff_t covered = 1
    cdef int axis
    if np.PyArray_NDIM(share) != axes + 1:
        return None
    for axis in range(axes + 1):
        if covered != np.PyArray_SIZE(share):
            if np.PyArray_DIMS(share)[axis] != np.PyArray_DIMS(found)[axis] or axis == axes:
                return None
            covered *= np.PyArray_DIMS(share)[axis]
        elif np.PyArray_DIMS(share)[axis] != 1:
            return None
    cdef np.ndarray scores = _new_array(axes, np.PyArray_DIMS(found), np.NPY_FLOAT)
    cdef np.ndarray gradient = _new_array(axes + 1, np.PyArray_DIMS(found), np.NPY_FLOAT)
    job.outputs = <const float*>np.PyArray_DATA(found)
    job.targets = np.PyArray_DATA(expected)
    job.doubles = np.PyArray_TYPE(expected) == np.NPY_DOUBLE
    job.shares = <const float*>np.PyArray_DATA(share)
    job.share_rows = job.rows // np.PyArray_SIZE(share)
    job.scores = <float*>np.PyArray_DATA(scores)
    job.gradient = <float*>np.PyArray_DATA(gradient)
    job.claim = max(LOSS_CLAIM_BYTES // (job.dim * 4), <ptrdiff_t>1)
    _run(
        _squared_error_block, &job, (job.rows + job.claim - 1) // job.claim, job.rows * job.dim * 16, _threads(None)
    )
    return scores, gradient
