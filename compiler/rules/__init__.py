"""The rewrite rules, as named data, in files by theme.

To add one, write it down in the file where it belongs, in one of the three ways that `rule.py`
shows. Nothing else is needed: its name and its text in the why-log are those of the function, and
`tests/test_simplify.py` tests it for structure and for value from what is written there.
"""
