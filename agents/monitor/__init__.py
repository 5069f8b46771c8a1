"""The monitor worker: a bed's windows in, alarms and bed documents out."""
