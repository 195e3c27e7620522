"""Feedback on reads and predictions: outcomes beside the reports of a reader and the results of a model
(cohorts §8.9, §8.10).
"""
