"""Corrected cases become examples, and examples become better models."""
