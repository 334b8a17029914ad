"""Files at addresses: web servers with the standard library, S3 and Google Cloud Storage through fsspec."""
