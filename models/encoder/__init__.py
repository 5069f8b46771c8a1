"""The ECG encoder: ECG-CoCa as a torch tower, as an ONNX graph, and as the session that the monitor runs."""
