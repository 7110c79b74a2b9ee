"""VTK scenes; no Qt."""
