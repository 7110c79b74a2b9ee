"""Which plugins and model versions are on disk; no torch."""
