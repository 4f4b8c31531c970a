"""The web page: what stands on it, what its buttons do, and the results that it keeps."""
