"""PS3.15 Annex E De-identification of instances: the Basic Application Level Confidentiality Profile and its options.

`instance.deidentify` makes of a parsed data set one that names nobody, or says why it cannot; `file.pieces` writes it
as a Part 10 file around the pixel data of the source, which are never held. Nothing here does I/O.
"""
