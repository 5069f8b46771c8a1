"""The alarm criteria, one file a subject."""
