"""All that crosses a network: messages, topics, the telemetry producer, the alert document and the Redis alert bus."""
