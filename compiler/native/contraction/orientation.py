"""Which way round a product is computed: as it is, or transposed; and when as a few sums.

The routine `panel` wants many columns, along which vectors run. `dots` wants few rows, and factors
whose elements follow one another along k. Transposed, a product has its columns for rows.
"""

from __future__ import annotations

from graphwright.compiler.native.contraction.product import Product, merged

_MOST_DOTS = 12  # rows of a product that is computed as a few sums
_LANES_BYTES = 64  # of a vector, about


def oriented(product: Product) -> Product:
    """With as few axes as can be, and transposed if that is better."""
    product = merged(product)
    out = product.out.matrices[0]
    if out.column != 1 and out.row == 1 and product.columns != 1:
        return product.transposed
    if as_dots(product):
        return product
    if as_dots(product.transposed) or _fills_vectors(product.transposed):
        return product.transposed
    return product


def as_dots(product: Product) -> bool:
    """Whether each element of a product is best computed as a sum of its own.

    The folding of a sum takes as long as some steps along k; packing the right factor for so few
    rows takes longer.
    """
    rows, depth, right = product.rows, product.depth, product.right
    if not isinstance(rows, int) or not isinstance(depth, int):
        return False
    plain = right.compute is None and right.dtype == product.dtype
    along = right.first.row == 1 and (right.first.column != 1 or product.columns == 1)
    return plain and along and 0 < rows <= _MOST_DOTS and 8 * rows < depth


def _fills_vectors(product: Product) -> bool:
    """Whether vectors are full, which in the transposed product are not, and nothing is packed."""
    lanes = _LANES_BYTES // product.dtype.itemsize
    rows, columns, right = product.rows, product.columns, product.right
    if not isinstance(rows, int) or not isinstance(columns, int):
        return False
    plain = right.compute is None and right.dtype == product.dtype and right.first.column == 1
    return plain and 4 * rows <= 3 * lanes and columns >= lanes
