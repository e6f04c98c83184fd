"""Merging sorted batches: who is the newest row, and what is in a window, over arrays of a table's rows.

Pure functions on Arrow and numpy: no files, no engine, no SQL. Each works on whatever batch of keys it is given, so an
engine can run it in this process or next to the data.
"""
