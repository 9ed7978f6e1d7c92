"""Random numbers, `gw.random`: functions of keys, in graphs as everything else is.

>>> import graphwright as gw
>>> key = gw.random.key(0)
>>> first, second = gw.random.split(key)
>>> noise = gw.random.normal(first, (3,))

The same key gives the same numbers each time, whatever is computed around them: bits and uniform
numbers to the bit on every machine, others as far as its logarithms agree. Use each key once, and
make others of it by `split` and `fold_in`. A key is an ordinary tensor, u64[2], so that it may be
an input, be carried through loops, and be mapped over; an array of keys, u64[..., 2], gives numbers
for each. `key()` takes the next key of the process, which `seed` sets.

These are the functions `gw.ops.random_…`, by shorter names.
"""

from graphwright.ops.keys import random_fold_in as fold_in
from graphwright.ops.keys import random_key as key
from graphwright.ops.keys import random_split as split
from graphwright.ops.keys import seed
from graphwright.ops.random import random_bits as bits
from graphwright.ops.random import random_exponential as exponential
from graphwright.ops.random import random_gumbel as gumbel
from graphwright.ops.random import random_laplace as laplace
from graphwright.ops.random import random_normal as normal
from graphwright.ops.random import random_uniform as uniform
from graphwright.ops.sampling import random_bernoulli as bernoulli
from graphwright.ops.sampling import random_categorical as categorical
from graphwright.ops.sampling import random_choice as choice
from graphwright.ops.sampling import random_permutation as permutation
from graphwright.ops.sampling import random_randint as randint
from graphwright.ops.sampling import random_truncated_normal as truncated_normal

__all__ = [
    "bernoulli",
    "bits",
    "categorical",
    "choice",
    "exponential",
    "fold_in",
    "gumbel",
    "key",
    "laplace",
    "normal",
    "permutation",
    "randint",
    "seed",
    "split",
    "truncated_normal",
    "uniform",
]
