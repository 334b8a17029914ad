"""Who extracts: this process, a process a device, a Ray cluster."""
