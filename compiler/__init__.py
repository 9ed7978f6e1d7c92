"""The passes, one per file, and the pipeline that lines them up.

Reading order: `differentiate`, `pipeline`, `simplify` (with `rewrite` and `rules`), `decompose`,
`layout`, `fuse` (with `fused`, `iteration`, `grouping`, `partition`), `schedule` (with `storage`),
`plan_memory` (with `plan`), `verify`, `report`.
"""
