"""Products of matrices in native code: any sizes, strides and stacks of them.

matmul    the generator of the operator
product   what a product is: sizes, factors, epilogue
blocking  how it is cut, and what is packed
driver    the kernel: tile by tile, panel by panel
packing   copies of blocks that can't be read as they lie
panel     the routine at the bottom, which multiplies
"""
