"""What this project adds to torch: choice of a device, loading of saved tensors."""
