"""Cohorts: patients found by what clinical data and images say of them together (cohorts §8)."""
