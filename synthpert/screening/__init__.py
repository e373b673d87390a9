"""Screening: a student asked thousands to millions of questions, in parts that survive a kill."""
