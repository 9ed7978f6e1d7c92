"""Runs graphs and plans on NumPy arrays.

Reading order: `arguments`, `interpret` (the oracle), `execute`, `compiled`.
"""
