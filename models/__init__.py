"""All that is computed on arrays: signals in, measurements, alarm conditions, features and interpretations out.

Nothing here knows Kafka, Redis or the clock on the wall. Arrays are ``float32 [leads, samples]`` in millivolts.
"""
