"""Nurse station: the page, and the web server that connects it to Redis."""
