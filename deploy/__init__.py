"""How it is run: the command line, the embedded local stack, the demo, container and monitoring files."""
