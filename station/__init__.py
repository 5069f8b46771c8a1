"""The nurse-station page and its server: live alerts, the strip with the cited intervals drawn on it, acknowledge."""
