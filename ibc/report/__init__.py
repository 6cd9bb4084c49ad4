"""Numbers as people read them: tables, figures, the metrics of the JSON files, and one page on several runs."""
