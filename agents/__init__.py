"""The Faust apps (monitor, interpreter, publisher), the assembly of a bed's windows and the alarm life cycle."""
