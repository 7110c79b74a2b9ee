"""Functions on label arrays, undo, and the journal of strokes."""
