"""Shared by the workers: the Faust app, lease, progress, sending, reading a log beside the app."""
