"""The publisher worker: Kafka to Redis, and people's actions back."""
