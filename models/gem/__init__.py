"""GEM (arXiv 2503.06073): the language model that reads an ECG as time series, as a page and as text.

configuration_gem, modeling_gem and processing_gem are the Hugging Face style triplet; checkpoint reads and writes
folders in the published layout; engine serves one model to many beds. Importing this package needs no torch.
"""
