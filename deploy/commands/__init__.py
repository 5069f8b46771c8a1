"""The commands of ``gem-bedside``, one noun per file; each imports its packages when it runs."""
