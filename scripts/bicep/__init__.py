"""Checks of the Bicep files without the Bicep compiler: syntax, names, a rendering per variant, properties, posture.

`python -m scripts.bicep` runs all of them. docs/decisions/0023-checking-bicep-without-its-compiler.md says what they
can see and what they cannot.
"""
