"""Timed runs: what the import and the totals cost, beside what others would take.

Read ``__main__`` for what can be run, ``README.md`` for what came of it. Nothing here is
part of the product, and no test times anything.
"""
