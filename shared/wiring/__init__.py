"""Settings → adapters → services: the only package that names concrete adapters.

`app` puts the parts together, a module for each area; every part is built from one `Core`.
"""
