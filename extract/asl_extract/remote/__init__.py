"""Videos at addresses: fetched one ahead into a bounded cache, and deleted after use."""
