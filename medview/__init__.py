"""MedView: look at medical images, run models on them, correct the answers, and learn from the corrections."""

from __future__ import annotations

__version__ = "0.1.0"
