"""The passes, one per file, and the pipeline that lines them up.

Reading order: `differentiate`, `pipeline`, `simplify`, `fuse`, `schedule`, `plan_memory`, `plan`.
"""
