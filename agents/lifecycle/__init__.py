"""The alarm life cycle of IEC 60601-1-8: a pure state machine over a bed's document."""
