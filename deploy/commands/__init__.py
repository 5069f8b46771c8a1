"""The commands of ``gem-bedside``, one noun a file; each imports what it needs when it runs."""
