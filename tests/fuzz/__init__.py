"""A telemetry fuzzer: seeded producers, legal and illegal, against one partition under injected time."""
