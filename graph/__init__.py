"""The language: dimensions, types, tensors, nodes, graphs; printing and parsing; errors.

Reading order: `dim`, `dtype`, `types`, `operator`, `node`, `tensor`, `graph`, `text`, `parse`.
"""
