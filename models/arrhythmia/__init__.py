"""The rhythm tier: alarm codes and limits, criteria, confirmation over time, episodes."""
