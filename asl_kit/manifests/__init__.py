"""What is known of published datasets: the schema, and the files of the folder `manifests/`."""
