"""Questions in natural language, translated into definitions by a grammar and the site's dictionary (cohorts §8.7).

Pure: no model, no network.
"""
