"""Facts of published datasets: the schema of manifests, and the files in the folder `manifests/`."""
