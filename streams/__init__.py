"""Data exchanged over the network: messages, topics, telemetry producer, alert document and Redis alert bus."""
