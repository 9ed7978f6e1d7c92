"""Products of matrices in native code: any sizes, strides and stacks of them.

matmul       the generator of the operator
epilogue     that of a product with elementwise work on it
product      what a product is: sizes, factors, epilogue
orientation  which way round it is computed
blocking     how it is cut, and what is packed
grid         tile by tile, and panel by panel
driver       the kernel that goes over them
packing      copies of blocks that can't be read as they lie
prepack      a kernel that packs what all tiles need
panel        the routine at the bottom, which multiplies
dots         another, for few rows
"""
