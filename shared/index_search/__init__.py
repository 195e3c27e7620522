"""The way from matching keys to candidates: the lists of the index that a key names, their cursors, their merge.

What is on the lists is not known here: studies in `idx` and `idxi`, workitems in `worklist`.
"""
