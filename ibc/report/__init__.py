"""Runs as people read them: scores, tables, figures, and one page."""
